//! Medians, and how they are shown.

use crate::args::Args;

/// Allocations per pair from which on a contender does not recycle. What the harness and a pool's own collections
/// allocate stays far below.
const RECYCLES_BELOW: f64 = 0.01;

/// What one contender took.
pub struct Times {
    pub contender: &'static str,
    /// Nanoseconds per pair, round by round.
    pub ns: Vec<f64>,
}

/// One contender's answer.
pub struct Row {
    pub times: Times,
    /// To the two contenders that the contest names: the median of the rounds' ratios.
    pub ratios: [f64; 2],
    /// Per pair; none for an allocator, which is asked for every one.
    pub allocations: Option<f64>,
    /// Whether the addresses of buffers repeat.
    pub repeats: bool,
}

/// The answers under one condition.
pub struct Cell {
    pub name: String,
    pub rows: Vec<Row>,
}

/// The middle one.
#[must_use]
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { f64::midpoint(figures[middle - 1], figures[middle]) }
}

impl Times {
    #[must_use]
    pub fn median(&self) -> f64 {
        median(self.ns.iter().copied())
    }

    /// Round by round.
    pub fn ratios_to(&self, other: &Self) -> impl Iterator<Item = f64> {
        self.ns.iter().zip(&other.ns).map(|(own, other)| own / other)
    }

    /// The median of the rounds' ratios.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> f64 {
        median(self.ratios_to(other))
    }

    /// The least and the most.
    #[must_use]
    pub fn extremes(&self) -> (f64, f64) {
        let extreme = |pick: fn(f64, f64) -> f64| self.ns.iter().copied().reduce(pick).unwrap_or(f64::NAN);
        (extreme(f64::min), extreme(f64::max))
    }
}

impl Row {
    fn recycles(&self) -> Option<bool> {
        Some(self.allocations? < RECYCLES_BELOW && self.repeats)
    }
}

/// Shows a question's cells side by side: nanoseconds, the range of the rounds, and the two ratios.
pub fn show(args: &Args, question: &str, references: [&str; 2], cells: &[Cell]) {
    if args.json {
        cells.iter().for_each(|cell| lines(question, references, cell));
    } else {
        table(question, references, cells);
    }
}

fn table(question: &str, [first, second]: [&str; 2], cells: &[Cell]) {
    println!("\n{question}: ns per pair [least..most of the rounds] (ratio to {first}, to {second})\n");
    let heads: String = cells.iter().map(|cell| format!(" {:^38} |", cell.name)).collect();
    println!("| {:<24} |{heads} {:<17} |", "contender", "allocs  recycles");
    println!("|:{}|{} {} |", "-".repeat(25), format!("-{}:|", "-".repeat(38)).repeat(cells.len()), "-".repeat(17));
    for (n, row) in cells[0].rows.iter().enumerate() {
        let figures: String = cells.iter().map(|cell| format!(" {} |", figure(&cell.rows[n]))).collect();
        println!("| {:<24} |{figures} {:<17} |", row.times.contender, verdict(cells, n));
    }
}

fn figure(row: &Row) -> String {
    let (least, most) = row.times.extremes();
    let range = format!("[{least:.1}..{most:.1}]");
    format!("{:>8.2} {range:<15} {:>6.2}x {:>5.1}x", row.times.median(), row.ratios[0], row.ratios[1])
}

/// Over all cells: the worst.
fn verdict(cells: &[Cell], row: usize) -> String {
    let rows = || cells.iter().map(|cell| &cell.rows[row]);
    match rows().filter_map(|row| row.allocations).reduce(f64::max) {
        None => "an allocator".into(),
        Some(allocations) => {
            let recycles = rows().all(|row| row.recycles() == Some(true));
            format!("{allocations:.4}  {}", if recycles { "yes" } else { "no" })
        }
    }
}

fn lines(question: &str, references: [&str; 2], cell: &Cell) {
    for row in &cell.rows {
        let (least, most) = row.times.extremes();
        let ratios = references.iter().zip(row.ratios).map(|(name, ratio)| format!("\"{name}\":{ratio:.4}"));
        println!(
            "{{\"question\":\"{question}\",\"cell\":\"{}\",\"contender\":\"{}\",\"ns\":{:.4},\"least\":{least:.4},\
             \"most\":{most:.4},\"ratios\":{{{}}},\"allocations\":{},\"recycles\":{}}}",
            cell.name,
            row.times.contender,
            row.times.median(),
            ratios.collect::<Vec<_>>().join(","),
            row.allocations.map_or("null".into(), |n| format!("{n:.6}")),
            row.recycles().map_or("null".into(), |yes| yes.to_string()),
        );
    }
}

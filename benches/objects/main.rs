//! What does a pool of objects cost, asked as Go's benchmarks ask `sync.Pool`: one object at a time, a hundred, fewer than are
//! wanted; a collection of 100 000; and how often an object that is expensive to make is made.
//!
//! `go/compare.sh` runs this and the same in Go in turn.

mod clear;

mod expensive;

mod loops;

use millpond_benches::args::Args;

const THREADS: [usize; 3] = [1, 2, 8];

fn main() {
    let args = Args::from_env();
    loops::ask(&args);
    if args.admits("clear") {
        clear::ask(&args);
    }
    if args.admits("expensive") {
        expensive::ask(&args);
    }
}

/// A row of a table, or of each figure a line that says which it is: of workload and column.
fn show<const N: usize>(args: &Args, workload: &str, columns: [&str; N], figures: [f64; N]) {
    if args.json {
        for (column, figure) in columns.iter().zip(figures) {
            println!("{{\"cell\":\"{workload}, {column}\",\"figure\":{figure:.4}}}");
        }
    } else {
        let digits = |figure| if figure < 100.0 { 2 } else { 0 };
        println!("| {workload:<46} |{}", figures.map(|figure| format!(" {figure:>10.*} |", digits(figure))).concat());
    }
}

/// A table's head; none over lines.
fn head<const N: usize>(args: &Args, title: &str, columns: [&str; N]) {
    if !args.json {
        println!("\n| {title:<46} |{}", columns.map(|column| format!(" {column:>10} |")).concat());
        println!("|:{}|{}", "-".repeat(47), format!("{}:|", "-".repeat(11)).repeat(N));
    }
}

//! From which size on does pooling pay? Allocate, write a byte of each cache line, free: from 16 B to 1 MiB, one block at a time, and
//! 40 that are held until the last one has come, as a request holds them.
//!
//! Each line, as whoever asks for a block writes it: what is saved by asking a pool is then seen beside what the writing costs,
//! and a block that comes back cold, or whose pages were given back, costs its owner what it costs.

mod lanes;

mod verdict;

use millpond_benches::args::Args;
use millpond_benches::contest::Contest;
use millpond_benches::report::Times;

use crate::lanes::REQUEST;

const SIZES: [usize; 12] = [16, 32, 64, 128, 256, 512, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// The times of all contenders at a size.
struct Step {
    size: usize,
    times: Vec<Times>,
}

impl Step {
    fn find(&self, contender: &str) -> Option<&Times> {
        self.times.iter().find(|times| times.contender == contender)
    }
}

fn main() {
    let args = Args::from_env();
    let contest = Contest { args: &args, threads: 1, cores: 1 };
    for (name, alive) in [("one at a time", 1), ("40 held", REQUEST)] {
        let step = |size| Step { size, times: contest.time(&lanes::all(&args, size, alive), &|| {}) };
        let steps = SIZES.map(step);
        if args.json {
            lines(name, &steps);
        } else {
            table(name, &steps);
        }
        verdict::show(&args, name, &steps);
    }
}

fn table(name: &str, steps: &[Step]) {
    println!("\nbreakeven, {name}: ns per allocation, its lines written, and free");
    println!("(of what recycles: ratio to malloc, to jemalloc, to mimalloc)\n");
    print!("| {name:<13} |");
    let contenders = || steps[0].times.iter().map(|times| times.contender);
    contenders().for_each(|contender| print!(" {contender:>width$} |", width = width(contender)));
    print!("\n|:{}|", "-".repeat(14));
    contenders().for_each(|contender| print!("{}:|", "-".repeat(width(contender) + 1)));
    println!();
    for step in steps {
        print!("| {:<13} |", label(step.size));
        for times in &step.times {
            let ratios = if lanes::RECYCLES.contains(&times.contender) { ratios(step, times) } else { String::new() };
            let ns = format!("{:.1}{ratios}", times.median());
            print!(" {ns:>width$} |", width = width(times.contender));
        }
        println!();
    }
}

fn width(contender: &str) -> usize {
    if lanes::RECYCLES.contains(&contender) { 27 } else { 10 }
}

fn ratios(step: &Step, times: &Times) -> String {
    lanes::ALLOCATORS
        .iter()
        .map(|name| step.find(name).map_or("     -".into(), |other| format!(" {:>5.2}", times.ratio_to(other))))
        .collect()
}

fn lines(name: &str, steps: &[Step]) {
    for step in steps {
        for times in &step.times {
            let (least, most) = times.extremes();
            println!(
                "{{\"question\":\"breakeven\",\"cell\":\"{name}\",\"bytes\":{},\"contender\":\"{}\",\"ns\":{:.4},\
                 \"least\":{least:.4},\"most\":{most:.4}}}",
                step.size,
                times.contender,
                times.median(),
            );
        }
    }
}

fn label(size: usize) -> String {
    match size {
        _ if size >= 1 << 20 => format!("{} MiB", size >> 20),
        _ if size >= 1 << 10 => format!("{} KiB", size >> 10),
        _ => format!("{size} B"),
    }
}

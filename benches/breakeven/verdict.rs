//! Where pooling pays: the sizes at which a pool is faster than an allocator.

use millpond_benches::args::Args;
use millpond_benches::report::{Times, median};

use crate::{Step, label, lanes};

/// A median so near to one is no difference: where the writing is most of the time all contenders are that near.
const ALIKE: f64 = 0.05;
/// Nor is one on which so many of the rounds do not agree.
const AGREE: f64 = 0.75;

/// Sizes next to each other, the first and the last of them faster and none slower.
struct Run {
    first: usize,
    last: usize,
    /// No larger size is slower.
    open: bool,
}

pub fn show(args: &Args, name: &str, steps: &[Step]) {
    if !args.json {
        println!("\n| {name}: faster | {} |", lanes::ALLOCATORS.map(|name| format!("than {name}")).join(" | "));
        println!("|:---|{}", ":---|".repeat(lanes::ALLOCATORS.len()));
    }
    for pool in lanes::RECYCLES.iter().filter(|pool| steps[0].find(pool).is_some()) {
        if !args.json {
            let cells = lanes::ALLOCATORS.map(|allocator| words(&pays(steps, pool, allocator)));
            println!("| {pool} | {} |", cells.join(" | "));
            continue;
        }
        for allocator in lanes::ALLOCATORS {
            let runs = pays(steps, pool, allocator);
            let runs: Vec<_> = runs.iter().map(|run| format!("[{},{}]", run.first, run.last)).collect();
            println!(
                "{{\"question\":\"breakeven\",\"cell\":\"{name}\",\"contender\":\"{pool}\",\"than\":\"{allocator}\",\
                 \"faster_bytes\":[{}]}}",
                runs.join(",")
            );
        }
    }
}

fn words(runs: &[Run]) -> String {
    let word = |run: &Run| match run {
        Run { first, open: true, .. } => format!("from {}", label(*first)),
        Run { first, last, .. } if first == last => format!("at {}", label(*first)),
        Run { first, last, .. } => format!("{} to {}", label(*first), label(*last)),
    };
    if runs.is_empty() { "nowhere".into() } else { runs.iter().map(word).collect::<Vec<_>>().join(", ") }
}

fn pays(steps: &[Step], pool: &str, allocator: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for step in steps {
        let (Some(pool), Some(allocator)) = (step.find(pool), step.find(allocator)) else { continue };
        let size = step.size;
        match runs.last_mut().filter(|run| run.open) {
            Some(run) if beats(allocator, pool) => run.open = false,
            Some(run) if beats(pool, allocator) => run.last = size,
            None if beats(pool, allocator) => runs.push(Run { first: size, last: size, open: true }),
            _ => {}
        }
    }
    runs
}

fn beats(faster: &Times, slower: &Times) -> bool {
    let ratios: Vec<f64> = faster.ratios_to(slower).collect();
    let agree = ratios.iter().filter(|ratio| **ratio < 1.0).count();
    median(ratios.iter().copied()) < 1.0 - ALIKE && agree as f64 >= AGREE * ratios.len() as f64
}

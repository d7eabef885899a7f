//! Where pooling pays: the smallest size from which on a pool is faster than an allocator.

use millpond_benches::args::Args;
use millpond_benches::report::median;

use crate::{Step, label, lanes};

/// A median so near to one is no difference: where the writing is most of the time all contenders are that near.
const ALIKE: f64 = 0.05;
/// Nor is one on which so many of the rounds do not agree.
const AGREE: f64 = 0.75;

pub fn show(args: &Args, name: &str, steps: &[Step]) {
    if !args.json {
        println!("\n| {name}: faster from | {} |", lanes::ALLOCATORS.map(|name| format!("than {name:<8}")).join(" | "));
        println!("|:---|{}", "---:|".repeat(lanes::ALLOCATORS.len()));
    }
    for pool in lanes::RECYCLES.iter().filter(|pool| steps[0].find(pool).is_some()) {
        let sizes = lanes::ALLOCATORS.map(|allocator| pays_from(steps, pool, allocator));
        if !args.json {
            println!("| {pool} | {} |", sizes.map(|size| size.map_or("never".into(), label)).join(" | "));
            continue;
        }
        for (allocator, size) in lanes::ALLOCATORS.iter().zip(sizes) {
            let size = size.map_or("null".into(), |size| size.to_string());
            println!(
                "{{\"question\":\"breakeven\",\"cell\":\"{name}\",\"contender\":\"{pool}\",\"than\":\"{allocator}\",\
                 \"from_bytes\":{size}}}"
            );
        }
    }
}

/// The smallest size at which it is faster and above which it is never slower.
fn pays_from(steps: &[Step], pool: &str, allocator: &str) -> Option<usize> {
    let mut from = None;
    for step in steps.iter().rev() {
        let ratios: Vec<f64> = step.find(pool)?.ratios_to(step.find(allocator)?).collect();
        if differ(&ratios, |ratio| ratio - 1.0) {
            break;
        }
        if differ(&ratios, |ratio| 1.0 - ratio) {
            from = Some(step.size);
        }
    }
    from
}

/// Whether the ratios lie on one side, by `excess` above zero.
fn differ(ratios: &[f64], excess: impl Fn(f64) -> f64) -> bool {
    let agree = ratios.iter().filter(|ratio| excess(**ratio) > 0.0).count();
    excess(median(ratios.iter().copied())) > ALIKE && agree as f64 >= AGREE * ratios.len() as f64
}

//! A table for each workload.

use millpond_benches::args::Args;

use crate::measure::Record;
use crate::workload::Workload;

pub fn show(args: &Args, workload: Workload, records: &[Record]) {
    let (name, per) = (workload.name(), workload.per());
    if !args.json {
        println!("\nallocators, {name}: {per}; ns [least..most of the rounds]; MiB resident\n");
        println!(
            "| {name:<20} | {:>28} | {:>9} | {:>9} | {:>7} | {:>7} | {:>9} |",
            "ns", "to its own", "to malloc", "peak", "kept", "collected"
        );
        println!("|:{}|{}", "-".repeat(21), [29, 10, 10, 8, 8, 10].map(|n| "-".repeat(n) + ":|").concat());
    }
    for Record { times, ratios: [own, malloc], memory } in records {
        let (contender, ns, (least, most)) = (times.contender, times.median(), times.extremes());
        let [peak, kept, collected] = [memory.peak, memory.kept, memory.collected].map(|kib| kib as f64 / 1024.0);
        if args.json {
            println!(
                "{{\"question\":\"allocators\",\"cell\":\"{name}\",\"contender\":\"{contender}\",\"ns\":{ns:.4},\
                 \"least\":{least:.4},\"most\":{most:.4},\"ratio_to_own\":{own:.4},\"ratio_to_malloc\":{malloc:.4},\
                 \"peak_mib\":{peak:.3},\"kept_mib\":{kept:.3},\"collected_mib\":{collected:.3}}}"
            );
        } else {
            let range = format!("[{least:.1}..{most:.1}]");
            println!(
                "| {contender:<20} | {ns:>9.1} {range:<18} | {own:>9.2}x | {malloc:>8.2}x | {peak:>7.2} | {kept:>7.2} | \
                 {collected:>9.2} |"
            );
        }
    }
}

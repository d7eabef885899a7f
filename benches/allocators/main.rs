//! What does a pool add to an allocator, and what does it save? The same workloads on each allocator bare and behind the pool, in
//! vectors: time in rounds, then resident memory in a process of its own for each contender.

#[cfg(target_os = "linux")]
mod contenders;

#[cfg(target_os = "linux")]
mod measure;

#[cfg(target_os = "linux")]
mod memory;

#[cfg(target_os = "linux")]
mod plot;

#[cfg(target_os = "linux")]
mod table;

#[cfg(target_os = "linux")]
mod workload;

fn main() {
    #[cfg(target_os = "linux")]
    measure::main();
    #[cfg(not(target_os = "linux"))]
    println!("allocators: needs Linux");
}

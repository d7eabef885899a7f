//! Is the memory of a burst given back? 1 GiB of buffers held at once, dropped, and collected twice: the resident memory of a
//! process of its own for each contender.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod measure;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod plot;

fn main() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    measure::main();
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    println!("burst: needs Linux and glibc");
}

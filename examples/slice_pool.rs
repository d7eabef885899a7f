//! Scratch space of one size: 64 KiB to copy through, as Go's `sync.Pool` of `[]byte`.
//!
//! `cargo run --example slice_pool`

use std::io::{self, Read, Write};

use millpond::Pool;

const SCRATCH: usize = 64 << 10;

static POOL: Pool = Pool::new();

/// As `std::io::copy`, in steps of 64 KiB and with the bytes in hand: here they are summed on their way.
fn copy_and_sum(mut from: impl Read, mut to: impl Write) -> io::Result<(u64, u32)> {
    let mut scratch = POOL.get(SCRATCH);
    // A buffer is empty, as nobody may read what lay in its block before. A slice has to be written once.
    scratch.resize(SCRATCH, 0);
    let (mut copied, mut sum) = (0, 0_u32);
    loop {
        let len = match from.read(&mut scratch) {
            Ok(0) => return Ok((copied, sum)),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = &scratch[..len];
        to.write_all(part)?;
        copied += part.len() as u64;
        sum = part.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    } // `?`, a panic, the end: whatever ends this function gives the scratch back
}

fn main() -> io::Result<()> {
    let threads: Vec<_> =
        (1..=4_u8).map(|n| std::thread::spawn(move || (0..25).try_for_each(|_| copy_once(n)))).collect();
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a copy panicked"))??;
    }
    let stats = POOL.stats();
    println!("{stats}");
    assert_eq!(stats.total().gets(), 100);
    assert!(stats.total().misses <= 4, "one for each thread at most");
    Ok(())
}

fn copy_once(n: u8) -> io::Result<()> {
    let (copied, _sum) = copy_and_sum(io::repeat(n).take(200_000), io::sink())?;
    assert_eq!(copied, 200_000);
    Ok(())
}

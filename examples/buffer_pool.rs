//! A message is formatted into a pooled buffer, and leaves it as a copy or as the buffer itself.
//!
//! `cargo run --example buffer_pool`

use std::io::{self, Write};

use bytes::Bytes;
use millpond::{Pool, PoolBuf};

/// `const`: nothing is allocated before the first get.
static POOL: Pool = Pool::new();

struct Order {
    id: u32,
    items: Vec<(&'static str, u32)>,
}

fn format(order: &Order) -> io::Result<PoolBuf> {
    let mut buf = POOL.get(256);
    write!(buf, "order {}:", order.id)?;
    for (item, count) in &order.items {
        write!(buf, " {count} x {item}")?;
    }
    Ok(buf)
}

/// For what is short, or stays for long: the block is back in the pool when this returns.
fn copied(order: &Order) -> io::Result<Vec<u8>> {
    Ok(format(order)?.to_vec())
}

/// For what is sent: no copy. The block goes back when the last clone or slice goes, on whatever thread.
fn frozen(order: &Order) -> io::Result<Bytes> {
    Ok(format(order)?.freeze())
}

fn main() -> io::Result<()> {
    let order = Order { id: 7, items: vec![("lamp", 2), ("chair", 1)] };

    let log: Vec<u8> = copied(&order)?;
    println!("copied: {}", String::from_utf8_lossy(&log));

    let message = frozen(&order)?;
    let senders: Vec<_> = (1..=3)
        .map(|receiver| {
            let message = message.clone();
            std::thread::spawn(move || println!("to {receiver}: {} bytes", message.len()))
        })
        .collect();
    drop(message);
    for sender in senders {
        sender.join().map_err(|_| io::Error::other("a sender failed"))?;
    }

    // One block served them all.
    let stats = POOL.stats();
    assert_eq!((stats.total().gets(), stats.in_use_bytes), (2, 0), "{stats}");
    println!("{} gets, {} from the allocator", stats.total().gets(), stats.total().misses);
    Ok(())
}

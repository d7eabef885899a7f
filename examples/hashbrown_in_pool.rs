//! A table per request whose memory comes from a pool: the words of a text, counted in a `hashbrown` map.
//!
//! `cargo run --release --example hashbrown_in_pool [-- TEXT]`

use hashbrown::{DefaultHashBuilder, HashMap};
use millpond::Pool;

static POOL: Pool = Pool::new();

type Counts<'text> = HashMap<&'text str, usize, DefaultHashBuilder, &'static Pool>;

/// One request. Its table grows through the size classes, and all of them are back in the pool when it ends.
fn count(text: &str) -> Counts<'_> {
    let mut counts = HashMap::new_in(&POOL);
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}

fn main() {
    let text = std::env::args().nth(1).unwrap_or_else(|| include_str!("../README.md").to_owned());

    let counts = count(&text);
    let mut most: Vec<_> = counts.iter().map(|(word, count)| (*count, *word)).collect();
    most.sort_unstable_by(|a, b| b.cmp(a));
    for (count, word) in most.iter().take(5) {
        println!("{count:>5} {word}");
    }
    drop(most);
    drop(counts);

    // The first request made the tables' blocks; the others find them.
    let allocated = POOL.stats().total().misses;
    for _ in 0..1000 {
        drop(count(&text));
    }
    let misses = POOL.stats().total().misses - allocated;
    println!("a thousand requests more needed {misses} blocks from the allocator");
    print!("{}", POOL.stats());
}

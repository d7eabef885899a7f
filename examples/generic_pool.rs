//! A type of one's own with several parts, one reset for all of them, and no part that may grow without bound.
//!
//! `cargo run --example generic_pool`

use std::collections::HashMap;

use millpond::{Collect, ObjectPool};

/// What it takes to count the words of a text, without an allocation for each text.
#[derive(Default)]
struct Counter {
    word: String,
    counts: HashMap<String, usize>,
    order: Vec<(usize, String)>,
}

impl Counter {
    /// As new, but for its memory. False: one huge text has made it too large to keep.
    fn reset(&mut self) -> bool {
        self.word.clear();
        self.counts.clear();
        self.order.clear();
        self.counts.capacity() <= 10_000 && self.order.capacity() <= 10_000
    }

    /// The words that are there most often.
    fn most_frequent(&mut self, text: &str, count: usize) -> &[(usize, String)] {
        for word in text.split_whitespace() {
            self.word.clear();
            self.word.extend(word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase));
            match self.counts.get_mut(&self.word) {
                Some(seen) => *seen += 1,
                None => _ = self.counts.insert(self.word.clone(), 1),
            }
        }
        self.order.extend(self.counts.drain().map(|(word, seen)| (seen, word)));
        self.order.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        self.order.truncate(count);
        &self.order
    }
}

fn main() -> Result<(), millpond::BuildError> {
    let counters =
        ObjectPool::builder(Counter::default).reset(Counter::reset).max_idle(16).collect(Collect::Manual).build()?;

    let rose = counters.get().most_frequent("A rose is a rose is a rose.", 2).to_vec();
    assert_eq!(rose, [(3, "a".to_owned()), (3, "rose".to_owned())]);

    // Nothing of one text is left for the next.
    let mut counter = counters.get();
    assert!(counter.counts.is_empty() && counter.order.is_empty());
    println!("{:?}", counter.most_frequent("the mill by the pond by the wood", 3));
    drop(counter);

    // One text of 100 000 different words does not make the pool keep memory for as many.
    let huge: String = (0..100_000).map(|i| format!("{i} ")).collect();
    assert_eq!(counters.get().most_frequent(&huge, 1).len(), 1);
    assert_eq!(counters.stats().refused, 1);

    println!("{}", counters.stats());
    Ok(())
}

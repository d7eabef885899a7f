//! `PoolBuf` has `Vec<u8>`'s names, traits and meaning. What it does to its bytes is compared in `operations.rs`.

use std::borrow::{Borrow, BorrowMut};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{IoSlice, Write as _};

use crate::common::ledger::Ledger;
use crate::common::manual;
use crate::common::odd::Odd;
use millpond::alloc::Allocator;
use millpond::{Pool, PoolBuf};

fn buf<A: Allocator + Send + Sync + 'static>(pool: &Pool<A>, bytes: &[u8]) -> PoolBuf<A> {
    let mut buf = pool.get(bytes.len());
    buf.extend_from_slice(bytes);
    buf
}

#[test]
fn it_is_a_slice() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    let mut bytes = buf(&pool, b"banana");
    assert_eq!(&bytes[1..3], b"an");
    assert_eq!(bytes.first(), Some(&b'b'));
    bytes.sort_unstable();
    bytes[0] = b'A';
    bytes.as_mut_slice()[1] = b'B';
    assert_eq!(bytes.as_slice(), b"ABabnn");
    assert_eq!(AsRef::<[u8]>::as_ref(&bytes), b"ABabnn");
    AsMut::<[u8]>::as_mut(&mut bytes).reverse();
    assert_eq!(bytes.iter().copied().collect::<Vec<_>>(), b"nnbaBA");
    for byte in &mut bytes {
        byte.make_ascii_lowercase();
    }
    assert_eq!((&bytes).into_iter().filter(|byte| **byte == b'a').count(), 2);
    assert_eq!(bytes.to_vec(), b"nnbaba");
    assert_eq!(Vec::from(bytes), b"nnbaba");
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn it_is_written_to() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    let mut bytes = buf(&pool, b"");
    bytes.write_all(b"ab").unwrap();
    assert_eq!(bytes.write(b"cd").unwrap(), 2);
    assert_eq!(bytes.write_vectored(&[IoSlice::new(b"ef"), IoSlice::new(b""), IoSlice::new(b"g")]).unwrap(), 3);
    bytes.flush().unwrap();
    // As with a `Vec`, which `write!` is meant is no question beside a `String`.
    let mut string = String::new();
    write!(string, "{}", 1_u8).unwrap();
    write!(bytes, "{string}i").unwrap();
    bytes.extend([b'j', b'k']);
    bytes.extend(b"l");
    bytes.extend_from_slice(b"m");
    bytes.push(b'n');
    assert_eq!(bytes, "abcdefg1ijklmn");
    assert_eq!(bytes.pop(), Some(b'n'));
    bytes.truncate(100);
    bytes.truncate(3);
    bytes.resize(5, b'!');
    bytes.resize(4, b'?');
    assert_eq!(bytes, "abc!");
    bytes.clear();
    assert_eq!((bytes.pop(), bytes.is_empty()), (None, true));
    drop((bytes, pool));
    ledger.assert_empty();
}

#[test]
fn spare_capacity_is_all_that_is_left() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    let mut bytes = buf(&pool, b"x");
    let capacity = bytes.capacity();
    assert_eq!(bytes.spare_capacity_mut().len(), capacity - 1);
    bytes.spare_capacity_mut()[0].write(b'y');
    // SAFETY: two bytes are written.
    unsafe { bytes.set_len(2) };
    assert_eq!(bytes, "xy");
    assert_eq!(bytes.as_ptr(), bytes.as_mut_ptr().cast_const());
    bytes.reserve(10);
    assert_eq!(bytes.capacity(), capacity, "there was room");
    bytes.reserve(capacity);
    assert!(bytes.capacity() >= 2 * capacity);
    assert_eq!(bytes, "xy");
    drop((bytes, pool));
    ledger.assert_empty();
}

#[test]
fn it_is_compared_by_content() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    let (a, b) = (buf(&pool, b"aa"), buf(&pool, b"ab"));
    // Of a pool with another allocator.
    let other = buf(&manual(&Odd(ledger.clone())), b"aa");
    assert_eq!(a, other);
    assert!(a < b);
    assert!(a < *b"ab");
    assert!(*"ab" > a);
    assert!(vec![0] < a);
    assert_eq!(a, *b"aa");
    assert_eq!(a, b"aa");
    assert_eq!(a, b"aa"[..]);
    assert_eq!(a, &b"aa"[..]);
    assert_eq!(a, "aa");
    assert_eq!(a, *"aa");
    assert_eq!(a, String::from("aa"));
    assert_eq!(a, vec![b'a'; 2]);
    assert_eq!(*b"aa", a);
    assert_eq!(b"aa"[..], a);
    assert_eq!("aa", a);
    assert_eq!(vec![b'a'; 2], a);
    assert_ne!(a, b);
    assert_eq!(a.cmp(&b), std::cmp::Ordering::Less);
    assert_eq!(format!("{a:?}"), format!("{:?}", b"aa"));
    drop((a, b, other, pool));
    ledger.assert_empty();
}

#[test]
fn it_is_a_key() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    let mut hashed = HashMap::new();
    let mut sorted = BTreeMap::new();
    hashed.insert(buf(&pool, b"key"), 1);
    sorted.insert(buf(&pool, b"key"), 1);
    assert_eq!((hashed.get(&b"key"[..]), sorted.get(&b"key"[..])), (Some(&1), Some(&1)));
    let borrowed: &[u8] = Borrow::borrow(hashed.keys().next().unwrap());
    assert_eq!(borrowed, b"key");
    let mut other = buf(&pool, b"key");
    let borrowed: &mut [u8] = other.borrow_mut();
    borrowed[0] = b'h';
    assert_eq!(other, "hey");
    drop((other, hashed, sorted, pool));
    ledger.assert_empty();
}

#[test]
fn a_clone_is_another_buffer_of_the_same_pool() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    let mut first = pool.get(100);
    first.extend_from_slice(b"same");
    let mut second = first.clone();
    first.push(b'!');
    assert_eq!(second, "same");
    second.clone_from(&first);
    assert_eq!(second, "same!");
    assert_eq!(ledger.live(), 2);
    drop((first, second, pool));
    ledger.assert_empty();
}

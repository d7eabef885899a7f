//! How many instructions does a warm get and drop take? `count.sh` runs this under callgrind, which counts while it is
//! inside the function that it is told. Unlike time, the count repeats exactly.

use std::hint::black_box;

use millpond_benches::baseline::{
    Allocator, Contender, FenceGate, Malloc, Millpond, MillpondObjects, MillpondReset, MillpondSampled,
    MillpondTracked, One, Queue, RawStack, TlsVec,
};
use millpond_benches::contest::touch;

const SIZE: usize = 4096;

#[inline(always)]
fn pair<C: Contender>(contender: &'static C, len: usize) {
    let mut buf = contender.get(len);
    touch::<C>(&mut buf);
}

macro_rules! counted {
    ($($(#[$doc:meta])* $name:ident: $contender:ty, $len:ident => $given:expr;)*) => {
        $(
            $(#[$doc])*
            // SAFETY: no other function of this program has the name.
            #[unsafe(no_mangle)]
            #[inline(never)]
            fn $name(contender: &'static $contender, $len: usize) {
                pair(contender, $given);
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];

        fn run(name: &str, calls: usize) -> bool {
            match name {
                $(stringify!($name) => call($name, calls),)*
                _ => return false,
            }
            true
        }
    };
}

counted! {
    warm_pair_raw_stack: RawStack<One>, len => len;
    warm_pair_thread_local_vec: TlsVec<One>, len => len;
    /// The size class is computed when it runs.
    warm_pair_millpond: Millpond, len => len;
    /// The size class is known to the compiler.
    warm_pair_4096: Millpond, _len => SIZE;
    warm_pair_objects: MillpondObjects, len => len;
    warm_pair_objects_reset: MillpondReset, len => len;
    warm_pair_fence_gate: FenceGate, len => len;
    warm_pair_fence_gate_4096: FenceGate, _len => SIZE;
    warm_pair_array_queue: Queue<One>, len => len;
    warm_pair_malloc: Allocator<Malloc>, len => len;
    /// As of the next one `.ci/hot_path` asks nothing of it: much of it is the clock's and the table's.
    tracked_pair_4096: MillpondTracked, _len => SIZE;
    /// Chance says how many are noted, so the count moves by what one takes in a thousand.
    sampled_pair_4096: MillpondSampled, _len => SIZE;
}

fn call<C: Contender>(function: fn(&'static C, usize), calls: usize) {
    let contender: &'static C = Box::leak(Box::new(C::new(SIZE)));
    // Warm, by a way that is not counted.
    (0..64).for_each(|_| drop(contender.get(black_box(SIZE))));
    (0..calls).for_each(|_| function(contender, black_box(SIZE)));
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ran = match words.as_slice() {
        [name, calls] => calls.parse().is_ok_and(|calls| run(name, calls)),
        _ => false,
    };
    if !ran {
        NAMES.iter().for_each(|name| println!("{name}"));
    }
}

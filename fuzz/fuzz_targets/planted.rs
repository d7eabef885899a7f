//! Three bugs that a pool hides, on purpose: a pointer into a buffer is read after the buffer has gone back, another one past the
//! buffer's length, and one into an arena after its end. `.ci/planted` demands that each is found in every mode that can find it, and in no other. `.ci/fuzz` passes this
//! target by.
//!
//! `MILLPOND_RECYCLE` says how the pool recycles: `always`, `chaos`, or by itself.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use millpond::{Collect, Pool, Recycle};

fuzz_target!(|request: &[u8]| {
    let recycle = match std::env::var("MILLPOND_RECYCLE").as_deref() {
        Ok("always") => Recycle::Always,
        Ok("chaos") => Recycle::Chaos(request.iter().map(|byte| u64::from(*byte)).sum()),
        _ => Recycle::Auto,
    };
    let pool = Pool::builder().collect(Collect::Manual).recycle(recycle).build().expect("sound");
    // Something idle for the request to find.
    drop(pool.get(4096));

    let arena = pool.arena();
    let word: *const u8 = arena.alloc_bytes(request.len().min(256)).as_ptr();

    let mut buf = pool.get(4096);
    buf.extend_from_slice(b"name=");
    buf.extend_from_slice(request);
    let name = buf.as_ptr().wrapping_add(5);
    let end = buf.as_ptr().wrapping_add(buf.len());
    let keep = match request {
        [b'<', ..] => Some(name),
        [b'>', ..] => {
            // SAFETY: none. It is in the block, and nothing was written there.
            black_box(unsafe { end.read() });
            None
        }
        _ => None,
    };
    drop(buf);
    if let Some(name) = keep {
        // SAFETY: none. The buffer has gone back.
        black_box(unsafe { name.read() });
    }
    drop(arena);
    if let [b'=', ..] = request {
        // SAFETY: none. The arena has ended.
        black_box(unsafe { word.read() });
    }
});

//! The seeds of the fuzz targets as a test: what a fuzz run once found is tried with every change, not only where somebody fuzzes.

use std::fs;
use std::path::Path;

/// Plays each file of `fuzz/seeds/` of that target, in the order of their names.
///
/// A package of the crate has neither `tests/` nor `fuzz/`. Somebody's copy that has the one without the other is told that nothing
/// was tried; where there is `fuzz/` there must be seeds, or a target that was renamed would lose them silently.
pub fn play_all(target: &str, play: impl Fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    if !fuzz.exists() {
        eprintln!("SKIPPED: there is no {}", fuzz.display());
        return;
    }
    let seeds = fuzz.join("seeds").join(target);
    let files = fs::read_dir(&seeds).unwrap_or_else(|error| panic!("{}: {error}", seeds.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no seed is in {}", seeds.display());
    for file in files {
        // Seen where it fails.
        println!("{}", file.display());
        play(&fs::read(file).unwrap());
    }
}

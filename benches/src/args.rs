//! The command line of every question.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, Default)]
pub struct Args {
    pub quick: bool,
    pub json: bool,
    /// Where a question that draws puts its picture.
    pub svg: Option<PathBuf>,
    /// Where one that draws several puts them.
    pub svg_dir: Option<PathBuf>,
    only: Option<String>,
}

const USAGE: &str = "usage: [--quick] [--json] [--only NAME] [--svg PATH] [--svg-dir DIR]
  --quick        3 rounds of 5 ms: shows that it runs, measures nothing
  --json         one object a line in place of tables
  --only NAME    only the contenders whose name contains NAME, beside the ones that ratios refer to
  --svg PATH     burst: draw it as well
  --svg-dir DIR  allocators: draw each workload as well";

impl Args {
    /// The process's own; ends the process if they make no sense.
    #[must_use]
    pub fn from_env() -> Self {
        Self::parse(std::env::args().skip(1)).unwrap_or_else(|complaint| {
            eprintln!("{complaint}\n{USAGE}");
            std::process::exit(2)
        })
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => args.quick = true,
                "--json" => args.json = true,
                "--only" => args.only = Some(words.next().ok_or("`--only` lacks a name")?),
                "--svg-dir" => args.svg_dir = Some(words.next().ok_or("`--svg-dir` lacks a path")?.into()),
                "--svg" => args.svg = Some(words.next().ok_or("`--svg` lacks a path")?.into()),
                // Cargo says so to every benchmark.
                "--bench" => {}
                _ => return Err(format!("what is `{word}`?")),
            }
        }
        Ok(args)
    }

    #[must_use]
    pub fn rounds(&self) -> usize {
        if self.quick { 3 } else { 11 }
    }

    /// How long a contender runs in a round.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_millis(if self.quick { 5 } else { 20 })
    }

    #[must_use]
    pub fn admits(&self, contender: &str) -> bool {
        self.only.as_ref().is_none_or(|part| contender.contains(part.as_str()))
    }
}

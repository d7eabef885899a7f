//! All workloads, one after the other.

use indicatif::{ProgressBar, ProgressStyle};
use millpond_benches::args::Args;
use millpond_benches::baseline::{Heap, Malloc};
use millpond_benches::contest::{Contest, Lane};
use millpond_benches::report::Times;

use crate::contenders::{ALL, Contender};
use crate::memory::{self, Memory};
use crate::workload::Workload;
use crate::{plot, table};

/// One contender's answer.
pub struct Record {
    pub times: Times,
    /// To the bare allocator under it, and to malloc.
    pub ratios: [f64; 2],
    pub memory: Memory,
}

pub fn main() {
    let args = Args::from_env();
    if memory::answered(&args) {
        return;
    }
    let asked = Workload::ALL.map(|workload| contenders(workload, &args));
    let steps = asked.iter().map(Vec::len).sum::<usize>() * (args.rounds() + 2);
    // Drawn to stderr, and not at all where that is no terminal.
    let bar = ProgressBar::new(steps as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}").expect("a template"));
    for (workload, contenders) in Workload::ALL.into_iter().zip(&asked) {
        bar.set_message(workload.name());
        let records = measure(workload, contenders, &args, &bar);
        bar.suspend(|| table::show(&args, workload, &records));
        if let Some(folder) = &args.svg_dir {
            std::fs::create_dir_all(folder).expect("the folder can be made");
            let path = folder.join(format!("{}.svg", workload.name()));
            plot::draw(&path, workload, &records).expect("a picture can be drawn there");
        }
    }
    bar.finish_and_clear();
}

/// Those that are wanted, and the allocators under them.
fn contenders(workload: Workload, args: &Args) -> Vec<&'static Contender> {
    let wanted = |contender: &&Contender| contender.name == Malloc::NAME || args.admits(contender.name);
    let under = |name| ALL.iter().filter(wanted).any(|contender| contender.over == name);
    let asked = ALL.iter().filter(|contender| wanted(contender) || under(contender.name));
    asked.filter(|contender| contender.can(workload)).collect()
}

fn measure(workload: Workload, contenders: &[&'static Contender], args: &Args, bar: &ProgressBar) -> Vec<Record> {
    let lane = |contender: &&Contender| {
        let running = (contender.start)(workload);
        let leave = move || (0..2).for_each(|_| (running.collect)());
        Lane::plain(contender.name, running.work, leave)
    };
    let lanes: Vec<_> = contenders.iter().map(lane).collect();
    let contest = Contest { args, threads: workload.threads(), cores: workload.cores() };
    let times = contest.time(&lanes, &|| bar.inc(1));
    let memory = contenders.iter().map(|contender| {
        bar.inc(1);
        memory::of(contender, workload, args)
    });
    let memory: Vec<_> = memory.collect();
    let of = |name| times.iter().find(|times| times.contender == name).expect("what others stand on is asked");
    let ratio = |n: usize, name| times[n].ratio_to(of(name));
    let ratios = contenders.iter().enumerate();
    let ratios: Vec<_> = ratios.map(|(n, contender)| [ratio(n, contender.over), ratio(n, Malloc::NAME)]).collect();
    let records = times.into_iter().zip(ratios).zip(memory);
    records.map(|((times, ratios), memory)| Record { times, ratios, memory }).collect()
}

//! Figures as text, in columns: for people, and for a log. Programs read the fields.
#![forbid(unsafe_code)]

use core::fmt::{self, Display, Formatter};

use super::{ClassStats, Collected, CollectorState, Stats};

impl Display for Stats {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let total = self.total();
        head(f)?;
        self.classes.iter().try_for_each(|class| row(f, class))?;
        row(f, &total)?;
        writeln!(f)?;
        self.bounds(f)?;
        writeln!(f)?;
        writeln!(
            f,
            "in use {}, idle {}; oversize: {} in use, {}, of {} gets",
            Bytes(self.in_use_bytes),
            Bytes(self.idle_bytes),
            self.oversize_in_use,
            Bytes(self.oversize_bytes),
            self.oversize_gets
        )?;
        if self.direct_bytes > 0 {
            writeln!(f, "direct from the allocator, as no class fits: {}", Bytes(self.direct_bytes))?;
        }
        if self.idle_arenas > 0 {
            writeln!(f, "idle arenas {}, {}", self.idle_arenas, Bytes(self.idle_arena_bytes))?;
        }
        self.refusals(f, &total)?;
        self.collections(f)?;
        self.collector(f)
    }
}

impl Stats {
    /// What is bounded: now, at most so far, and the knob.
    fn bounds(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>10} {:>10} {:>10} {:>10}  knob", "bytes", "now", "peak", "bound")?;
        let limit = self.limit.map_or_else(|| "none".to_owned(), |limit| Bytes(limit).to_string());
        writeln!(
            f,
            "{:>10} {:>10} {:>10} {limit:>10}  limit",
            "allocated",
            Bytes(self.allocated_bytes),
            Bytes(self.peak_bytes)
        )?;
        let rows = [
            ("reserved", self.reserved_bytes, self.peak_reserved_bytes, self.idle_limit, "idle_limit"),
            ("leased", self.leased_bytes, self.peak_leased_bytes, self.idle_limit / 2, "half of idle_limit"),
            ("one slot", self.slot_bytes, self.peak_slot_bytes, self.local_limit, "local_limit"),
        ];
        rows.iter().try_for_each(|(what, now, peak, bound, knob)| {
            writeln!(f, "{what:>10} {:>10} {:>10} {:>10}  {knob}", Bytes(*now), Bytes(*peak), Bytes(*bound))
        })
    }

    /// What met a bound. Lines of zeroes are left out.
    fn refusals(&self, f: &mut Formatter<'_>, total: &ClassStats) -> fmt::Result {
        writeln!(
            f,
            "slots {}; leases refused by local_limit {}, by idle_limit {}",
            self.slots, self.refused_by_local_limit, self.refused_by_idle_limit
        )?;
        if self.limit.is_some() {
            writeln!(f, "gets at the limit: {} failed, {} saved by a purge", self.limit_failed, self.limit_saved)?;
        }
        let discarded = total.discarded;
        if discarded.total() > 0 {
            writeln!(
                f,
                "discarded: {} over budget, {} bucket full, {} no depot",
                discarded.over_budget, discarded.bucket_full, discarded.no_depot
            )?;
        }
        if total.passed > 0 {
            writeln!(f, "passed: {} blocks freed by drops, as `recycle` says", total.passed)?;
        }
        if self.release_panics > 0 {
            writeln!(f, "panics of the allocator, or of `trimmed`: {}", self.release_panics)?;
        }
        Ok(())
    }

    pub(super) fn collections(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "collections {}, skipping a slot {}, longest {:?}; purges {}, longest {:?}; shells waiting {}",
            self.collections,
            self.collections_skipping,
            self.longest_collection,
            self.purges,
            self.longest_purge,
            self.shells_waiting
        )?;
        match &self.last_collection {
            Some(last) => writeln!(
                f,
                "last collection: {} blocks, {}, freed in {:?}; slots {}, skipped {}",
                last.blocks(),
                Bytes(last.bytes()),
                last.elapsed,
                last.slots,
                last.slots_skipped
            ),
            None => Ok(()),
        }
    }

    pub(super) fn collector(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "collector: {:?}", self.collector)?;
        if self.scheduling_inherited {
            write!(f, ", inherits scheduling")?;
        }
        if self.collector == CollectorState::Background {
            write!(f, "; memory pressure: {:?}, ", self.pressure)?;
            write!(f, "collections for it {}, purges {}", self.pressure_collections, self.pressure_purges)?;
        }
        if self.pressure_panics > 0 {
            write!(f, ", panics of the signal {}", self.pressure_panics)?;
        }
        writeln!(f)
    }
}

impl Display for ClassStats {
    /// As a table of one row.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f)?;
        row(f, self)
    }
}

fn head(f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{:>9} {:>7} {:>7} {:>7} {:>13}", "class", "in use", "idle", "peak", "gets")?;
    write!(f, " {:>7} {:>7} {:>8} {:>6}", "local %", "depot %", "victim %", "miss %")?;
    writeln!(f, " {:>11} {:>10} {:>10} {:>10}", "misses", "discarded", "trimmed", "purged")
}

fn row(f: &mut Formatter<'_>, class: &ClassStats) -> fmt::Result {
    let name = if class.size == 0 { "all".to_owned() } else { Bytes(class.size).to_string() };
    write!(f, "{name:>9} {:>7} {:>7} {:>7} {:>13}", class.in_use, class.idle, class.peak, class.gets())?;
    let [local, depot, victim, miss] =
        [class.local_rate(), class.depot_rate(), class.victim_rate(), class.miss_rate()].map(|share| share * 100.0);
    write!(f, " {local:>7.2} {depot:>7.2} {victim:>8.2} {miss:>6.2}")?;
    let discarded = class.discarded.total();
    writeln!(f, " {:>11} {discarded:>10} {:>10} {:>10}", class.misses, class.trimmed, class.purged)
}

impl Display for Collected {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.already_running {
            return writeln!(f, "nothing: another thread is collecting");
        }
        writeln!(f, "{:>10} {:>10} {:>10}", "tier", "blocks", "bytes")?;
        for (tier, freed) in [("local", self.local), ("depot", self.depot), ("victim", self.victim)] {
            writeln!(f, "{tier:>10} {:>10} {:>10}", freed.blocks, Bytes(freed.bytes))?;
        }
        if self.arenas.blocks > 0 {
            writeln!(f, "{:>10} {:>10} {:>10}", "arenas", self.arenas.blocks, Bytes(self.arenas.bytes))?;
        }
        writeln!(
            f,
            "slots {}, skipped {}; shells waiting {}; took {:?}",
            self.slots, self.slots_skipped, self.shells_waiting, self.elapsed
        )
    }
}

/// Bytes in the largest unit that leaves at most four digits before the point, exact for every size class: `640 B`, `4 KiB`,
/// `1.25 MiB`.
pub(super) struct Bytes(pub(super) usize);

impl Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "six digits are shown")]
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (mut value, mut unit) = (self.0 as f64, "B");
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            unit = larger;
        }
        let digits = [1.0, 10.0].iter().take_while(|scale| (value * **scale).fract() != 0.0).count();
        f.pad(&format!("{value:.digits$} {unit}"))
    }
}

//! Time here is a number that the test moves.
#![forbid(unsafe_code)]

use super::*;

const INTERVAL: Duration = Duration::from_secs(10);

#[test]
fn a_pool_is_due_once_an_interval_give_or_take_an_eighth() {
    let mut schedule = Schedule::new(INTERVAL, 7);
    let mut now = Instant::now();
    assert!(!schedule.is_due(now), "its first interval only begins");
    let mut gaps = Vec::new();
    for _ in 0..1000 {
        let next = schedule.next().unwrap();
        assert!(!schedule.is_due(next.checked_sub(Duration::from_nanos(1)).unwrap()));
        assert!(schedule.is_due(next));
        assert!(!schedule.is_due(next), "once");
        gaps.push(next - now);
        now = next;
    }
    assert!(gaps.iter().all(|gap| (INTERVAL - INTERVAL / 8..INTERVAL + INTERVAL / 8).contains(gap)));
    let mean = gaps.iter().sum::<Duration>() / 1000;
    assert!(mean.abs_diff(INTERVAL) < INTERVAL / 50, "{mean:?}");
}

#[test]
fn pools_that_begin_together_are_not_due_together() {
    let now = Instant::now();
    let mut next: Vec<_> = (0..100)
        .map(|pool: u64| {
            let mut schedule = Schedule::new(INTERVAL, 0x7f00_0000_0000 + pool * 0x1000);
            schedule.is_due(now);
            schedule.next().unwrap() - now
        })
        .collect();
    next.sort();
    assert!(next[90] - next[10] > INTERVAL / 10, "{next:?}");
    next.dedup();
    assert_eq!(next.len(), 100);
}

#[test]
fn a_pool_without_blocks_has_no_next_time_and_begins_anew() {
    let mut schedule = Schedule::new(INTERVAL, 7);
    let start = Instant::now();
    assert_eq!(schedule.next(), None);
    schedule.is_due(start);
    schedule.sleep();
    assert_eq!(schedule.next(), None);
    let later = start + 100 * INTERVAL;
    assert!(!schedule.is_due(later), "a whole interval passes first");
    assert!(schedule.next().unwrap() > later + INTERVAL / 2);
}

#[test]
fn an_interval_beyond_the_clock_is_never_due() {
    for interval in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_nanos(1)] {
        let mut schedule = Schedule::new(interval, 7);
        assert!(!schedule.is_due(Instant::now()));
        assert_eq!(schedule.next().is_none(), interval > Duration::from_secs(1), "{interval:?}");
    }
}

#[test]
fn an_interval_that_leaves_no_time_to_sleep_is_longer() {
    let mut schedule = Schedule::new(Duration::from_nanos(1), 7);
    let now = Instant::now();
    assert!(!schedule.is_due(now));
    assert!(schedule.next().unwrap() - now > Duration::from_micros(800));
}

/// What was decided at each of some moments, in seconds.
fn decisions(moments: impl IntoIterator<Item = (f64, bool, Pressure)>) -> Vec<(f64, Reach)> {
    let start = Instant::now();
    let mut watch = Watch::default();
    let decide = |(at, due, memory)| {
        let now = start + Duration::from_secs_f64(at);
        Some((at, watch.decide(now, due, memory, INTERVAL)?))
    };
    moments.into_iter().filter_map(decide).collect()
}

#[test]
fn with_enough_memory_only_the_interval_counts() {
    let moments = (0..40).map(|at| (f64::from(at), at % 10 == 0, Pressure::Low));
    let expected = [0.0, 10.0, 20.0, 30.0].map(|at| (at, Reach::Idle));
    assert_eq!(decisions(moments), expected);
}

#[test]
fn a_moderate_shortage_is_met_by_a_collection_at_each_look() {
    let short = |at| if (3..6).contains(&at) { Pressure::Moderate } else { Pressure::Low };
    let moments = (0..15).map(|at| (f64::from(at), at == 0 || at == 10, short(at)));
    let expected = [0.0, 3.0, 4.0, 5.0, 10.0].map(|at| (at, Reach::Idle));
    assert_eq!(decisions(moments), expected);
}

/// Two collections in short succession would free what is in use every second: the working set.
#[test]
fn collections_for_a_shortage_lie_a_look_apart() {
    let moments = (0..40).map(|tenth| (f64::from(tenth) / 10.0, tenth % 7 == 0, Pressure::Moderate));
    let times: Vec<_> = decisions(moments).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [0.0, 1.0, 2.0, 3.0]);
}

#[test]
fn a_severe_shortage_is_met_by_one_purge_and_then_by_collections() {
    let moments = (0..5).map(|at| (f64::from(at), false, Pressure::Severe));
    let mut expected = [0.0, 1.0, 2.0, 3.0, 4.0].map(|at| (at, Reach::Idle));
    expected[0].1 = Reach::All;
    assert_eq!(decisions(moments), expected);
}

/// The purge does not wait for the spacing: the kernel would not either.
#[test]
fn a_purge_comes_at_once() {
    let moments = [(0.0, true, Pressure::Low), (0.1, false, Pressure::Severe)];
    assert_eq!(decisions(moments), [(0.0, Reach::Idle), (0.1, Reach::All)]);
}

/// A signal that flaps around its bound must not empty the pool again and again: each purge is followed by as many misses.
#[test]
fn a_flapping_signal_has_one_purge_until_there_was_enough_for_long() {
    let flapping = |at: u32| if at.is_multiple_of(2) { Pressure::Severe } else { Pressure::Low };
    let moments = (0..60).map(|at| (f64::from(at), false, flapping(at)));
    let purges = |decided: Vec<(f64, Reach)>| {
        decided.into_iter().filter(|(_, reach)| *reach == Reach::All).map(|(at, _)| at).collect::<Vec<_>>()
    };
    assert_eq!(purges(decisions(moments)), [0.0]);

    let calm = |at: u32| if at == 0 || at >= 12 { Pressure::Severe } else { Pressure::Low };
    let moments = (0..20).map(|at| (f64::from(at), false, calm(at)));
    assert_eq!(purges(decisions(moments)), [0.0, 12.0]);

    let not_long_enough = |at: u32| if at == 0 || at >= 10 { Pressure::Severe } else { Pressure::Low };
    let moments = (0..20).map(|at| (f64::from(at), false, not_long_enough(at)));
    assert_eq!(purges(decisions(moments)), [0.0]);
}

/// Half an interval of milliseconds, as there is no second between two collections then.
#[test]
fn a_short_interval_keeps_its_times() {
    let interval = Duration::from_millis(10);
    let (start, mut watch) = (Instant::now(), Watch::default());
    let collected = (0..100).filter(|n| watch.decide(start + interval * *n, true, Pressure::Low, interval).is_some());
    assert_eq!(collected.count(), 100);
}

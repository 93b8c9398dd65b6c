//! The schedules that every test run takes, which start from the date. A failure names its seed, and
//! `SIM_SEED=n cargo test -p sim` replays it.

#[test]
fn every_schedule_ends_as_the_model_says_and_leaves_nothing_behind() {
    let (from, count) = match std::env::var("SIM_SEED") {
        Ok(seed) => (seed.parse().expect("SIM_SEED is a number"), 1),
        Err(_) => (first_of_today(), sim::SEEDS),
    };
    if let Err(failure) = sim::run_many(from, count) {
        panic!("{failure}");
    }
}

/// Each day plays other schedules, and all tests of a day the same ones.
fn first_of_today() -> u64 {
    let day = 24 * 60 * 60;
    let since = std::time::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| since.as_secs() / day) * sim::SEEDS
}

#[test]
fn the_same_seed_does_the_same_twice() {
    for seed in 1_000_000..1_000_300 {
        let digests = [sim::run(seed), sim::run(seed)].map(|result| match result {
            Ok(digest) => digest,
            Err(failure) => panic!("{failure}"),
        });
        assert_eq!(digests[0], digests[1], "SIM_SEED={seed}");
    }
}

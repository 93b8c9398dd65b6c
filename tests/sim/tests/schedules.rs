//! The schedules that every test run takes. `SIM_SEED=n cargo test -p sim` replays one.

#[test]
fn every_schedule_ends_as_the_model_says_and_leaves_nothing_behind() {
    let (from, count) = match std::env::var("SIM_SEED") {
        Ok(seed) => (seed.parse().expect("SIM_SEED is a number"), 1),
        Err(_) => (1, sim::SEEDS),
    };
    if let Err(failure) = sim::run_many(from, count) {
        panic!("{failure}");
    }
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

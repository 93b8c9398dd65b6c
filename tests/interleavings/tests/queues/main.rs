//! What must hold in every schedule.

mod inbox;
mod latch;
mod selects;

use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Schedules of each kind.
const SCHEDULES: usize = 1_000;

/// Points at which a schedule of the second kind switches to another thread though the one that
/// runs could go on. Most faults need one or two.
const SWITCHES: usize = 3;

/// Plays `test` in many schedules; a deadlock fails, with the schedule that led to it.
fn in_every_schedule(test: impl Fn() + Send + Sync + Clone + 'static) {
    let random = RandomScheduler::new(SCHEDULES);
    Runner::new(random, Config::default()).run(test.clone());
    let few_switches = PctScheduler::new(SWITCHES, SCHEDULES);
    Runner::new(few_switches, Config::default()).run(test);
}

/// Runs `function` in a thread of the scheduler.
fn spawn<T: Send + 'static>(
    function: impl FnOnce() -> T + Send + 'static,
) -> shuttle::thread::JoinHandle<T> {
    shuttle::thread::spawn(function)
}

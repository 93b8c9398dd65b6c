//! `Latch`.

use super::{block_on, in_every_schedule, spawn};
use interleavings::error::LatchError;
use interleavings::latch::Latch;

#[test]
fn each_value_goes_to_one_of_those_who_wait() {
    in_every_schedule(|| {
        let latch = Latch::new();
        let consumers = [latch.clone(), latch.clone()];
        let consumers = consumers.map(|latch| spawn(move || block_on(latch.get())));
        let putting = latch.clone();
        let putting = spawn(move || putting.put(1).unwrap());
        latch.put(2).unwrap();
        let mut values = consumers.map(|consumer| consumer.join().unwrap().unwrap());
        values.sort_unstable();
        assert_eq!(values, [1, 2]);
        putting.join().unwrap();
    });
}

#[test]
fn closing_ends_every_wait() {
    in_every_schedule(|| {
        let latch = Latch::<u64>::new();
        let consumers = [latch.clone(), latch.clone()];
        let consumers = consumers.map(|latch| spawn(move || block_on(latch.get())));
        latch.close();
        for consumer in consumers {
            assert_eq!(consumer.join().unwrap(), Err(LatchError.into()));
        }
    });
}

//! `Inbox`, and the wakers in it.

use super::{block_on, in_every_schedule, spawn};
use interleavings::error::Error;
use interleavings::messages::Receiver;

#[test]
fn each_message_goes_to_one_of_those_who_wait() {
    in_every_schedule(|| {
        let receiver = Receiver::listen();
        let consumers = [receiver.clone(), receiver.clone()];
        let consumers = consumers.map(|receiver| spawn(move || block_on(receiver.get())));
        receiver.put(1, None);
        receiver.put(2, None);
        let mut values = consumers.map(|consumer| consumer.join().unwrap().unwrap());
        values.sort_unstable();
        assert_eq!(values, [1, 2]);
    });
}

#[test]
fn the_last_message_ends_the_wait_of_the_others() {
    in_every_schedule(|| {
        let receiver = Receiver::listen();
        let consumers = [receiver.clone(), receiver.clone()];
        let consumers = consumers.map(|receiver| spawn(move || block_on(receiver.get())));
        receiver.put(1, Some("the last"));
        let mut values = consumers.map(|consumer| consumer.join().unwrap());
        values.sort_by_key(|value| value.clone().ok());
        assert_eq!(values, [Err(Error::Channel), Ok(1)]);
    });
}

#[test]
fn closing_ends_each_wait_whoever_gives_up_meanwhile() {
    in_every_schedule(|| {
        let receiver = Receiver::listen();
        let waiting = receiver.clone();
        let waiting = spawn(move || block_on(waiting.get()));
        let impatient = receiver.clone();
        let impatient = spawn(move || {
            let once =
                futures_util::future::select(Box::pin(impatient.get()), std::future::ready(()));
            drop(block_on(once));
        });
        receiver.close();
        assert_eq!(waiting.join().unwrap(), Err(Error::Channel));
        impatient.join().unwrap();
    });
}

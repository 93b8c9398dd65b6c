use super::*;
use crate::message::DeadKind;

const THERE: (ContextId, Handle) = (ContextId(7), Handle(5000));
const CREDIT: Handle = Handle(9000);
const AVAILABLE: Capacity = Capacity::Available(CREDIT);

fn credited(wake: bool, finished: Option<Handle>) -> Option<Credited> {
    Some(Credited { wake, finished })
}

fn sender() -> Streams {
    let mut streams = Streams::default();
    streams.open(THERE.0, THERE.1, CREDIT);
    streams
}

fn put(streams: &mut Streams, length: usize) -> Capacity {
    let capacity = streams.capacity(THERE.0, THERE.1, length);
    if capacity == AVAILABLE {
        streams.sent(THERE.0, THERE.1, length);
    }
    capacity
}

#[test]
fn a_sender_stops_at_the_window_and_goes_on_with_credit() {
    let mut streams = sender();
    let mut sent = 0;
    while put(&mut streams, 1000) == AVAILABLE {
        sent += cost(1000);
    }
    assert!(sent <= STREAM_WINDOW && sent + cost(1000) > STREAM_WINDOW);
    assert_eq!(
        streams.on_credit(THERE.0, THERE.1, cost(1000)),
        credited(true, None)
    );
    assert_eq!(put(&mut streams, 1000), AVAILABLE);
    assert_eq!(put(&mut streams, 1000), Capacity::Blocked);
}

#[test]
fn one_message_of_any_size_may_be_under_way() {
    let mut streams = sender();
    let large = 2 * STREAM_WINDOW as usize;
    assert_eq!(put(&mut streams, large), AVAILABLE);
    assert_eq!(put(&mut streams, 0), Capacity::Blocked);
}

#[test]
fn credit_for_what_was_never_sent_is_nonsense() {
    let mut streams = sender();
    assert_eq!(put(&mut streams, 10), AVAILABLE);
    assert_eq!(streams.on_credit(THERE.0, THERE.1, cost(10) + 1), None);
}

#[test]
fn a_released_flow_is_kept_until_all_was_taken() {
    let mut streams = sender();
    assert_eq!(put(&mut streams, 10), AVAILABLE);
    assert_eq!(streams.release(THERE.0, THERE.1), None);
    assert_eq!(
        streams.on_credit(THERE.0, THERE.1, cost(10)),
        credited(false, Some(CREDIT))
    );
    assert_eq!(streams.gauges().0, 0);
}

#[test]
fn an_ended_flow_says_why_until_it_is_released() {
    let mut streams = sender();
    assert!(streams.end(THERE.0, THERE.1, Dead::new(DeadKind::Closed, "enough")));
    assert!(matches!(put(&mut streams, 1), Capacity::Ended(dead) if dead.reason == "enough"));
    assert_eq!(streams.release(THERE.0, THERE.1), Some(CREDIT));
    assert_eq!(put(&mut streams, 1), Capacity::NotOpen);
}

#[test]
fn who_waits_is_not_forgotten_when_another_has_room() {
    let mut streams = sender();
    assert_eq!(put(&mut streams, 100_000), AVAILABLE);
    assert_eq!(put(&mut streams, 200_000), Capacity::Blocked);
    assert_eq!(put(&mut streams, 10), AVAILABLE);
    assert_eq!(
        streams.on_credit(THERE.0, THERE.1, cost(100_000)),
        credited(true, None)
    );
}

#[test]
fn who_waits_on_a_stream_that_was_released_before_is_told_of_its_end() {
    let mut streams = sender();
    assert_eq!(put(&mut streams, 200_000), AVAILABLE);
    assert_eq!(streams.release(THERE.0, THERE.1), None);
    assert_eq!(put(&mut streams, 100_000), Capacity::Blocked);
    assert!(streams.end(THERE.0, THERE.1, Dead::new(DeadKind::Closed, "enough")));
}

const LINK: Option<LinkId> = Some(LinkId(1));

fn item(src: u32, length: usize) -> Arriving {
    Arriving {
        link: LINK,
        src: ContextId(src),
        handle: Handle(4000),
        length,
        kind: Kind::Stream,
        credit: CREDIT,
    }
}

/// Takes a message, and gives what its sender is told.
fn take(streams: &mut Streams, receipt: Receipt) -> Option<Credit> {
    streams.take(receipt).then(|| streams.credit_for(receipt))?
}

#[test]
fn a_receiver_gives_back_what_it_took_and_forgets_nothing() {
    let mut streams = Streams::default();
    let message = item(3, 1000);
    let mut held = Vec::new();
    while streams.admits(&message, 0) {
        held.push(streams.hold(&message));
    }
    let mut last = 0;
    for receipt in held {
        if let Some(credit) = take(&mut streams, receipt) {
            assert!(credit.taken > last);
            last = credit.taken;
        }
    }
    assert_eq!(last, STREAM_WINDOW / cost(1000) * cost(1000));
    assert_eq!(streams.gauges(), (0, 1, 0));
    assert_eq!(streams.close(message.handle), [(message.src, CREDIT)]);
    assert_eq!(streams.gauges(), (0, 0, 0));
}

#[test]
fn what_takes_no_credit_does_not_use_up_the_streams_window() {
    let mut streams = Streams::default();
    let post = Arriving {
        kind: Kind::Message,
        credit: Handle::NONE,
        ..item(3, 1000)
    };
    while streams.admits(&post, 0) {
        streams.hold(&post);
    }
    let mut room = 0;
    while streams.admits(&item(3, 1000), 0) {
        streams.hold(&item(3, 1000));
        room += cost(1000);
    }
    assert_eq!(room, STREAM_WINDOW / cost(1000) * cost(1000));
}

/// With a look at each stream for each handle and each loss this would not end.
#[test]
fn l2_a_handle_that_closes_looks_only_at_its_own_streams() {
    let mut streams = Streams::default();
    for number in 0..100_000 {
        streams.hold(&Arriving {
            handle: Handle(1000 + u64::from(number)),
            ..item(number, 0)
        });
    }
    for number in 0..50_000 {
        let told = streams.close(Handle(1000 + u64::from(number)));
        assert_eq!(told, [(ContextId(number), CREDIT)]);
    }
    for number in 50_000..100_000 {
        streams.remove_senders(&[ContextId(number)]);
        assert_eq!(streams.close(Handle(1000 + u64::from(number))), []);
    }
    assert_eq!(streams.gauges(), (0, 0, 0));
    assert!(streams.senders.is_empty() && streams.receivers.is_empty());
}

#[test]
fn t5_a_sender_that_starts_anew_gets_one_more_window_and_no_third() {
    let mut streams = Streams::default();
    let mut held = 0;
    for credit in 1..100 {
        let message = Arriving {
            credit: Handle(credit),
            ..item(3, 60_000)
        };
        while streams.admits(&message, 0) {
            streams.hold(&message);
            held += cost(60_000);
        }
    }
    assert!(held > STREAM_WINDOW && held <= 2 * STREAM_WINDOW, "{held}");
}

#[test]
fn t5_what_a_lost_context_has_sent_counts_until_it_is_taken() {
    let mut streams = Streams::default();
    let receipt = streams.hold(&item(3, 1000));
    streams.remove_senders(&[ContextId(3)]);
    assert_eq!(streams.gauges(), (0, 1, cost(1000)));
    assert_eq!(take(&mut streams, receipt), None);
    assert_eq!(streams.gauges(), (0, 0, 0));
}

#[test]
fn t5_who_does_not_read_its_credit_is_owed_it_once() {
    let mut streams = Streams::default();
    for _ in 0..1000 {
        let receipt = streams.hold(&item(3, 1));
        if streams.take(receipt) {
            streams.queue_credit(LinkId(1), receipt);
        }
    }
    let credit = streams.next_credit(LinkId(1)).unwrap();
    assert_eq!(credit.taken, 1000 * cost(1));
    assert_eq!(streams.next_credit(LinkId(1)), None);
}

#[test]
fn t5_a_link_cannot_make_us_hold_more_than_its_share() {
    let mut streams = Streams::default();
    let mut held = 0;
    for src in 1.. {
        if !streams.admits(&item(src, 60_000), 0) {
            break;
        }
        while streams.admits(&item(src, 60_000), 0) {
            streams.hold(&item(src, 60_000));
            held += cost(60_000);
        }
    }
    assert!(held <= LINK_STREAMS_BYTES_MAX);
    let elsewhere = Arriving {
        link: Some(LinkId(2)),
        ..item(9_999_999, 60_000)
    };
    assert!(streams.admits(&elsewhere, 0));
    assert!(!streams.admits(&elsewhere, LINK_STREAMS_BYTES_MAX));
}

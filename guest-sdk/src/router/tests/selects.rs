//! Select, row by row.

use std::time::Duration;

use super::host::{asked, deliver, fail, gone};
use super::*;

const NOW: Duration = Duration::ZERO;

fn receiver() -> Receiver<u8> {
    Router::new(Host::new(0, [], "controller"))
        .receiver()
        .unwrap()
}

fn receivers<const N: usize>() -> [Receiver<u8>; N] {
    std::array::from_fn(|_| receiver())
}

#[track_caller]
fn check(select: &Select<u8>, want: &[(&Receiver<u8>, u8)]) {
    for (receiver, value) in want {
        let event = select.get_timeout(NOW).unwrap();
        assert_eq!((&event.source, event.value), (*receiver, Ok(*value)));
    }
}

#[track_caller]
fn refused<T: fmt::Debug>(result: Result<T, RouterError>, want: SelectError) {
    assert_eq!(result.unwrap_err(), RouterError::Select(want));
}

#[test]
fn s020_a_select_is_made_of_any_sources_or_of_none_of_them() {
    let [one, two, three] = receivers();
    let inner = Select::with([&two]).unwrap();
    let channel = Channel::<u8, ()>::new(three.clone(), Sender::new(7, 1));
    let sources = [
        Source::from(&one),
        Source::from(&inner),
        Source::from(&channel),
    ];
    let select = Select::with(sources).unwrap();
    for (value, receiver) in [&three, &two, &one].into_iter().enumerate() {
        deliver(receiver.handle(), &(value as u8));
    }
    check(&select, &[(&three, 0), (&two, 1), (&one, 2)]);

    let [free, owned] = receivers();
    let _owner = Select::with([&owned]).unwrap();
    refused(Select::with([&free, &owned]), SelectError::Owned);
    Select::with([&free]).expect("the failed select owns nothing");
}

#[test]
fn s021_s022_oneshot_removes_and_the_order_is_that_of_arrival() {
    let [one, two] = receivers();
    for oneshot in [true, false] {
        let select = Select::with([&one, &two]).unwrap().oneshot(oneshot);
        deliver(two.handle(), &1u8);
        deliver(one.handle(), &2u8);
        check(&select, &[(&two, 1), (&one, 2)]);
        assert_eq!(select.has_sources(), !oneshot);
        select.close();
    }
}

#[test]
fn s023_nothing_to_wait_for_is_an_error_whatever_the_timeout() {
    let select = Select::<u8>::new();
    refused(select.get(), SelectError::NoSources);
    refused(
        select.get_timeout(Duration::from_secs(1)),
        SelectError::NoSources,
    );
    select.add(receiver()).unwrap();
    let error = select.get_timeout(NOW).unwrap_err();
    assert!(matches!(error, RouterError::Timeout(_)), "{error}");
    assert!(select.has_sources(), "a timeout removes nothing");
}

#[test]
fn s023_what_someone_else_took_is_not_waited_for() {
    let [one, two] = receivers();
    let select = Select::with([&one, &two]).unwrap();
    deliver(one.handle(), &1u8);
    deliver(two.handle(), &2u8);
    assert_eq!(one.get().unwrap(), 1);
    check(&select, &[(&two, 2)]);
    assert!(matches!(
        select.get_timeout(NOW),
        Err(RouterError::Timeout(_))
    ));
}

#[test]
fn s024_all_that_waited_before_comes_out() {
    let one = receiver();
    for value in 0..5u8 {
        deliver(one.handle(), &value);
    }
    let select = Select::with([&one]).unwrap().oneshot(false);
    let values: Vec<_> = select
        .drain()
        .unwrap()
        .into_iter()
        .map(|event| event.value.unwrap())
        .collect();
    assert_eq!(values, [0, 1, 2, 3, 4]);
    assert!(matches!(
        select.get_timeout(NOW),
        Err(RouterError::Timeout(_))
    ));
}

#[test]
fn s025_s028_having_sources_is_not_being_ready() {
    let one = receiver();
    let select = Select::new();
    assert!(!select.has_sources());
    assert!(select.is_empty().unwrap());
    select.add(&one).unwrap();
    assert!(select.has_sources());
    assert!(select.is_empty().unwrap());
    deliver(one.handle(), &1u8);
    assert!(!select.is_empty().unwrap());
}

#[test]
fn s026_s027_closing_and_dropping_free_the_sources_and_leave_them_open() {
    let [one, two] = receivers();
    let inner = Select::with([&one]).unwrap();
    let outer = Select::with([Source::from(&inner), Source::from(&two)]).unwrap();
    outer.close();
    outer.close();
    assert!(!outer.has_sources());
    assert!(inner.has_sources(), "a nested select keeps its own");
    let other = Select::with([Source::from(&inner), Source::from(&two)]).unwrap();
    drop(other);
    let other = Select::with([&two]).unwrap();
    deliver(two.handle(), &1u8);
    check(&other, &[(&two, 1)]);
    refused(other.add(&one), SelectError::Owned);
    drop(inner);
    other.add(&one).unwrap();
    assert!(
        !asked()
            .iter()
            .any(|request| matches!(request, Request::Close { .. }))
    );
}

#[test]
fn s029_iteration_goes_on_until_no_source_is_left() {
    assert_eq!(Select::<u8>::new().iter().count(), 0);
    let [one, two] = receivers();
    let select = Select::with([&one, &two]).unwrap().oneshot(false);
    for value in 0..4u8 {
        deliver(one.handle(), &value);
    }
    deliver(two.handle(), &9u8);
    let mut seen = Vec::new();
    for event in &select {
        let event = event.unwrap();
        let value = *event.value.as_ref().unwrap();
        seen.push(value);
        if value == 3 {
            select.remove(&one).unwrap();
        } else if value == 9 {
            select.remove(&two).unwrap();
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 9]);
}

#[test]
fn s030_a_scheduler_drains_and_forgets_the_calls_that_ended() {
    let select = Select::new().oneshot(false);
    let own_context = Router::new(Host::new(0, [], "controller")).own_context();
    let target = receiver();
    let ask = |value: u8| {
        own_context
            .send_async::<_, u8>(target.handle(), &value)
            .unwrap()
    };
    let calls = [ask(0), ask(1)];
    for call in &calls {
        select.add(call).unwrap();
    }
    deliver(calls[1].handle(), &1u8);
    let ready: Vec<_> = select
        .drain()
        .unwrap()
        .into_iter()
        .map(|event| event.value.unwrap())
        .collect();
    assert_eq!(ready, [1]);
    deliver(calls[0].handle(), &0u8);
    assert_eq!(select.drain().unwrap().len(), 1);
    assert!(
        !select.has_sources(),
        "a call that has ended can never fire again"
    );
}

#[test]
fn s032_a_source_is_in_one_select_once() {
    let one = receiver();
    let select = Select::with([&one]).unwrap();
    refused(select.add(&one), SelectError::Owned);
    refused(Select::new().add(&one), SelectError::Owned);
    let outer = Select::with([&select]).unwrap();
    refused(outer.add(&select), SelectError::Owned);
    deliver(one.handle(), &1u8);
    assert_eq!(
        outer.iter().count(),
        1,
        "the refused addition left nothing behind"
    );
}

#[test]
fn s033_cycles_are_refused_and_leave_no_trace() {
    let [s0, s1, s2] = std::array::from_fn(|_| Select::<u8>::new());
    refused(s0.add(&s0), SelectError::Cycle);
    s0.add(&s1).unwrap();
    s1.add(&s2).unwrap();
    refused(s2.add(&s0), SelectError::Cycle);
    refused(s2.add(&s1), SelectError::Cycle);
    assert!(!s2.has_sources());
    let one = receiver();
    s2.add(&one).unwrap();
    deliver(one.handle(), &1u8);
    check(&s0, &[(&one, 1)]);
    assert!(!s0.has_sources());
}

#[test]
fn s034_a_failed_source_is_named_and_with_oneshot_removed() {
    let [one, two] = receivers();
    let select = Select::with([&one, &two]).unwrap();
    fail(two.handle(), gone());
    deliver(one.handle(), &1u8);
    let event = select.get().unwrap();
    assert_eq!(event.source, two);
    assert!(matches!(event.value, Err(RouterError::Channel(_))));
    check(&select, &[(&one, 1)]);
    assert!(!select.has_sources());
}

#[test]
fn s035_a_nested_select_yields_leaves_and_stays_while_it_has_sources() {
    for outer_oneshot in [true, false] {
        let [a, b, c, d] = receivers();
        let inner = Select::with([&a, &b, &c]).unwrap();
        let outer = Select::with([Source::from(&inner), Source::from(&d)]).unwrap();
        let outer = outer.oneshot(outer_oneshot);
        for (value, receiver) in [&b, &d, &a, &c].into_iter().enumerate() {
            deliver(receiver.handle(), &(value as u8));
        }
        check(&outer, &[(&b, 0), (&d, 1), (&a, 2)]);
        assert!(outer.has_sources());
        check(&outer, &[(&c, 3)]);
        assert_eq!(outer.has_sources(), !outer_oneshot);
        assert!(!inner.has_sources());
    }
}

#[test]
fn s036_an_empty_nested_select_counts_and_fills_later() {
    let inner = Select::<u8>::new();
    let outer = Select::with([&inner]).unwrap();
    assert!(matches!(
        outer.get_timeout(NOW),
        Err(RouterError::Timeout(_))
    ));
    assert!(
        matches!(outer.get(), Err(RouterError::Usage(_))),
        "it would wait for ever"
    );
    let one = receiver();
    inner.add(&one).unwrap();
    deliver(one.handle(), &1u8);
    check(&outer, &[(&one, 1)]);
}

#[test]
fn s037_what_waits_in_a_nested_select_is_seen_from_outside() {
    let one = receiver();
    let inner = Select::with([&one]).unwrap();
    deliver(one.handle(), &1u8);
    let outer = Select::with([inner]).unwrap();
    assert!(!outer.is_empty().unwrap());
    check(&outer, &[(&one, 1)]);
}

#[test]
fn s038_only_members_are_removed() {
    let [one, two] = receivers();
    let select = Select::new();
    refused(select.remove(&one), SelectError::NotMember);
    let owner = Select::with([&two]).unwrap();
    refused(select.remove(&two), SelectError::NotMember);
    owner.remove(&two).unwrap();
    refused(owner.remove(&two), SelectError::NotMember);
    select.add(&two).unwrap();
}

#[test]
fn s039_what_arrived_before_the_removal_is_still_returned() {
    for oneshot in [true, false] {
        for others in [0, 1] {
            let [one, other] = receivers();
            let select = Select::with([&one]).unwrap().oneshot(oneshot);
            if others == 1 {
                select.add(&other).unwrap();
            }
            deliver(one.handle(), &1u8);
            deliver(one.handle(), &2u8);
            select.remove(&one).unwrap();
            deliver(one.handle(), &3u8);
            check(&select, &[(&one, 1), (&one, 2)]);
            assert_eq!(
                one.try_get().unwrap(),
                Some(3),
                "what came later is not the select's"
            );
            assert_eq!(select.has_sources(), others == 1);
        }
    }
}

#[test]
fn s039_what_was_taken_from_the_removed_receiver_is_not_waited_for() {
    let one = receiver();
    let select = Select::with([&one]).unwrap();
    deliver(one.handle(), &1u8);
    select.remove(&one).unwrap();
    assert_eq!(one.get().unwrap(), 1);
    refused(select.get(), SelectError::NoSources);
}

#[test]
fn s040_a_source_that_was_closed_here_is_an_event() {
    let [one, two] = receivers();
    let select = Select::with([&one, &two]).unwrap().oneshot(false);
    one.close();
    assert!(!select.is_empty().unwrap());
    let event = select.get().unwrap();
    assert_eq!(event.source, one);
    assert!(matches!(event.value, Err(RouterError::Channel(_))));
    assert!(matches!(
        select.get_timeout(NOW),
        Err(RouterError::Timeout(_))
    ));
}

#[test]
fn s042_the_four_texts() {
    let texts = [
        (
            SelectError::NoSources,
            "cannot get(), Select instance is empty",
        ),
        (
            SelectError::Owned,
            "cannot add: Receiver is already owned by another Select",
        ),
        (
            SelectError::Cycle,
            "adding this Select instance would create a Select cycle",
        ),
        (
            SelectError::NotMember,
            "instance is not a member of this Select",
        ),
    ];
    for (error, text) in texts {
        assert_eq!(RouterError::from(error).to_string(), text);
        assert_eq!(
            RouterError::from(error).type_name(),
            "offshoot_guest::SelectError"
        );
    }
}

#[test]
fn b031_all_gives_the_values_as_they_arrive_or_the_first_error() {
    let [one, two] = receivers();
    deliver(two.handle(), &2u8);
    deliver(one.handle(), &1u8);
    assert_eq!(Select::all([&one, &two]).unwrap(), [2, 1]);
    fail(two.handle(), gone());
    assert!(matches!(
        Select::all([&one, &two]),
        Err(RouterError::Channel(_))
    ));
    let nothing = Select::<u8>::all::<Receiver<u8>>([]).unwrap();
    assert!(nothing.is_empty());
}

#[test]
fn l16_selects_nest_as_deep_as_a_stack_bears_and_no_deeper() {
    let mut top = Select::<u8>::new();
    for _ in 1..64 {
        top = Select::with([&top]).unwrap();
    }
    refused(Select::with([&top]), SelectError::TooDeep);
}

//! Contexts, receivers, senders and channels.

use std::time::Duration;

use offshoot_abi::router::Method;
use offshoot_abi::{CallFailure, Function, GuestError, record};

use super::host::{asked, deliver, fail, gone};
use super::*;
use crate::{CallError, Error};

/// A function somewhere else, as the macro would describe it.
enum Double {}

impl Function for Double {
    const PLUGIN: &'static str = "sums";
    const NAME: &'static str = "double";
    const SIGNATURE: u64 = record::signature(&[], &offshoot_abi::Shape::U64);
    const CONCURRENT: bool = true;
    type Arguments = (u64,);
    type Output = u64;
}

fn router() -> Router {
    Router::new(Host::new(0, [], "controller"))
}

fn failed() -> RequestError {
    RequestError::Call(Box::new(CallError {
        context: "local.7".to_owned(),
        function: "sums::double".to_owned(),
        failure: CallFailure::from(GuestError {
            type_name: "sums::TooLarge".to_owned(),
            message: "it does not fit".to_owned(),
            ..GuestError::default()
        }),
    }))
}

#[test]
fn s080_a_builder_says_all_that_it_was_told() {
    let parent = router().context_by_id(3);
    let child = router()
        .local()
        .via(&parent)
        .name("worker")
        .remote_name("test")
        .debug(true)
        .connect_timeout(Duration::from_secs(5))
        .connect()
        .unwrap();
    assert_eq!((child.id(), child.name()), (7, "worker"));
    let [Request::Connect(connect)] = &asked()[..] else {
        panic!("one context was asked for");
    };
    assert_eq!(
        (connect.via, connect.timeout_ms, connect.debug),
        (Some(3), Some(5000), true)
    );
    let Method::Local(local) = &connect.method;
    assert_eq!(local.remote_name.as_deref(), Some("test"));
}

#[test]
fn s105_a_call_carries_what_its_function_says_of_itself() {
    let context = router()
        .context_by_id(7)
        .with_timeout(Duration::from_millis(20));
    let receiver = context.call_async::<Double>((21,)).unwrap();
    deliver(receiver.handle(), &42u64);
    assert_eq!(receiver.get().unwrap(), 42);
    let [Request::Call(call)] = &asked()[..] else {
        panic!("one call was made");
    };
    assert_eq!(
        (call.context, &*call.plugin, &*call.function),
        (7, "sums", "double")
    );
    assert_eq!((call.signature, call.concurrent), (Double::SIGNATURE, true));
    assert_eq!(
        (call.timeout_us, call.chain, call.no_reply),
        (Some(20_000), 0, false)
    );
    assert_eq!(call.arguments.0, [21]);
}

#[test]
fn s108_an_error_keeps_its_type_and_message_through_a_question_mark() {
    let receiver = router()
        .context_by_id(7)
        .call_async::<Double>((1,))
        .unwrap();
    fail(receiver.handle(), failed());
    let through = || -> crate::Result<u64> { Ok(receiver.get()?) };
    let error: Error = through().unwrap_err();
    let report = error.to_guest_error();
    assert_eq!(report.type_name, "sums::TooLarge");
    assert_eq!(report.message, "sums::double in local.7: it does not fit");
    let again = receiver.get().unwrap_err();
    assert!(matches!(again, RouterError::Channel(_)), "{again}");
}

#[test]
fn b020_calls_of_a_chain_share_its_number_and_reset_forgets() {
    let context = router().context_by_id(7);
    let (one, other) = (context.chain(), context.chain());
    drop(one.call_async::<Double>((1,)).unwrap());
    one.call_no_reply::<Double>((2,)).unwrap();
    drop(other.call_async::<Double>((3,)).unwrap());
    one.reset().unwrap();
    drop(one);
    let made = asked();
    let chains: Vec<_> = made
        .iter()
        .filter_map(|request| match request {
            Request::Call(call) => Some(call.chain),
            _ => None,
        })
        .collect();
    assert_eq!(chains[0], chains[1]);
    assert_ne!(chains[0], chains[2]);
    let resets = made
        .iter()
        .filter(|request| matches!(request, Request::ResetChain { .. }));
    assert_eq!(
        resets.count(),
        1,
        "dropping after a reset has nothing to forget"
    );
    drop(other);
    assert!(matches!(
        &asked()[..],
        [Request::ResetChain { context: 7, .. }]
    ));
}

#[test]
fn b021_nobody_waits_for_a_call_without_reply() {
    router()
        .context_by_id(7)
        .call_no_reply::<Double>((1,))
        .unwrap();
    assert!(matches!(&asked()[..], [Request::Call(call)] if call.no_reply));
}

#[test]
fn b022_shutdown_waits_if_asked_to() {
    let context = router().context_by_id(7);
    context.shutdown().unwrap();
    context.shutdown_wait().unwrap();
    let shutdown = |wait| Request::Shutdown { context: 7, wait };
    assert_eq!(asked(), [shutdown(false), shutdown(true)]);
}

#[test]
fn b023_contexts_are_equal_by_their_id() {
    let named = Context::new(ContextAddress {
        id: 7,
        name: "web1".to_owned(),
        target: "x".to_owned(),
    });
    assert_eq!(named, router().context_by_id(7));
    assert_ne!(named, router().context_by_id(8));
}

#[test]
fn s100_a_context_travels_and_a_name_too_long_does_not() {
    let address = |name: String| ContextAddress {
        id: 7,
        name,
        target: "x".to_owned(),
    };
    let bytes = postcard::to_allocvec(&address("web1".to_owned())).unwrap();
    let context: Context = postcard::from_bytes(&bytes).unwrap();
    assert_eq!((context.id(), context.name()), (7, "web1"));
    assert_eq!(postcard::to_allocvec(&context).unwrap(), bytes);
    let bytes = postcard::to_allocvec(&address("x".repeat(101))).unwrap();
    assert!(postcard::from_bytes::<Context>(&bytes).is_err());
}

#[test]
fn s102_a_message_is_replied_to() {
    let receiver = router().receiver::<String>().unwrap();
    let own_context = router().own_context();
    let reply = own_context
        .send_async::<_, u8>(receiver.handle(), &"ping")
        .unwrap();
    let message = receiver.get_message().unwrap();
    assert_eq!((&*message.value, message.source()), ("ping", 0));
    message.reply(&5u8).unwrap();
    assert_eq!(reply.get().unwrap(), 5);

    own_context.send(receiver.handle(), &"no answer").unwrap();
    let message = receiver.get_message().unwrap();
    assert!(!message.wants_reply());
    assert!(matches!(message.reply(&1u8), Err(RouterError::Usage(_))));
}

#[test]
fn s103_a_reply_that_is_late_is_a_timeout_and_leaves_no_receiver() {
    let receiver = router().receiver::<u8>().unwrap();
    let own_context = router()
        .own_context()
        .with_timeout(Duration::from_millis(1));
    let error = own_context
        .send_await::<_, u8>(receiver.handle(), &1u8)
        .unwrap_err();
    assert!(matches!(error, RouterError::Timeout(_)), "{error}");
    assert!(matches!(asked().last(), Some(Request::Close { .. })));
}

#[test]
fn s120_a_receiver_can_have_the_handle_that_its_peers_know() {
    let receiver = router()
        .receiver_with::<u8>(ListenOptions::new().handle(55))
        .unwrap();
    assert_eq!(receiver.handle(), 55);
    deliver(55, &1u8);
    assert_eq!(receiver.get().unwrap(), 1);
}

#[test]
fn s123_b030_a_receiver_knows_what_waits() {
    let receiver = router().receiver::<u8>().unwrap();
    assert!(receiver.is_empty().unwrap());
    deliver(receiver.handle(), &1u8);
    deliver(receiver.handle(), &2u8);
    assert_eq!(receiver.len().unwrap(), 2);
    assert_eq!(receiver.try_get().unwrap(), Some(1));
    assert_eq!(receiver.get_timeout(Duration::ZERO).unwrap(), 2);
    assert_eq!(receiver.try_get().unwrap(), None);
    let error = receiver.get_timeout(Duration::ZERO).unwrap_err();
    assert!(matches!(error, RouterError::Timeout(_)), "{error}");
}

#[test]
fn s124_a_closed_receiver_says_so_and_closes_once() {
    let receiver = router().receiver::<u8>().unwrap();
    deliver(receiver.handle(), &1u8);
    asked();
    receiver.close();
    receiver.close();
    assert!(matches!(receiver.get(), Err(RouterError::Channel(_))));
    assert!(matches!(receiver.len(), Err(RouterError::Channel(_))));
    let clone = receiver.clone();
    drop((receiver, clone));
    assert!(matches!(&asked()[..], [Request::Close { .. }]));
}

#[test]
fn the_last_clone_closes_on_drop() {
    let receiver = router().receiver::<u8>().unwrap();
    asked();
    let clone = receiver.clone();
    drop(receiver);
    assert!(asked().is_empty());
    let receiver = clone.handle();
    drop(clone);
    assert_eq!(asked(), [Request::Close { receiver }]);
}

#[test]
fn s127_iteration_ends_when_the_channel_does_and_goes_on_after_other_errors() {
    let receiver = router().receiver::<u8>().unwrap();
    deliver(receiver.handle(), &1u8);
    fail(receiver.handle(), failed());
    deliver(receiver.handle(), &2u8);
    fail(receiver.handle(), gone());
    deliver(receiver.handle(), &3u8);
    let items: Vec<_> = receiver.iter().collect();
    assert_eq!(items.len(), 3);
    assert_eq!(items[0], Ok(1));
    assert!(matches!(items[1], Err(RouterError::Call(_))));
    assert_eq!(items[2], Ok(2));
    assert_eq!(receiver.get().unwrap(), 3, "what came later is still there");
}

#[test]
fn s129_a_sender_travels_sends_and_ends() {
    let receiver = router().receiver::<String>().unwrap();
    let bytes = postcard::to_allocvec(&receiver.to_sender()).unwrap();
    assert_eq!(bytes.len(), offshoot_abi::SENDER_ADDRESS_LEN);
    let sender: Sender<String> = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(sender, receiver.to_sender());
    sender.put(&"hello".to_owned()).unwrap();
    sender.close().unwrap();
    assert_eq!(receiver.get().unwrap(), "hello");
    assert!(matches!(receiver.get(), Err(RouterError::Channel(_))));
    receiver.close();
    assert!(matches!(
        sender.put(&String::new()),
        Err(RouterError::Channel(_))
    ));
}

#[test]
fn s130_a_channel_goes_both_ways() {
    let (here, there) = Channel::<String, u8>::pair(&router()).unwrap();
    here.put(&7).unwrap();
    there.put(&"seven".to_owned()).unwrap();
    assert_eq!(there.get().unwrap(), 7);
    assert_eq!(here.get_timeout(Duration::ZERO).unwrap(), "seven");
    assert_eq!(here.handle(), there.sender().handle());
    here.close().unwrap();
    assert!(matches!(there.get(), Err(RouterError::Channel(_))));
}

#[test]
fn what_is_no_such_value_is_told_and_the_next_one_comes() {
    let receiver = router().receiver::<u8>().unwrap();
    deliver(receiver.handle(), &(1u8, 2u8));
    deliver(receiver.handle(), &3u8);
    let error = receiver.get().unwrap_err();
    assert_eq!(
        error.to_string(),
        "what context 0 sent is no `u8`: 1 of 2 bytes are left over"
    );
    assert_eq!(receiver.get().unwrap(), 3);
}

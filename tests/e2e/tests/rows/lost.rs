//! Contexts that are lost: whoever waits for one is woken at once, and told which it was.

use std::time::{Duration, Instant};

use e2e::{fanout, kill, pid_of, until, with_lone_router, with_router};
use e2e_plugin as guest;
use futures_util::FutureExt;
use offshoot::{
    ChannelErrorKind, Context, Grant, ListenOptions, Message, Receiver, Router, Select,
};

use crate::channel_error;

/// How long a wait for what is lost may go on.
const AT_ONCE: Duration = Duration::from_secs(2);

/// All ways to wait for `target`; `lose` makes it go, and `blamed` is whose loss it is.
async fn every_wait_ends(router: &Router, target: &Context, blamed: &Context, lose: impl FnOnce()) {
    let listen = ListenOptions::new().respondent(target);
    let listens: Receiver<u32> = router.receiver_with(listen).unwrap();
    let clones = listens.clone();
    let call = target.call_async::<guest::sleep>((60_000,)).await.unwrap();
    let queued = target.call_async::<guest::add>((1, 1)).await.unwrap();
    let in_select = target.call_async::<guest::add>((1, 2)).await.unwrap();
    let select = Select::with([&in_select]).unwrap();
    let plain = call.clone();
    let thread = std::thread::spawn(move || plain.get_blocking_timeout(Duration::from_secs(60)));
    let waits = async {
        let one = async { channel_error(listens.get().await) };
        let other = async { channel_error(clones.get().await) };
        let call = async { channel_error(call.get().await) };
        let queued = async { channel_error(queued.get().await) };
        let selected = async { channel_error(select.get().await.unwrap().value) };
        tokio::join!(one, other, queued, selected, target.lost(), call.map(drop))
    };
    let began = std::cell::Cell::new(Instant::now());
    let trigger = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        began.set(Instant::now());
        lose();
    };
    let both = async { tokio::join!(waits, trigger).0 };
    let ended = tokio::time::timeout(Duration::from_secs(20), both).await;
    let (one, other, queued, selected, reason, ()) = ended.expect("no wait goes on");
    let took = began.get().elapsed();
    assert!(took < AT_ONCE, "{took:?}");
    let _ = thread.join().unwrap();
    let blamed = format!("context {} was lost", blamed.id());
    // One of two that wait on one queue gets the word itself, the other one that it was said.
    for error in [&one, &other] {
        assert!(error.reason.contains(&blamed), "{error}");
        assert!(error.to_string().contains(target.name()), "{error}");
    }
    for error in [&queued, &selected] {
        assert_eq!(error.kind, ChannelErrorKind::Disconnected);
        assert!(error.reason.contains(&blamed), "{error}");
        assert!(error.to_string().contains(target.name()), "{error}");
    }
    assert!(reason.contains(&blamed), "{reason}");
    let error = channel_error(target.call::<guest::add>((1, 1)).await);
    assert_eq!(error.kind, ChannelErrorKind::NoRoute);
}

#[test]
fn b040_s121_a_direct_child_that_is_lost_wakes_everyone() {
    with_router(async |router| {
        let child = router.local().await.unwrap();
        every_wait_ends(&router, &child, &child, || kill(pid_of(&child))).await;
    });
}

#[test]
fn b040_s121_an_indirect_child_that_is_lost_wakes_everyone() {
    with_router(async |router| {
        let child = router.local().await.unwrap();
        let grandchild = router.local().via(&child).await.unwrap();
        every_wait_ends(&router, &grandchild, &grandchild, || {
            kill(pid_of(&grandchild));
        })
        .await;
        assert_eq!(child.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn b040_s121_an_intermediate_context_that_is_lost_is_the_one_that_is_named() {
    with_router(async |router| {
        let first = router.local().await.unwrap();
        let second = router.local().via(&first).await.unwrap();
        let third = router.local().via(&second).await.unwrap();
        every_wait_ends(&router, &third, &first, || kill(pid_of(&first))).await;
        until("all are gone", || router.stats().contexts == 0).await;
    });
}

#[test]
fn b040_a_context_that_is_disconnected_on_purpose_wakes_everyone() {
    with_router(async |router| {
        let child = router.local().await.unwrap();
        let cuts = router.clone();
        every_wait_ends(&router, &child, &child, || {
            assert!(cuts.disconnect(&child).unwrap())
        })
        .await;
        assert!(!router.disconnect(&child).unwrap(), "once");
    });
}

#[test]
fn s121_the_respondent_must_be_there_to_begin_with() {
    with_router(async |router| {
        let child = router.local().await.unwrap();
        kill(pid_of(&child));
        child.lost().await;
        let listen = ListenOptions::new().respondent(&child);
        let error = channel_error(router.receiver_with::<u32>(listen).map(drop));
        assert_eq!(error.kind, ChannelErrorKind::NoRoute);
        assert!(error.to_string().contains(child.name()), "{error}");
        let answer = child.send_await::<u32>(Message::new(500, &1).unwrap(), None);
        channel_error(answer.await);
        channel_error(child.send(Message::new(500, &1).unwrap()));
    });
}

#[test]
fn s110_a_call_to_a_lost_context_fails_at_once_and_names_it() {
    with_router(async |router| {
        let child = router.local().await.unwrap();
        let grandchild = router.local().via(&child).await.unwrap();
        kill(pid_of(&child));
        grandchild.lost().await;
        for lost in [&child, &grandchild] {
            let began = Instant::now();
            let error = channel_error(lost.call::<guest::add>((1, 1)).await);
            assert!(began.elapsed() < AT_ONCE);
            assert_eq!(error.kind, ChannelErrorKind::NoRoute);
            assert!(error.to_string().contains(lost.name()), "{error}");
            assert!(!error.may_have_run);
        }
    });
}

#[test]
fn b040_the_stream_of_a_lost_context_ends_with_its_name() {
    with_router(async |router| {
        router.add_plugin(fanout().grant(Grant::Router));
        let child = router.local().await.unwrap();
        let grandchild = router.local().via(&child).await.unwrap();
        let listen = ListenOptions::new().respondent(&grandchild);
        let numbers: Receiver<u64> = router.receiver_with(listen).unwrap();
        let sender = numbers.to_sender().to_portable();
        let call = grandchild.call_async::<::fanout::numbers>((sender, 1_000_000));
        let call = call.await.unwrap();
        assert_eq!(numbers.get().await.unwrap(), 0);
        kill(pid_of(&child));
        let end = async {
            loop {
                if let Err(error) = numbers.get().await {
                    return error;
                }
            }
        };
        let error = tokio::time::timeout(Duration::from_secs(10), end).await;
        let error = channel_error::<()>(Err(error.expect("it ends")));
        let blamed = format!("context {} was lost", child.id());
        assert!(error.reason.contains(&blamed), "{error}");
        channel_error(call.get().await);
    });
}

#[test]
fn s104_the_loss_of_a_context_is_told_with_the_reason_and_the_tree_goes_on() {
    with_router(async |router| {
        let lost = router.local().await.unwrap();
        let stays = router.local().await.unwrap();
        let pid = pid_of(&lost);
        let (reason, ()) = tokio::join!(lost.lost(), async { kill(pid) });
        assert!(reason.contains("was lost"), "{reason}");
        assert!(!lost.lost().await.is_empty(), "also later");
        assert_eq!(stays.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn a_context_waits_for_itself_in_vain_but_not_for_ever() {
    with_lone_router(async |router| {
        let me = router.own_context();
        let lost = me.lost();
        futures_util::pin_mut!(lost);
        assert!(lost.as_mut().now_or_never().is_none());
        router.shutdown().await;
        let reason = tokio::time::timeout(AT_ONCE, lost).await.expect("it ends");
        assert!(reason.contains("shut down"), "{reason}");
    });
}

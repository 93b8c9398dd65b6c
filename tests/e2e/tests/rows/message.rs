//! `Message`, and sending without streams.

use std::time::{Duration, Instant};

use e2e::with_lone_router;
use offshoot::{Blob, ChannelErrorKind, Error, Handler, Message, RouterBuilder, Secret};

use crate::{assert_timeout, channel_error, pair};

#[test]
fn s101_a_message_leaves_from_any_thread_and_bears_its_sender() {
    with_lone_router(async |router| {
        let (receiver, _) = pair::<String>(&router);
        let me = router.own_context();
        let handle = receiver.handle();
        let thread = std::thread::spawn(move || me.send(Message::new(handle, &"hi").unwrap()));
        let message = receiver.get_message().await.unwrap();
        thread.join().unwrap().unwrap();
        assert_eq!(message.source(), 0);
        assert_eq!(message.decode::<String>().unwrap(), "hi");
        assert_eq!(message.reply_to(), None);
        assert!(matches!(message.reply(&1), Err(Error::Usage(_))));
    });
}

#[test]
fn s102_an_answer_comes_to_a_receiver_of_its_own() {
    with_lone_router(async |router| {
        let double = Handler::new(|message: Message| {
            if let Ok(number) = message.decode::<u32>() {
                message.reply(&(2 * number)).unwrap();
                // A second one is nobody's, unless the receiver persists.
                let _ = message.reply(&(3 * number));
            }
        });
        let handle = router.add_handler(double).unwrap();
        let me = router.own_context();
        let ask = || Message::new(handle, &21_u32).unwrap();
        let once = me.send_async::<u32>(ask(), false).unwrap();
        assert_eq!(once.context(), Some(&me));
        assert_eq!(once.get().await.unwrap(), 42);
        assert!(once.is_over());
        let persists = me.send_async::<u32>(ask(), true).unwrap();
        assert_eq!(persists.get().await.unwrap(), 42);
        assert_eq!(persists.get().await.unwrap(), 63);
        router.remove_handler(handle);
    });
}

#[test]
fn s103_an_answer_that_comes_too_late_is_nobodys_and_leaks_nothing() {
    with_lone_router(async |router| {
        // It keeps the messages, and answers them later.
        let kept = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let keeps = kept.clone();
        let handler = Handler::new(move |message: Message| keeps.lock().unwrap().push(message));
        let handle = router.add_handler(handler).unwrap();
        let before = router.stats();
        let began = Instant::now();
        let deadline = Some(Duration::from_millis(30));
        let me = router.own_context();
        let answer = me.send_await::<u32>(Message::new(handle, &1).unwrap(), deadline);
        assert_timeout(answer.await);
        let waited = began.elapsed();
        assert!(waited >= Duration::from_millis(30) && waited < Duration::from_secs(2));
        assert_eq!(router.stats().handles, before.handles);
        let message = kept.lock().unwrap().pop().unwrap();
        message.reply(&1).unwrap();
        assert_eq!(router.stats().late, before.late + 1);
        let answer = me.send_await::<u32>(Message::new(handle, &1).unwrap(), Some(Duration::ZERO));
        assert_timeout(answer.await);
        kept.lock().unwrap().clear();
        router.remove_handler(handle);
    });
}

#[test]
fn s069_a_handle_that_nobody_listens_on_is_an_answer() {
    with_lone_router(async |router| {
        let answer = router
            .own_context()
            .send_await::<u32>(Message::new(4711, &1).unwrap(), None)
            .await;
        let error = channel_error(answer);
        assert_eq!(error.kind, ChannelErrorKind::NoHandle);
        assert!(error.reason.contains("4711"), "{error}");
    });
}

#[test]
fn s069_a_context_that_is_not_there_is_an_error_at_once() {
    with_lone_router(async |router| {
        let error = channel_error(router.route(1234, Message::new(500, &1).unwrap()));
        assert_eq!(error.kind, ChannelErrorKind::NoRoute);
        assert!(error.to_string().contains("1234"), "{error}");
        assert!(router.context_by_id(1234).is_none());
    });
}

#[test]
fn b025_a_message_is_answered_by_the_word_that_there_is_no_answer() {
    with_lone_router(async |router| {
        let handler = Handler::new(|message: Message| {
            if !message.is_dead() {
                message.reply_dead("we are closed on Mondays").unwrap();
            }
        });
        let handle = router.add_handler(handler).unwrap();
        let ask = Message::new(handle, &1).unwrap();
        let error = channel_error(router.own_context().send_await::<u32>(ask, None).await);
        assert_eq!(error.reason, "we are closed on Mondays");
        router.remove_handler(handle);

        let (receiver, _) = pair::<u32>(&router);
        let end = Message::end(receiver.handle(), "that was all");
        assert!(end.is_dead() && end.bytes().is_empty());
        assert_eq!(end.reason(), Some("that was all"));
        assert!(end.decode::<u32>().is_err());
        router.route(0, end).unwrap();
        assert_eq!(channel_error(receiver.get().await).reason, "that was all");
    });
}

#[test]
fn b026_a_message_can_be_bytes_or_several_values() {
    with_lone_router(async |router| {
        let (receiver, _) = pair::<u32>(&router);
        let bytes = receiver.untyped();
        let raw = Message::from_bytes(receiver.handle(), &b"\x00\xff raw"[..]);
        router.route(0, raw).unwrap();
        assert_eq!(&bytes.get().await.unwrap()[..], b"\x00\xff raw");

        let several = Message::new(receiver.handle(), &("a", 1_u32, [2_u64, 3])).unwrap();
        router.route(0, several).unwrap();
        let message = receiver.get_message().await.unwrap();
        let mut values = message.values().unwrap();
        assert_eq!(values.take::<String>().unwrap(), "a");
        assert_eq!(values.take::<u32>().unwrap(), 1);
        let rest: Result<Vec<u64>, _> = values.iter().collect();
        assert_eq!(rest.unwrap(), [2, 3]);
        assert!(values.is_empty());
        assert!(matches!(values.take::<u32>(), Err(Error::Malformed { .. })));
        // A value that takes no bytes does not make it endless.
        let mut values = message.values().unwrap();
        let units: Vec<_> = values.iter::<()>().collect();
        assert!(units.len() == 1 && units[0].is_err());
    });
}

#[test]
fn s152_what_is_malformed_says_so_and_the_next_one_comes() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<String>(&router);
        for bytes in [&b"\x05abc"[..], b"", b"\x02\xff\xff", b"\x01abc"] {
            router
                .route(0, Message::from_bytes(receiver.handle(), bytes))
                .unwrap();
        }
        for _ in 0..4 {
            let error = receiver.get().await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
            let handle = receiver.handle().to_string();
            assert!(error.to_string().contains(&handle), "{error}");
        }
        sender.put(&"well".to_owned()).await.unwrap();
        assert_eq!(receiver.get().await.unwrap(), "well");
    });
}

#[test]
fn b027_secrets_and_blobs_travel_and_print_as_none_of_what_they_hold() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<(Secret, Blob)>(&router);
        sender
            .put(&(Secret::new("hunter2"), Blob(vec![65; 128])))
            .await
            .unwrap();
        let (secret, blob) = receiver.get().await.unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(blob.len(), 128);
        let text = format!("{secret} {secret:?} {blob:?}");
        assert_eq!(text, "[secret] [secret] [blob: 128 bytes]");
        let message = Message::new(500, &(secret, blob)).unwrap();
        let text = format!("{message:?}");
        assert!(
            !text.contains("hunter2") && !text.contains("AAAA"),
            "{text}"
        );
    });
}

#[test]
fn b044_a_message_that_is_too_large_is_an_error_of_its_sender() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let router = RouterBuilder::default()
            .max_message_size(1000)
            .build()
            .unwrap();
        let (receiver, sender) = pair::<Vec<u8>>(&router);
        let error = channel_error(sender.put(&vec![0; 2000]).await);
        assert_eq!(error.kind, ChannelErrorKind::TooLarge);
        assert!(error.reason.contains("too large (max 1000)"), "{error}");
        let message = Message::from_bytes(receiver.handle(), vec![0; 2000]);
        let error = channel_error(router.route(0, message));
        assert_eq!(error.kind, ChannelErrorKind::TooLarge);
        sender.put(&vec![7; 900]).await.unwrap();
        assert_eq!(receiver.get().await.unwrap().len(), 900);
        router.shutdown().await;
    });
}

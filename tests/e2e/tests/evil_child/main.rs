//! Children that do what no child should: each is refused, counted or cut off, and its siblings
//! and the controller go on as if nothing had happened.

mod making;
mod recorder;

use std::sync::Arc;
use std::time::Duration;

use e2e::evil::Disguise;
use e2e::with_router;
use e2e_plugin as guest;
use offshoot::{Context, Error, ListenOptions, Receiver, Router, RouterStats, Sender};
use offshoot_proto::limits::LOG_RATE;
use recorder::Recorder;

/// Far more than any attack takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of an attack.
struct Aftermath {
    /// How the evil child's own call ended.
    call: Result<u64, Error>,
    /// What the evil child learnt.
    report: String,
    /// What the controller has counted meanwhile.
    stats: RouterStats,
    /// Mebibytes by which the controller grew.
    grown: u64,
}

impl Aftermath {
    #[track_caller]
    fn error(&self) -> String {
        self.call.as_ref().expect_err("the call fails").to_string()
    }
}

fn disguise(attack: &str) -> Disguise {
    Disguise::new(env!("CARGO_BIN_EXE_evil-child"), attack)
}

/// A parent for the evil child and its sibling.
async fn parent(router: &Router, place: Place) -> Option<Context> {
    match place {
        Place::Child => None,
        Place::Grandchild => Some(router.local().name("middle").await.unwrap()),
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Child,
    Grandchild,
}

async fn start(
    router: &Router,
    parent: Option<&Context>,
    disguise: Option<&Disguise>,
) -> Result<Context, Error> {
    let mut local = router.local().connect_timeout(PATIENCE);
    if let Some(parent) = parent {
        local = local.via(parent);
    }
    if let Some(disguise) = disguise {
        local = local.child_path(disguise.path()).name("evil");
    }
    local.await
}

/// Lets an evil child loose beside a sibling with a call that waits, and calls the sibling
/// meanwhile and afterwards.
fn suffer(attack: &str, place: Place) -> Aftermath {
    with_router(async |router| {
        let before = resident_mebibytes();
        // Programs that take nothing, and all.
        let listen = ListenOptions::new().handle(700);
        let receiver = router.receiver_with::<()>(listen).unwrap();
        let parent = parent(&router, place).await;
        let sibling = start(&router, parent.as_ref(), None).await.unwrap();
        let sibling = sibling.with_timeout(PATIENCE);
        let waiting = sibling.call_async::<guest::sleep>((500,)).await.unwrap();
        let disguise = disguise(attack);
        let evil = start(&router, parent.as_ref(), Some(&disguise))
            .await
            .unwrap();
        let evil = evil.with_timeout(PATIENCE);
        let call = evil.call_async::<guest::add>((1, 2)).await;
        let program = tokio::spawn(program(
            attack.to_owned(),
            receiver,
            Sender::new(&evil, 900),
        ));
        for _ in 0..20 {
            // As fast as ever or not: each is answered, once and in order.
            assert_eq!(sibling.call::<guest::count_alone>(()).await.unwrap(), 1);
        }
        let mut call = match call {
            Ok(call) => call.get().await,
            Err(error) => Err(error),
        };
        if attack == "noise in mid-stream" {
            call = evil.call::<guest::add>((1, 2)).await;
        }
        waiting.get().await.unwrap();
        let large = vec![7; 1 << 20];
        assert_eq!(
            sibling.call::<guest::echo>((large.clone(),)).await.unwrap(),
            large
        );
        if let Some(parent) = &parent {
            assert_eq!(parent.call::<guest::add>((3, 4)).await.unwrap(), 7);
        }
        program.abort();
        let _ = program.await;
        Aftermath {
            call,
            report: disguise.report(),
            stats: router.stats(),
            grown: resident_mebibytes().saturating_sub(before),
        }
    })
}

/// The program of the test, which receives what the evil child sends, and sends to it.
async fn program(attack: String, receiver: Receiver<()>, sender: Sender<Vec<u8>>) {
    match &*attack {
        "small items and no credit read" => while receiver.get().await.is_ok() {},
        "credit for nothing" => while sender.put(&vec![0; 50_000]).await.is_ok() {},
        _ => {}
    }
    std::future::pending::<()>().await;
}

/// The link is cut, and the error of the evil child's call says why.
#[track_caller]
fn check_cut(attack: &str, why: &str) {
    for place in [Place::Child, Place::Grandchild] {
        let error = suffer(attack, place).error();
        assert!(
            error.starts_with("no answer from evil: "),
            "{place:?}: {error}"
        );
        assert!(error.contains(why), "{place:?}: {error}");
        assert!(!error.contains('\x1b'), "{place:?}: {error:?}");
    }
}

/// The attack comes to nothing: even the evil child's own call goes on.
#[track_caller]
fn check_ignored(attack: &str) -> [String; 2] {
    [Place::Child, Place::Grandchild].map(|place| {
        let aftermath = suffer(attack, place);
        assert_eq!(aftermath.call.unwrap(), 3, "{place:?}");
        aftermath.report
    })
}

/// Megabytes of it come to nothing: it is counted, takes no memory, and even the evil child's own
/// call goes on.
#[track_caller]
fn check_flood(attack: &str) -> [Aftermath; 2] {
    [Place::Child, Place::Grandchild].map(|place| {
        let aftermath = suffer(attack, place);
        assert_eq!(*aftermath.call.as_ref().unwrap(), 3, "{place:?}");
        assert!(aftermath.grown < 64, "{place:?}: {} MiB", aftermath.grown);
        aftermath
    })
}

#[test]
fn t1_every_header_of_its_own_comes_to_nothing() {
    for aftermath in check_flood("every header that is its own") {
        let RouterStats {
            refused,
            late,
            violations,
            ..
        } = aftermath.stats;
        assert!(refused > 1500 && late > 7000, "{refused} {late}");
        assert_eq!(violations, 0);
    }
}

#[test]
fn t1_every_header_in_the_name_of_others_is_an_offence() {
    check_cut(
        "every header that is not its own",
        "it broke the rules more than 16 times; the last: a message claims",
    );
}

#[test]
fn t2_ids_are_granted_once_and_used_once() {
    let [child, _] = check_flood("ids without end");
    assert_eq!(child.stats.violations, 9);
}

#[test]
fn t5_more_than_the_window_is_refused_and_takes_no_memory() {
    let [child, grandchild] = check_flood("more than the window");
    for aftermath in [child, grandchild] {
        assert!(aftermath.stats.refused > 8000, "{:?}", aftermath.stats);
    }
}

#[test]
fn t5_credit_that_is_not_read_takes_no_memory() {
    for place in [Place::Child, Place::Grandchild] {
        let aftermath = suffer("small items and no credit read", place);
        assert!(aftermath.grown < 64, "{place:?}: {} MiB", aftermath.grown);
        // It also sends more than it may, and is cut off once it leaves the refusals unread.
        if let Err(error) = aftermath.call {
            assert!(error.to_string().contains("refusals"), "{place:?}: {error}");
        }
    }
}

#[test]
fn t5_credit_for_what_was_never_sent_is_refused() {
    for aftermath in check_flood("credit for nothing") {
        let refusals = "no stream is wanted at this handle\n".repeat(3);
        assert_eq!(aftermath.report, refusals + "all given\n");
        assert!(aftermath.stats.refused >= 7, "{:?}", aftermath.stats);
    }
}

#[test]
fn t5_dead_messages_without_end_are_answered_by_nobody() {
    for aftermath in check_flood("dead messages without end") {
        assert!(aftermath.stats.late > 190_000, "{:?}", aftermath.stats);
    }
}

#[test]
fn t5_a_million_beginnings_take_no_memory() {
    for aftermath in check_flood("a million beginnings") {
        assert!(
            aftermath.stats.refused >= 1_000_000,
            "{:?}",
            aftermath.stats
        );
    }
}

#[test]
fn t6_an_image_that_was_not_offered_is_not_given() {
    let [child, grandchild] = check_flood("asks for images");
    assert_eq!(child.stats.violations, 5);
    for aftermath in [child, grandchild] {
        let refusals = "only an ancestor may ask that\n".repeat(2);
        assert_eq!(aftermath.report, refusals, "and no image came");
    }
}

#[test]
fn noise_before_the_hello_is_no_matter() {
    check_ignored("genuine behind noise");
}

/// The same where the call may come after the link's end, which is then no news.
#[track_caller]
fn check_cut_early(attack: &str, why: &str) {
    for place in [Place::Child, Place::Grandchild] {
        let error = suffer(attack, place).error();
        let known = [why, "no route to context"];
        assert!(
            known.iter().any(|known| error.contains(known)),
            "{place:?}: {error}"
        );
    }
}

#[test]
fn noise_cuts_the_link_and_is_quoted() {
    check_cut(
        "noise",
        "non-protocol bytes on the link: \"bash: line 1: .[31m4711 Terminated",
    );
    check_cut_early("noise right after the hello", "\"bash: line 1: .[31m4711");
    check_cut_early("noise in mid-stream", "\"bash: line 1: .[31m4711");
}

#[test]
fn half_a_frame_and_the_end_is_told_apart() {
    check_cut(
        "half a frame, then the end",
        "a frame broke off after 24 bytes",
    );
}

#[test]
fn half_a_frame_and_silence_is_ended_by_the_deadline() {
    with_router(async |router| {
        let sibling = router.local().await.unwrap();
        let disguise = disguise("half a frame, then silence");
        let evil = start(&router, None, Some(&disguise)).await.unwrap();
        let evil = evil.with_timeout(Duration::from_millis(300));
        let error = evil.call::<guest::add>((1, 2)).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        assert_eq!(sibling.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn t5_a_frame_that_is_too_long_cuts_the_link() {
    check_cut(
        "a frame that is too long",
        "a frame of 65537 bytes exceeds the limit of 65536",
    );
}

#[test]
fn a_changed_bit_cuts_the_link() {
    check_cut(
        "a changed bit",
        "a frame's checksum does not match its content",
    );
}

#[test]
fn t5_a_message_that_is_too_long_is_refused() {
    for report in check_ignored("a message that is too long") {
        assert!(
            report.contains("message of 134217729 bytes is too large"),
            "{report}"
        );
    }
}

#[test]
fn t1_forged_messages_are_dropped() {
    check_ignored("forged sources");
    check_ignored("forged authority");
    check_ignored("a message from far away");
}

#[test]
fn t1_what_only_a_parent_may_ask_is_refused() {
    for report in check_ignored("asks like a parent") {
        assert_eq!(report, "only an ancestor may ask that\n".repeat(4));
    }
}

#[test]
fn t2_announcements_about_others_are_dropped_and_in_the_end_cut_the_link() {
    check_ignored("announcements");
    let error = suffer("announcements without end", Place::Child).error();
    assert!(
        error.contains("it broke the rules more than 16 times; the last: "),
        "{error}"
    );
    // Its parent keeps its link, whatever comes through it.
    let error = suffer("announcements without end", Place::Grandchild).error();
    assert!(
        error.contains("it broke the rules more than 16 times; the last: "),
        "{error}"
    );
}

#[test]
fn t3_siblings_cannot_be_reached() {
    let [child, grandchild] = check_ignored("a message to a sibling");
    assert_eq!(child.lines().count(), 3, "{child}");
    assert!(
        child.contains("does not pass messages between its children"),
        "{child}"
    );
    assert!(child.contains("no route to context"), "{child}");
    assert!(
        grandchild.contains("does not pass messages between its children"),
        "{grandchild}"
    );
}

#[test]
fn t4_a_million_guessed_handles_answer_no_one_elses_call() {
    check_flood("a million guesses");
}

#[test]
fn t4_a_second_answer_is_too_late() {
    check_ignored("two answers");
}

#[test]
fn an_answer_that_is_none_is_an_error() {
    for place in [Place::Child, Place::Grandchild] {
        let error = suffer("an answer that is none", place).error();
        assert_eq!(
            error,
            "no answer from evil: its answer makes no sense; the function may have run"
        );
    }
}

#[test]
fn t11_reasons_are_short_and_command_no_terminal() {
    for place in [Place::Child, Place::Grandchild] {
        let error = suffer("an error in colour", place).error();
        assert!(error.contains("[31mred"), "{error}");
        assert!(!error.contains('\x1b'), "{error:?}");
        assert!(!error.contains('\u{202e}'), "{error:?}");
        assert!(error.len() < 2000, "{} bytes", error.len());
    }
}

#[test]
fn t5_messages_that_are_begun_without_end_cut_the_link() {
    check_cut(
        "messages without end",
        "frames of one message contradict each other",
    );
}

#[test]
fn t5_questions_without_end_cut_the_link_and_take_no_memory() {
    let before = resident_mebibytes();
    check_cut("questions without end", "did not read the refusals");
    let grown = resident_mebibytes().saturating_sub(before);
    assert!(grown < 64, "{grown} MiB");
}

#[test]
fn t11_logs_without_end_keep_nobody_waiting_and_command_no_terminal() {
    let recorder = Arc::new(Recorder::of("owned"));
    let guard = tracing::subscriber::set_default(recorder.clone());
    for place in [Place::Child, Place::Grandchild] {
        assert_eq!(suffer("logs without end", place).call.unwrap(), 3);
        let (evil, bytes) = recorder.take();
        assert!(!evil.is_empty());
        // What it may log at once, and a little more in the time that this takes.
        let max = LOG_RATE.burst + 4 * LOG_RATE.per_second;
        assert!(bytes < max, "{bytes} bytes");
        for line in evil {
            assert!(line.contains("evil"), "the context is named: {line}");
            assert!(
                !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
                "{line:?}"
            );
        }
    }
    drop(guard);
}

#[test]
fn an_endless_failure_is_the_calls_own() {
    for place in [Place::Child, Place::Grandchild] {
        let aftermath = suffer("an endless failure", place);
        assert!(
            matches!(aftermath.call, Err(Error::Call(_))),
            "{:?}",
            aftermath.call
        );
    }
}

fn resident_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

//! The command's text, and conversations cut anywhere.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::control::ConnectStage;
use crate::handshake::greeting;
use crate::limits::NOISE_MAX;

const NONCE: &str = "0123456789abcdef0123456789abcdef";

fn platform(uname: &[&str], gzip_size: Option<u64>) -> Platform {
    Platform {
        uname: uname.iter().map(|&name| name.to_owned()).collect(),
        sha256: [0xab; 32],
        size: 2_600_000,
        gzip_size,
    }
}

fn stage0() -> Stage0 {
    let platforms = vec![
        platform(&["Linux x86_64"], Some(1_100_000)),
        platform(&["Linux aarch64", "Linux arm64"], None),
    ];
    Stage0::new(NONCE, "offshoot", platforms).unwrap()
}

/// Plays what was printed in pieces of `chunk` bytes, and then the end; gives all steps, with the
/// bytes that came after the greeting.
fn play(printed: &[u8], chunk: usize) -> Vec<Step> {
    let mut conversation = Conversation::new(&stage0());
    let mut steps: Vec<Step> = Vec::new();
    for piece in printed.chunks(chunk) {
        if let Some(Step::Serving { behind, .. }) = steps.last_mut() {
            behind.extend_from_slice(piece);
            continue;
        }
        conversation.handle_bytes(piece);
        steps.extend(core::iter::from_fn(|| conversation.poll_step()));
    }
    if !matches!(steps.last(), Some(Step::Serving { .. })) {
        conversation.handle_closed();
        steps.extend(core::iter::from_fn(|| conversation.poll_step()));
    }
    steps
}

/// Plays it in pieces of every size, and compares the steps; gives them.
#[track_caller]
fn play_all(printed: &[u8]) -> Vec<Step> {
    let steps = play(printed, printed.len().max(1));
    for chunk in 1..printed.len() {
        assert_eq!(play(printed, chunk), steps, "in pieces of {chunk}");
    }
    let over = |step: &&Step| matches!(step, Step::Serving { .. } | Step::Failed(_));
    let ends = steps.iter().filter(over).count();
    assert_eq!(ends, 1, "it ends once: {steps:?}");
    steps
}

#[track_caller]
fn failure(printed: &[u8]) -> BootstrapError {
    match play_all(printed).pop() {
        Some(Step::Failed(error)) => error,
        other => panic!("it did not fail: {other:?}"),
    }
}

fn upload(platform: usize, encoding: Encoding, directory: &str) -> Step {
    Step::Upload {
        platform,
        encoding,
        directory: directory.to_owned(),
    }
}

fn variants() -> Vec<Stage0> {
    let mut variants = Vec::new();
    for keep in [Keep::Cache, Keep::Nothing] {
        for verify in [Verify::Quick, Verify::Always] {
            variants.push(stage0().keep(keep).verify(verify));
        }
    }
    variants
}

#[test]
fn every_login_shell_passes_the_command_as_one_word() {
    for stage0 in variants() {
        let command = stage0.command();
        let word = command
            .strip_prefix("exec /bin/sh -c '")
            .and_then(|rest| rest.strip_suffix('\''))
            .unwrap();
        let bad = |c: char| matches!(c, '\'' | '!' | '\\' | '\n' | '\r') || !c.is_ascii();
        assert_eq!(word.find(bad), None, "{word}");
        assert!(word.len() < 3072, "{} bytes", word.len());
        assert_eq!(stage0.argv()[..2], ["/bin/sh", "-c"]);
        assert_eq!(stage0.argv()[2], word);
    }
}

#[test]
fn what_is_sent_is_byte_for_byte_what_was_agreed_on() {
    let golden = include_str!("stage0.golden.txt").lines();
    let sent = [
        stage0(),
        stage0().verify(Verify::Always),
        stage0().keep(Keep::Nothing),
        stage0().remote_name("bob@web1:7").unwrap(),
    ];
    for (stage0, golden) in sent.iter().zip(golden) {
        assert_eq!(stage0.argv()[2], golden, "{stage0:?}");
    }
    assert_eq!(
        include_str!("stage0.golden.txt").lines().count(),
        sent.len()
    );
}

#[test]
fn b003_a_login_shell_finds_nothing_to_replace() {
    for stage0 in variants() {
        let stage0 = stage0.remote_name("bob@web1:7").unwrap();
        let [_, _, word] = stage0.login_argv();
        assert!(!word.contains('$'), "{word}");
        let hidden = word.split('\'').nth(1).unwrap();
        let back = hidden.replace('@', "$").replace('~', "@");
        assert_eq!(stage0.argv()[2], back);
    }
}

#[test]
fn s081_a_remote_name_is_for_the_child() {
    let named = stage0().remote_name("bob@web1:7").unwrap();
    assert!(
        named
            .command()
            .contains("serve $N \"$w\" \"bob@web1:7\" 2>&3")
    );
    for name in [
        "", "a/b", "a\"b", "$HOME", "a'b", "a!b", "`id`", "a\\b", "a\nb",
    ] {
        let refused = stage0().remote_name(name).unwrap_err();
        assert_eq!(refused, Unquotable::RemoteName(name.to_owned()));
    }
}

#[test]
fn the_command_holds_no_answer() {
    for stage0 in variants() {
        let command = stage0.command();
        let echoed = play(format!("{command}\n").as_bytes(), 7);
        assert!(
            matches!(
                echoed[..],
                [Step::Failed(BootstrapError::ClosedEarly {
                    stage: ConnectStage::Command,
                    ..
                })]
            ),
            "{echoed:?}"
        );
    }
}

#[test]
fn what_a_shell_could_misread_is_refused() {
    let good = || vec![platform(&["Linux x86_64"], None)];
    let refused = |nonce: &str, cache: &str, platforms| {
        Stage0::new(nonce, cache, platforms)
            .map(|stage0| stage0.command())
            .unwrap_err()
    };
    assert_eq!(refused("x", "c", good()), Unquotable::Nonce);
    assert_eq!(refused(&"'".repeat(32), "c", good()), Unquotable::Nonce);
    for cache in ["", "../up", "a b", "$(id)", "é"] {
        assert_eq!(
            refused(NONCE, cache, good()),
            Unquotable::Cache(cache.to_owned())
        );
    }
    for uname in ["", "Linux'", "Linux)", "Linux;id", "a\nb", "$HOME"] {
        assert_eq!(
            refused(NONCE, "c", vec![platform(&[uname], None)]),
            Unquotable::Platform(uname.to_owned())
        );
    }
    assert_eq!(refused(NONCE, "c", vec![]), Unquotable::Count(0));
    let many = vec![platform(&["Linux x86_64"], None); 17];
    assert_eq!(refused(NONCE, "c", many), Unquotable::Count(17));
}

#[test]
fn a_cached_child_is_found_behind_any_noise() {
    let behind = format!(
        "{}frames \0\x01{NONCE}:need:0:cat:x\n",
        greeting(NONCE, "b1")
    );
    for noise in [
        "",
        "motd\n",
        "no newline",
        "OFFSHOOT ",
        "OFFSHOOT 0123456789abcdef0123456789abcde",
        "OFFSHOOT ffffffffffffffffffffffffffffffff 1 b1\n",
        "N=0123456789abcdef0123456789abcdef;exit\n",
        "ffffffffffffffffffffffffffffffff:need:0:cat:/tmp\n",
        "0123456789abcdef0123456789abcdef 1 b1\n",
    ] {
        assert_eq!(
            play_all(format!("{noise}{behind}").as_bytes()),
            [Step::Serving {
                behind: behind.clone().into_bytes(),
                noise: noise.into(),
            }]
        );
    }
}

#[test]
fn an_upload_is_asked_for_once_for_each_directory() {
    let printed = format!(
        "noise{NONCE}:no:noexec:/home/b/.cache/offshoot\r\n\
         {NONCE}:need:0:gzip:/var/tmp/o-1\r\nlate\n{NONCE}:no:short:/var/tmp/o-1\n\
         {NONCE}:need:0:cat:/tmp/o-1\n{}rest",
        greeting(NONCE, "b1")
    );
    assert_eq!(
        play_all(printed.as_bytes()),
        [
            upload(0, Encoding::Gzip, "/var/tmp/o-1"),
            upload(0, Encoding::Plain, "/tmp/o-1"),
            Step::Serving {
                behind: format!("{}rest", greeting(NONCE, "b1")).into_bytes(),
                noise: b"noiselate\n".to_vec(),
            }
        ]
    );
}

#[test]
fn an_unknown_platform_is_named() {
    let printed = format!("x{NONCE}:arch:Linux\x1b[2J armv7l\n");
    assert_eq!(
        failure(printed.as_bytes()),
        BootstrapError::UnsupportedPlatform {
            uname: "Linux [2J armv7l".to_owned()
        }
    );
}

#[test]
fn each_directory_is_named_with_its_fault() {
    let printed = format!(
        "{NONCE}:no:dir:/home/a:b/.cache\n{NONCE}:no:write:/tmp/\x1b]0;evil\x07\n{NONCE}:fail\n"
    );
    let error = failure(printed.as_bytes());
    let BootstrapError::NoDirectory(refused) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(refused[0].path, "/home/a:b/.cache");
    assert_eq!(refused[0].why, Refusal::Directory);
    assert_eq!(refused[1].why, Refusal::Write);
    assert_eq!(
        error.to_string(),
        "no directory there can hold and run the child: `/home/a:b/.cache`: cannot be made, or \
         is not this user's alone (mode 0700, no link); `/tmp/ ]0;evil`: not writable"
    );
}

#[test]
fn a_shell_that_refuses_is_quoted() {
    let error = failure(b"\x1b[1mThis account is currently\r\nnot available.\n");
    assert_eq!(
        error.to_string(),
        "it closed the connection before it answered: does the account's shell run commands?; \
         it printed: [1mThis account is currently not available."
    );
    let error = failure(b"");
    assert!(error.to_string().ends_with("; it printed nothing"));
}

#[test]
fn what_is_quoted_is_the_first_and_the_last() {
    let printed = format!("{}{}{}", "a".repeat(200), "m".repeat(999), "z".repeat(200));
    let error = failure(printed.as_bytes());
    let BootstrapError::ClosedEarly { printed, .. } = error else {
        panic!("{error:?}");
    };
    let want = format!("{} ... {}", "a".repeat(200), "z".repeat(200));
    assert_eq!(printed, want);
}

#[test]
fn how_far_it_came_is_told_wherever_it_is_cut() {
    let refusal = format!("{NONCE}:no:home:\n");
    let need = format!("{NONCE}:need:1:cat:/tmp/o\n");
    let printed = format!("hi {refusal}{need}{}", greeting(NONCE, "b"));
    let greeted = printed.find(&greeting(NONCE, "b")).unwrap() + "OFFSHOOT ".len() + NONCE.len();
    for cut in 0..=printed.len() {
        let steps = play(&printed.as_bytes()[..cut], 5);
        if cut > greeted {
            assert!(matches!(steps.last(), Some(Step::Serving { .. })));
            continue;
        }
        let want = match cut {
            _ if cut < 3 + refusal.len() => ConnectStage::Command,
            _ if cut < 3 + refusal.len() + need.len() => ConnectStage::Look,
            _ => ConnectStage::Upload,
        };
        let Some(Step::Failed(BootstrapError::ClosedEarly { stage, .. })) = steps.last() else {
            panic!("cut at {cut}: {steps:?}");
        };
        assert_eq!(*stage, want, "cut at {cut}");
    }
}

#[test]
fn what_was_not_offered_is_not_sent() {
    for (asked, encoding) in [
        ("2:cat:/tmp", Some(Encoding::Plain)),
        ("1:gzip:/tmp", Some(Encoding::Gzip)),
        ("0:zstd:/tmp", None),
        ("-1:cat:/tmp", Some(Encoding::Plain)),
        ("99999999999999999999999:cat:/", Some(Encoding::Plain)),
        ("", None),
    ] {
        let error = failure(format!("{NONCE}:need:{asked}\n").as_bytes());
        let BootstrapError::Protocol { what, .. } = error else {
            panic!("{asked}: {error:?}");
        };
        let platform = asked.split(':').next().unwrap_or_default().to_owned();
        assert_eq!(what, Misbehaviour::NotOffered { platform, encoding });
    }
}

#[test]
fn nonsense_is_refused() {
    let misbehaviour = |printed: &str| match failure(printed.as_bytes()) {
        BootstrapError::Protocol { what, .. } => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        misbehaviour(&format!("{NONCE}:hello:x\n")),
        Misbehaviour::Answer("hello:x".to_owned())
    );
    assert_eq!(
        misbehaviour(&format!("{NONCE}:no:because:/tmp\n")),
        Misbehaviour::Answer("because:/tmp".to_owned())
    );
    assert_eq!(
        misbehaviour(&format!("{NONCE}:need:1:cat:/x\n").repeat(6)),
        Misbehaviour::TooOften
    );
    assert_eq!(
        misbehaviour(&format!("{NONCE}:no:dir:/x\n").repeat(7)),
        Misbehaviour::TooOften
    );
}

#[test]
fn no_amount_of_text_fills_the_memory() {
    let misbehaviour = |printed: &[u8], chunk| match play(printed, chunk).pop() {
        Some(Step::Failed(BootstrapError::Protocol { what, .. })) => what,
        other => panic!("{other:?}"),
    };
    let endless = format!("{NONCE}:arch:{}", "x".repeat(NOISE_MAX - 100));
    let chatter = "0123456789abcdef0123456789abcde\n".repeat(NOISE_MAX / 10);
    for chunk in [1, 1000, usize::MAX] {
        assert_eq!(
            misbehaviour(&vec![b'x'; NOISE_MAX + 1], chunk),
            Misbehaviour::Noise
        );
        assert_eq!(misbehaviour(chatter.as_bytes(), chunk), Misbehaviour::Noise);
        assert_eq!(
            misbehaviour(endless.as_bytes(), chunk),
            Misbehaviour::EndlessAnswer
        );
    }
    // As much as may be printed does no harm.
    let mut printed = vec![b'x'; NOISE_MAX - 200];
    printed.extend_from_slice(greeting(NONCE, "b").as_bytes());
    for chunk in [1, 1000, usize::MAX] {
        assert!(matches!(play(&printed, chunk)[..], [Step::Serving { .. }]));
    }
}

#[test]
fn bytes_behind_the_end_are_kept_until_the_step_is_taken() {
    let mut conversation = Conversation::new(&stage0());
    conversation.handle_bytes(greeting(NONCE, "b").as_bytes());
    conversation.handle_bytes(b"more");
    conversation.handle_closed();
    let Some(Step::Serving { behind, .. }) = conversation.poll_step() else {
        panic!("no greeting");
    };
    assert!(behind.ends_with(b"\nmore"));
    assert_eq!(conversation.poll_step(), None);
}

/// A generator of numbers: the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn whatever_is_printed_ends_once_and_the_same_in_any_pieces() {
    let words: Vec<String> = [
        NONCE,
        ":",
        "need",
        "no",
        "arch",
        "fail",
        "0",
        "1",
        "gzip",
        "cat",
        "/tmp",
        "\n",
        "\r\n",
        "OFFSHOOT ",
        " ",
        "dir",
        "short",
        "\u{1b}[m",
        "é",
        "noise",
    ]
    .iter()
    .map(|&word| word.to_owned())
    .chain([
        format!("{NONCE}:need:0:gzip:/d\n"),
        format!("{NONCE}:no:dir:/d\n"),
        greeting(NONCE, "b"),
    ])
    .collect();
    for seed in 1..=4000 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let mut printed = Vec::new();
        for _ in 0..dice.below(24) {
            let word = &words[dice.below(words.len())];
            printed.extend_from_slice(word.as_bytes());
            if dice.below(8) == 0 {
                let at = dice.below(printed.len());
                printed[at] ^= 1 << dice.below(8);
            }
        }
        let whole = play(&printed, usize::MAX);
        let pieces = play(&printed, 1 + dice.below(9));
        assert_eq!(whole, pieces, "seed {seed}: {printed:?}");
        let over = |step: &&Step| matches!(step, Step::Serving { .. } | Step::Failed(_));
        assert_eq!(whole.iter().filter(over).count(), 1, "seed {seed}");
        assert!(whole.len() <= 6, "seed {seed}: at most five uploads");
        if let Some(Step::Failed(error)) = whole.last() {
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "seed {seed}: {text:?}");
        }
    }
}

//! Replays the corpus, and changes to it, on every function of `sim::fuzz`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use offshoot_abi::{CallErrorKind, CallFailure, GuestError};
use offshoot_proto::control::{self, CallHead, CallOutcome, Connected, Hello, Welcome};
use offshoot_proto::handshake::{first_frame, greeting};
use offshoot_proto::{ContextId, Handle, Header};
use sim::Rng;
use sim::fuzz::{BUILD, NONCE, TARGETS};

/// Inputs that each target gets beyond the corpus.
const CHANGED: u64 = 100_000;

/// Bytes of an input at most: the corpus is small, and so is what it grows into.
const LENGTH_MAX: usize = 4096;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder(target))
        .unwrap_or_else(|error| panic!("no corpus for {target}: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn the_corpus_and_changes_to_it_harm_nobody() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() > 3, "the corpus of {name} is small");
        for input in &corpus {
            target(input);
        }
        let mut rng = Rng::new(1);
        for _ in 0..CHANGED {
            let input = changed(&mut rng, &corpus);
            let tried = std::panic::catch_unwind(|| target(&input));
            if tried.is_err() {
                let text: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
                panic!("{name} does not bear {text}");
            }
        }
    }
}

/// One of the corpus, with a few changes.
fn changed(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = rng.pick(corpus).clone();
    for _ in 0..=rng.below(5) {
        if input.is_empty() {
            return rng.bytes(20);
        }
        let at = rng.index(input.len());
        match rng.below(7) {
            0 => input[at] ^= 1 << rng.below(8),
            1 => input[at] = rng.word() as u8,
            2 => input[at] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            3 => input.truncate(at),
            4 => {
                let length = rng.index(12);
                let more = rng.bytes(length);
                input.splice(at..at, more);
            }
            5 => {
                let other = rng.pick(corpus);
                let from = rng.index(other.len().max(1)).min(other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let end = at + rng.index(input.len() - at);
                input.drain(at..end);
            }
        }
    }
    input.truncate(LENGTH_MAX);
    input
}

#[test]
#[ignore = "writes the corpus anew; run it when the format changes on purpose"]
fn write_the_corpus() {
    let all = [
        ("control", control_bodies()),
        ("decoder", streams()),
        ("hello", greetings()),
        ("node", scripts()),
        ("welcome", welcomes()),
    ];
    for (name, inputs) in all {
        std::fs::create_dir_all(folder(name)).unwrap();
        for (index, input) in inputs.iter().enumerate() {
            std::fs::write(folder(name).join(format!("{index:02}")), input).unwrap();
        }
    }
}

fn header(length: usize, total: usize, first: bool, last: bool) -> Header {
    Header {
        first,
        last,
        dead: false,
        stream: false,
        answer: false,
        hops: 1,
        number: 5,
        total: total as u32,
        dst: ContextId(1),
        src: ContextId(2 + length as u32 % 2),
        auth: ContextId(2),
        handle: Handle::FORWARD_LOG,
        reply_to: Handle(1001),
    }
}

fn streams() -> Vec<Vec<u8>> {
    let mut whole = vec![7];
    for length in [0, 1, 60, 300] {
        header(length, length, true, true).encode(&vec![9; length], &mut whole);
    }
    let mut parts = vec![200];
    header(10, 30, true, false).encode(&[1; 10], &mut parts);
    header(10, 30, false, false).encode(&[2; 10], &mut parts);
    header(10, 30, false, true).encode(&[3; 10], &mut parts);
    let mut broken = whole.clone();
    broken[70] ^= 4;
    let noise = b"\x10Connection to host closed.\r\n and then more text than one header".to_vec();
    let mut too_long = whole[..49].to_vec();
    too_long[5..9].copy_from_slice(&[1, 0, 1, 0]);
    vec![whole, parts, broken, noise, too_long, Vec::new()]
}

fn hello() -> Hello {
    Hello {
        target: "x86_64".to_owned(),
        pid: 300,
    }
}

fn a_welcome() -> Welcome {
    Welcome {
        id: ContextId(300),
        parents: vec![ContextId(2), ContextId(0)],
        name: "a name".to_owned(),
        message_max: 1 << 27,
        log_level: 3,
        unidirectional: true,
        traces: Default::default(),
        lost_after_ms: 0,
    }
}

fn greetings() -> Vec<Vec<u8>> {
    let frame = first_frame(&hello());
    let line = greeting(NONCE, BUILD);
    let good = [b"\x05", line.as_bytes(), &frame, b"rest"].concat();
    let noisy = [
        b"\x50Welcome!\nlast login: OFFSHOOT ",
        line.as_bytes(),
        &frame,
    ]
    .concat();
    let other = [b"\x01", greeting(NONCE, "b2").as_bytes(), &frame].concat();
    let no_hello = [b"\x20", line.as_bytes(), &first_frame(&a_welcome())].concat();
    let endless = [
        b"\x20OFFSHOOT 0123456789abcdef0123456789abcdef ".to_vec(),
        vec![b'x'; 400],
    ]
    .concat();
    vec![good, noisy, other, no_hello, endless]
}

fn welcomes() -> Vec<Vec<u8>> {
    let frame = first_frame(&a_welcome());
    let good = [&b"\x05"[..], &frame, b"rest"].concat();
    let short = [&b"\x01"[..], &frame[..frame.len() - 3]].concat();
    let other = [&b"\x09"[..], &first_frame(&hello())].concat();
    let mut broken = good.clone();
    broken[60] ^= 1;
    vec![good, short, other, broken]
}

fn control_bodies() -> Vec<Vec<u8>> {
    let with = |kind: u8, body: &[u8]| [&[kind][..], body].concat();
    let head = CallHead {
        binding: [3; 16],
        signature: 1 << 60,
        timeout: 5_000_000,
        chain: 7,
        concurrent: true,
        function: "walk",
    };
    let mut call = head.start(9);
    call.extend_from_slice(b"arguments");
    let trapped = CallOutcome::Failed(CallFailure {
        kind: CallErrorKind::Trapped,
        error: GuestError {
            message: "unreachable".to_owned(),
            backtrace: vec!["a".to_owned(), "b".to_owned()],
            ..GuestError::default()
        },
    });
    let up = Connected::Up {
        hello: hello(),
        name: "child".to_owned(),
    };
    let log = control::LogRecord {
        level: 3,
        target: "plugin".to_owned(),
        text: "done".to_owned(),
    };
    let lost = control::DelRoute {
        ids: vec![ContextId(1), ContextId(1 << 20)],
        reason: "it ended".to_owned(),
    };
    let bind = control::Bind {
        key: [1; 16],
        plugin: "p".into(),
        image: [2; 32],
        grants: vec![offshoot_abi::Grant::Read("/etc".to_owned())],
        limits: control::PluginLimits::default(),
    };
    let (first, count) = (1002, 1000);
    let block = control::IdBlock { first, count };
    let grant = control::GrantIds {
        owner: ContextId(1),
        first,
        count,
    };
    let route = control::AddRoute {
        id: ContextId(9),
        toward: ContextId(3),
    };
    vec![
        with(0, &control::encode(&hello())),
        with(1, &control::encode(&a_welcome())),
        with(2, &control::encode(&route)),
        with(3, &control::encode(&lost)),
        with(4, &control::encode(&log)),
        with(5, &control::encode(&bind)),
        with(7, &control::encode(&up)),
        with(9, &control::encode(&Handle(1 << 50))),
        with(10, &call),
        with(
            11,
            &CallOutcome::Value(Bytes::from_static(b"value")).encode(),
        ),
        with(11, &trapped.encode()),
        with(12, &control::encode(&control::AllocateId {})),
        with(13, &control::encode(&block)),
        with(14, &control::encode(&grant)),
        with(15, &control::encode(&300_000_u64)),
    ]
}

/// Scripts for the node: see `sim::fuzz::node`.
fn scripts() -> Vec<Vec<u8>> {
    let mut rng = Rng::new(2);
    let mut scripts: Vec<Vec<u8>> = [40, 200, 900, 900].map(|length| rng.bytes(length)).to_vec();
    // Only frames of the first child, only forged ones, and both children against each other.
    for step in [[8, 8], [4, 4], [5, 6], [4, 10], [7, 4]] {
        let mut script = Vec::new();
        for _ in 0..40 {
            script.push(*rng.pick(&step));
            script.extend(rng.bytes(10));
        }
        scripts.push(script);
    }
    // A header from the child itself for each handle: whole, begun, dead, and of a stream.
    for flags in [0, 2, 4, 8] {
        let mut script = Vec::new();
        for handle in (0..22).chain([180, 181]) {
            script.extend([8, flags | 64, 1, 2, handle, 201, 1, 5, 4, 1, 2, 3, 4, 0, 9]);
        }
        scripts.push(script);
    }
    scripts
}

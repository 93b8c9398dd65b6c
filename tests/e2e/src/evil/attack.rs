//! What the evil child does.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use offshoot_abi::{CallErrorKind, CallFailure};
use offshoot_proto::control::{
    self, AddRoute, CallOutcome, ConnectEvent, ConnectFailure, Connected, DelRoute, Hello,
    LogRecord,
};
use offshoot_proto::handshake::first_frame;
use offshoot_proto::limits::{FRAME_PAYLOAD_MAX, HOPS_MAX, MESSAGE_MAX_DEFAULT};
use offshoot_proto::{ContextId, Dead, DeadKind, Frame, Handle, Header};

use super::disguise::{ATTACK, REPORT};
use super::flood;
use super::wire::{Greeting, Wire, genuine};

/// The answer of a call that the evil child answers as it should.
pub(super) const HONEST: u8 = 3;

const NOISE: &[u8] = b"bash: line 1: \x1b[31m4711 Terminated: 15  sleep 60 and so on and so on\n";

/// Handles that do something in a context.
const CONTROL: [Handle; 10] = [
    Handle::HELLO,
    Handle::CALL_FUNCTION,
    Handle::FORWARD_LOG,
    Handle::ADD_ROUTE,
    Handle::DEL_ROUTE,
    Handle::SHUTDOWN,
    Handle::LOAD_IMAGE,
    Handle::BIND,
    Handle::CONNECT,
    Handle::CANCEL,
];

/// Runs the program that the environment describes.
///
/// # Panics
///
/// Panics on an attack that it does not know.
pub fn main() {
    let nonce = std::env::args().nth(2).expect("started like a child");
    let attack = std::env::var(ATTACK).expect("an attack");
    match attack.as_str() {
        "genuine behind noise" => {
            std::io::stdout().write_all(NOISE).unwrap();
            panic!("{}", genuine(&nonce).exec());
        }
        "noise right after the hello" => relay_with_noise(&nonce, 1),
        "noise in mid-stream" => relay_with_noise(&nonce, 2),
        "ends inside its hello" => {
            let hello = greeting_bytes(&Greeting::borrow(&nonce));
            std::io::stdout()
                .write_all(&hello[..hello.len() - 1])
                .unwrap();
        }
        "a letter in place of its hello" => {
            let mut hello = Greeting::borrow(&nonce).line;
            hello.extend_from_slice(&first_frame(&"Dear parent"));
            std::io::stdout().write_all(&hello).unwrap();
            std::io::stdout().flush().unwrap();
            wait_for_end();
        }
        "byte by byte" => {
            let hello = greeting_bytes(&Greeting::borrow(&nonce));
            let noise = [b'.'; 20_000];
            for byte in noise.iter().chain(&hello) {
                std::io::stdout().write_all(&[*byte]).unwrap();
                std::io::stdout().flush().unwrap();
            }
            wait_for_end();
        }
        attack => on_the_link(attack, &nonce),
    }
}

fn greeting_bytes(greeting: &Greeting) -> Vec<u8> {
    [&greeting.line[..], &first_frame(&greeting.hello)].concat()
}

/// Runs a genuine child, and writes noise into its stream behind its first `bursts`.
fn relay_with_noise(nonce: &str, bursts: usize) {
    let mut child = genuine(nonce).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut chunk = [0; 64 * 1024];
    for burst in 1.. {
        let count = stdout.read(&mut chunk).unwrap();
        let mut output = std::io::stdout().lock();
        let written = output
            .write_all(&chunk[..count])
            .and_then(|()| output.flush());
        if count == 0 || written.is_err() {
            break;
        }
        if burst == bursts {
            let _ = output.write_all(NOISE).and_then(|()| output.flush());
        }
    }
    drop(stdout);
    child.wait().unwrap();
}

/// Reads until there is no more.
fn wait_for_end() {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// Tells the test what was learnt.
pub(super) fn report(line: &str) {
    let path = std::env::var_os(REPORT).expect("a place for reports");
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// Shakes hands, then does it on the first call.
fn on_the_link(attack: &str, nonce: &str) {
    let mut greeting = Greeting::borrow(nonce);
    if attack == "an absurd hello" {
        greeting.hello = Hello {
            target: "\x1b[2Jwasmtime/../../\u{202e}".repeat(1000),
            pid: u32::MAX,
        };
    }
    let mut wire = Wire::open(&greeting);
    if attack == "deaf" {
        loop {
            std::thread::park();
        }
    }
    if let "another name" | "a failure in colour" | "progress without end" = attack {
        let asked = wire.read_for(Handle::CONNECT);
        match attack {
            "progress without end" => report_progress(&mut wire, &asked),
            _ => answer_connect(attack, &mut wire, &greeting, &asked),
        }
        return wait_for_end();
    }
    let call = wire.read_for(Handle::CALL_FUNCTION);
    strike(attack, &mut wire, &call);
    loop {
        let call = wire.read_for(Handle::CALL_FUNCTION);
        wire.answer(&call, HONEST);
    }
}

/// Reports more than a connection has events, each with a command for a terminal.
fn report_progress(wire: &mut Wire, asked: &Frame) {
    let event = ConnectEvent::Resolved {
        host: "\x1b[2Jweb1\nweb2".to_owned(),
    };
    let body = control::encode(&Connected::Progress(event));
    for _ in 0..1000 {
        let header = wire.header(asked.header.src, asked.header.reply_to, &body);
        wire.send(header, &body);
    }
}

fn answer_connect(attack: &str, wire: &mut Wire, greeting: &Greeting, asked: &Frame) {
    let connected = match attack {
        "another name" => Connected::Up {
            hello: greeting.hello.clone(),
            name: "sibling".to_owned(),
        },
        _ => Connected::Failed(ConnectFailure::Other(
            "\x1b[31mno\u{202e}".repeat(1_000_000),
        )),
    };
    let body = control::encode(&connected);
    let last = body.chunks(FRAME_PAYLOAD_MAX).len() - 1;
    for (index, part) in body.chunks(FRAME_PAYLOAD_MAX).enumerate() {
        let header = Header {
            first: index == 0,
            last: index == last,
            ..wire.header(asked.header.src, asked.header.reply_to, &body)
        };
        wire.send(header, part);
    }
}

fn strike(attack: &str, wire: &mut Wire, call: &Frame) {
    let (caller, waits) = (call.header.src, call.header.reply_to);
    let empty = wire.header(caller, waits, b"");
    match attack {
        "noise" => wire.write(NOISE),
        "half a frame, then the end" => {
            half_a_frame(wire, empty);
            std::process::exit(0);
        }
        "half a frame, then silence" => half_a_frame(wire, empty),
        "a frame that is too long" => {
            let mut bytes = Vec::new();
            empty.encode(b"", &mut bytes);
            bytes[4..8].copy_from_slice(&(FRAME_PAYLOAD_MAX as u32 + 1).to_le_bytes());
            wire.write(&bytes);
        }
        "a changed bit" => {
            let mut bytes = Vec::new();
            empty.encode(b"", &mut bytes);
            bytes[20] ^= 1;
            wire.write(&bytes);
        }
        "a message that is too long" => {
            let header = Header {
                last: false,
                total: MESSAGE_MAX_DEFAULT + 1,
                reply_to: Handle(1007),
                ..empty
            };
            wire.send(header, b"x");
            report_refusal(wire, Handle(1007));
            wire.answer(call, HONEST);
        }
        "forged sources" => {
            forge(wire, |header, forged| Header {
                src: forged,
                ..header
            });
            wire.answer(call, HONEST);
        }
        "forged authority" => {
            forge(wire, |header, forged| Header {
                auth: forged,
                ..header
            });
            wire.answer(call, HONEST);
        }
        "asks like a parent" => {
            let asked = [
                Handle::CALL_FUNCTION,
                Handle::BIND,
                Handle::CONNECT,
                Handle::SHUTDOWN,
            ];
            for handle in asked {
                let header = wire.header(ContextId::CONTROLLER, handle, b"");
                let reply_to = Handle(2000 + handle.0);
                wire.send(Header { reply_to, ..header }, b"");
                report_refusal(wire, reply_to);
            }
            wire.answer(call, HONEST);
        }
        "announcements" => {
            announce(wire);
            wire.answer(call, HONEST);
        }
        "announcements without end" => loop {
            announce(wire);
        },
        "a message to a sibling" => {
            let me = wire.me;
            for id in (1..=4).map(ContextId).filter(|&id| id != me) {
                let header = wire.header(id, Handle::SHUTDOWN, b"");
                let reply_to = Handle(3000 + u64::from(id.0));
                wire.send(Header { reply_to, ..header }, b"");
                report_refusal(wire, reply_to);
            }
            wire.answer(call, HONEST);
        }
        "two answers" => {
            wire.answer(call, HONEST);
            wire.answer(call, HONEST + 1);
        }
        "an answer that is none" => wire.send(wire.header(caller, waits, b"\x09?"), b"\x09?"),
        "an error in colour" => {
            let body = postcard::to_allocvec(&Dead {
                kind: DeadKind::Disconnected,
                reason: "\x1b[31mred\u{202e}".repeat(1000),
            });
            let body = body.unwrap();
            let header = wire.header(caller, waits, &body);
            wire.send(
                Header {
                    dead: true,
                    ..header
                },
                &body,
            );
        }
        "messages without end" => {
            for number in 0..10_000 {
                for handle in [waits, Handle(number + 5000), Handle::FORWARD_LOG] {
                    let header = Header {
                        last: false,
                        number: number as u32,
                        total: MESSAGE_MAX_DEFAULT,
                        ..wire.header(caller, handle, b"")
                    };
                    wire.send(header, &[0; 1000]);
                }
            }
        }
        "questions without end" => {
            // Reads nothing of what it is answered.
            for number in 0.. {
                let header = Header {
                    reply_to: Handle(Handle::FIRST_DYNAMIC + number),
                    ..wire.header(caller, Handle(number + 5000), b"")
                };
                wire.send(header, b"");
            }
        }
        "logs without end" => {
            let text = "\x1b]0;owned\x07 \u{202e}backwards \x1b[2J".repeat(20);
            let record = control::encode(&LogRecord {
                level: 3,
                target: "\x1b[1mbold".to_owned(),
                text,
            });
            wire.answer(call, HONEST);
            loop {
                let header = wire.header(ContextId::CONTROLLER, Handle::FORWARD_LOG, &record);
                wire.send(header, &record);
            }
        }
        "a message from far away" => {
            for hops in [HOPS_MAX - 1, HOPS_MAX, u8::MAX] {
                let header = wire.header(ContextId::CONTROLLER, Handle::FORWARD_LOG, b"");
                wire.send(Header { hops, ..header }, b"");
            }
            wire.answer(call, HONEST);
        }
        "an endless failure" => {
            let mut failure = CallFailure::new(CallErrorKind::Trapped, "\x1b[2J".repeat(100_000));
            failure.error.backtrace = vec!["\x1b[2J".to_owned(); 1000];
            let body = CallOutcome::Failed(failure).encode();
            let last = body.chunks(FRAME_PAYLOAD_MAX).len() - 1;
            for (index, part) in body.chunks(FRAME_PAYLOAD_MAX).enumerate() {
                let header = Header {
                    first: index == 0,
                    last: index == last,
                    ..wire.header(caller, waits, &body)
                };
                wire.send(header, part);
            }
        }
        attack => assert!(
            flood::strike(attack, wire, call),
            "no such attack: {attack}"
        ),
    }
}

fn half_a_frame(wire: &mut Wire, header: Header) {
    let mut bytes = Vec::new();
    header.encode(b"", &mut bytes);
    wire.write(&bytes[..bytes.len() / 2]);
}

/// Ten forged messages, one for each handle that does something, in the names of others.
fn forge(wire: &mut Wire, change: impl Fn(Header, ContextId) -> Header) {
    let others = [ContextId::CONTROLLER, ContextId(u32::MAX), ContextId(77)];
    for (handle, other) in CONTROL.into_iter().zip(others.into_iter().cycle()) {
        let header = wire.header(ContextId::CONTROLLER, handle, b"");
        wire.send(change(header, other), b"");
    }
}

/// What only a parent may announce, and losses of contexts that are none of our business.
fn announce(wire: &mut Wire) {
    let route = control::encode(&AddRoute {
        id: ContextId(99),
        toward: wire.me,
    });
    let lost = control::encode(&DelRoute {
        ids: (0..10).map(ContextId).collect(),
        reason: "because".to_owned(),
    });
    for (handle, body) in [
        (Handle::ADD_ROUTE, route),
        (Handle::LOAD_IMAGE, vec![0; 100]),
        (Handle::DEL_ROUTE, lost),
    ] {
        let header = wire.header(ContextId::CONTROLLER, handle, &body);
        wire.send(header, &body);
    }
}

/// Waits for the refusal that comes to that handle, and reports its reason.
pub(super) fn report_refusal(wire: &mut Wire, handle: Handle) {
    let refusal = wire.read_for(handle);
    assert!(refusal.header.dead, "it was no refusal");
    let dead: Dead = control::decode(&refusal.payload).unwrap();
    report(&dead.reason);
}

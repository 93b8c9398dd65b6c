//! The wire, without the rules.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use offshoot_proto::control::{CallOutcome, Hello, Welcome};
use offshoot_proto::handshake::{first_body, first_frame};
use offshoot_proto::{ContextId, Decoder, Frame, HEADER_LEN, Handle, Header};

use super::disguise::GENUINE;

/// The link to the parent.
pub(super) struct Wire {
    input: std::io::Stdin,
    output: std::io::Stdout,
    decoder: Decoder,
    frames: VecDeque<Frame>,
    /// Whom the parent takes us for.
    pub(super) me: ContextId,
    /// Who that is.
    pub(super) parent: ContextId,
}

/// What a genuine child says first.
pub(super) struct Greeting {
    /// Its line of text.
    pub(super) line: Vec<u8>,
    /// What it says of itself.
    pub(super) hello: Hello,
}

impl Greeting {
    /// Asks a genuine child.
    pub(super) fn borrow(nonce: &str) -> Self {
        let mut child = genuine(nonce)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        let greeting = loop {
            let count = stdout.read(&mut chunk).unwrap();
            assert!(count > 0, "the genuine child ended");
            bytes.extend_from_slice(&chunk[..count]);
            if let Some(greeting) = Self::parse(&bytes) {
                break greeting;
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        greeting
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let line = bytes.iter().position(|&byte| byte == b'\n')? + 1;
        let mut frames = Vec::new();
        Decoder::default()
            .push(&bytes[line..], &mut frames)
            .unwrap();
        Some(Self {
            line: bytes[..line].to_vec(),
            hello: Hello {
                pid: std::process::id(),
                ..first_body(frames.first()?).unwrap()
            },
        })
    }
}

/// The command of a genuine child.
pub(super) fn genuine(nonce: &str) -> Command {
    let mut command = Command::new(std::env::var_os(GENUINE).expect("the path of a child"));
    command.args(["serve", nonce]);
    command
}

impl Wire {
    /// Says hello and waits for the welcome.
    pub(super) fn open(greeting: &Greeting) -> Self {
        let mut wire = Self {
            input: std::io::stdin(),
            output: std::io::stdout(),
            decoder: Decoder::default(),
            frames: VecDeque::new(),
            me: ContextId::CONTROLLER,
            parent: ContextId::CONTROLLER,
        };
        let mut hello = greeting.line.clone();
        hello.extend_from_slice(&first_frame(&greeting.hello));
        wire.write(&hello);
        let welcome: Welcome = first_body(&wire.read()).expect("a welcome comes first");
        wire.me = welcome.id;
        wire.parent = welcome.parents[0];
        wire
    }

    /// The next frame. The program ends with its input.
    pub(super) fn read(&mut self) -> Frame {
        let mut chunk = [0; 64 * 1024];
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return frame;
            }
            match self.input.read(&mut chunk) {
                Ok(0) | Err(_) => std::process::exit(0),
                Ok(count) => {
                    let mut frames = Vec::new();
                    self.decoder.push(&chunk[..count], &mut frames).unwrap();
                    self.frames.extend(frames);
                }
            }
        }
    }

    /// The next message for that handle.
    pub(super) fn read_for(&mut self, handle: Handle) -> Frame {
        loop {
            let frame = self.read();
            if frame.header.handle == handle {
                return frame;
            }
        }
    }

    /// Writes bytes. The program ends when nobody reads them any more.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let written = self
            .output
            .write_all(bytes)
            .and_then(|()| self.output.flush());
        if written.is_err() {
            std::process::exit(0);
        }
    }

    /// Writes a frame, whatever it says.
    pub(super) fn send(&mut self, header: Header, payload: &[u8]) {
        let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
        header.encode(payload, &mut bytes);
        self.write(&bytes);
    }

    /// The header of an honest message in one frame, which says that a node answers with it.
    pub(super) fn header(&self, dst: ContextId, handle: Handle, payload: &[u8]) -> Header {
        Header {
            first: true,
            last: true,
            dead: false,
            stream: false,
            answer: true,
            hops: 0,
            number: 1,
            total: payload.len() as u32,
            dst,
            src: self.me,
            auth: self.me,
            handle,
            reply_to: Handle::NONE,
        }
    }

    /// Answers a call, with a number that is small enough to be one byte.
    pub(super) fn answer(&mut self, call: &Frame, value: u8) {
        let outcome = CallOutcome::Value(vec![value].into()).encode();
        let header = self.header(call.header.src, call.header.reply_to, &outcome);
        self.send(header, &outcome);
    }
}

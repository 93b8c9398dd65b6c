//! Bytes in, values out: what does not depend on anything that came before.

use bytes::Bytes;
use offshoot_abi::CallFailure;
use offshoot_proto::control::{
    self, AddRoute, AllocateId, Bind, CallBody, CallHead, CallOutcome, Connect, Connected,
    DelRoute, GrantIds, Hello, IdBlock, LogRecord, Welcome,
};
use offshoot_proto::handshake::{ExpectHello, ExpectWelcome, HandshakeError, first_body};
use offshoot_proto::{Decoder, Frame, FrameError, Handle};

use super::{BUILD, NONCE};

/// Chunks whose lengths come from the first byte of `data`: the same bytes in other pieces.
fn pieces(data: &[u8]) -> (&[u8], impl Iterator<Item = &[u8]>) {
    let (&seed, rest) = data.split_first().unwrap_or((&0, data));
    let mut left = rest;
    let mut step = usize::from(seed);
    let pieces = std::iter::from_fn(move || {
        step = (step * 7 + 3) % 257;
        let (piece, behind) = left.split_at(step.min(left.len()));
        left = behind;
        (!(piece.is_empty() && left.is_empty())).then_some(piece)
    });
    (rest, pieces)
}

/// Frames do not depend on how their bytes arrive, and are written as they were read.
///
/// # Panics
///
/// If that does not hold.
pub fn decoder(data: &[u8]) {
    let (whole, pieces) = pieces(data);
    let mut at_once = Vec::new();
    let result = Decoder::default().push(whole, &mut at_once);
    let mut in_pieces = Vec::new();
    let mut decoder = Decoder::default();
    let mut again = Ok(());
    for piece in pieces {
        again = decoder.push(piece, &mut in_pieces);
        if again.is_err() {
            break;
        }
    }
    assert_eq!(at_once, in_pieces, "frames depend on how they arrive");
    assert_eq!(result, again, "errors depend on how frames arrive");
    let mut written = Vec::new();
    for Frame { header, payload } in &at_once {
        header.encode(payload, &mut written);
    }
    assert!(
        whole.starts_with(&written),
        "a frame is written otherwise than it was read"
    );
    if let Err(FrameError::TooLong(length)) = result {
        assert!(length as usize > offshoot_proto::limits::FRAME_PAYLOAD_MAX);
    }
}

/// What can be read as a control body can be written, and read again as the same.
///
/// # Panics
///
/// If that does not hold.
pub fn control(data: &[u8]) {
    let Some((&kind, body)) = data.split_first() else {
        return;
    };
    match kind % 16 {
        0 => round_trip::<Hello>(body),
        1 => round_trip::<Welcome>(body),
        2 => round_trip::<AddRoute>(body),
        3 => round_trip::<DelRoute>(body),
        4 => round_trip::<LogRecord>(body),
        5 => round_trip::<Bind>(body),
        6 => round_trip::<Connect>(body),
        7 => round_trip::<Connected>(body),
        8 => round_trip::<CallFailure>(body),
        9 => round_trip::<Handle>(body),
        10 => call_body(body),
        12 => round_trip::<AllocateId>(body),
        13 => round_trip::<IdBlock>(body),
        14 => round_trip::<GrantIds>(body),
        15 => round_trip::<u64>(body),
        _ => {
            let bytes = Bytes::copy_from_slice(body);
            if let Some(outcome) = CallOutcome::parse(bytes.clone()) {
                let written = CallOutcome::parse(outcome.clone().encode());
                assert_eq!(written, Some(outcome));
            }
        }
    }
}

fn round_trip<T>(body: &[u8])
where
    T: serde::Serialize + for<'a> serde::Deserialize<'a> + PartialEq + std::fmt::Debug,
{
    if let Some(value) = control::decode::<T>(body) {
        assert_eq!(control::decode(&control::encode(&value)), Some(value));
    }
}

fn call_body(body: &[u8]) {
    let Some(call) = CallBody::parse(Bytes::copy_from_slice(body)) else {
        return;
    };
    let head = CallHead {
        binding: call.binding,
        signature: call.signature,
        timeout: call.timeout,
        chain: call.chain,
        concurrent: call.concurrent,
        function: call.function(),
    };
    let mut written = head.start(call.arguments().len());
    written.extend_from_slice(call.arguments());
    assert_eq!(written, body);
}

/// A greeting is found, or refused, however it arrives.
///
/// # Panics
///
/// If what was found depends on how it arrived.
pub fn hello(data: &[u8]) {
    let (whole, pieces) = pieces(data);
    let at_once = ExpectHello::new(NONCE, BUILD).on_bytes(whole);
    let mut expect = ExpectHello::new(NONCE, BUILD);
    let mut rest = Vec::new();
    let mut found = None;
    for piece in pieces {
        if found.is_some() {
            rest.extend_from_slice(piece);
            continue;
        }
        match expect.on_bytes(piece) {
            Ok(None) => {}
            Ok(Some(greeted)) => {
                rest.extend_from_slice(&greeted.rest);
                found = Some(greeted);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !text.chars().any(|c| c.is_control() && c != '\n'),
                    "{text:?}"
                );
                // More noise than is borne is noticed sooner in pieces.
                let noise = matches!(error, HandshakeError::Noise(_));
                assert!(noise || at_once.is_err(), "{error:?} in pieces only");
                return;
            }
        }
    }
    match (at_once, found) {
        (Ok(Some(once)), Some(pieced)) => {
            assert_eq!((once.hello, once.noise), (pieced.hello, pieced.noise));
            assert_eq!(once.rest, rest);
        }
        (Ok(None) | Err(HandshakeError::Noise(_)), None) => {}
        (once, pieced) => panic!("at once {once:?}, in pieces {pieced:?}"),
    }
}

/// A welcome is read, or refused, however it arrives.
///
/// # Panics
///
/// If what was read depends on how it arrived.
pub fn welcome(data: &[u8]) {
    let (whole, pieces) = pieces(data);
    let at_once = ExpectWelcome::default().on_bytes(whole);
    let mut expect = ExpectWelcome::default();
    let mut rest = Vec::new();
    let mut found = None;
    for piece in pieces {
        match found {
            Some(_) => rest.extend_from_slice(piece),
            None => match expect.on_bytes(piece) {
                Ok(None) => {}
                Ok(Some((welcome, behind))) => {
                    rest = behind.to_vec();
                    found = Some(welcome);
                }
                Err(error) => return assert_eq!(at_once.unwrap_err(), error),
            },
        }
    }
    let at_once = at_once.unwrap();
    let at_once = at_once.map(|(welcome, behind)| (welcome, behind.to_vec()));
    assert_eq!(at_once, found.map(|welcome| (welcome, rest)));
    // The frame that it came in says what it is.
    let mut frames = Vec::new();
    if Decoder::default().push(whole, &mut frames).is_ok()
        && let Some(frame) = frames.first()
        && first_body::<Welcome>(frame).is_some()
    {
        assert_eq!(frame.header.handle, Handle::HELLO);
    }
}

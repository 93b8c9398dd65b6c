//! Runs one call: arguments in, envelope out.

use std::io::Write as _;

use offshoot_abi::{GuestError, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::buffer::{self, Bounded, LEN_MAX};

/// Reads the `length` bytes of arguments that the host has written, runs `body` with them, and
/// returns where the envelope is: its address in the upper half, its length in the lower.
///
/// `parameters` is how an error names what was expected: `(path: String)`.
pub fn call<A: DeserializeOwned, T: Serialize>(
    length: u32,
    parameters: &str,
    body: impl FnOnce(A) -> Result<T, GuestError>,
) -> u64 {
    let read = buffer::with_arguments(length as usize, decode::<A>)
        .unwrap_or_else(|| Err("there are fewer bytes than announced".to_owned()));
    // The function runs before the result's buffer is taken: it may panic, or call us again.
    let outcome = read.map(body);
    // What was printed belongs to this call, also a last line without an end.
    let _ = std::io::stdout().flush();
    let (address, length) = buffer::with_result(|envelope| match &outcome {
        Ok(Ok(value)) => write_value(envelope, value),
        Ok(Err(error)) => write_error(envelope, error),
        Err(reason) => {
            envelope.push(Outcome::BadArguments as u8);
            let text = format!("cannot read the arguments {parameters}: {reason}");
            envelope.extend_from_slice(text.as_bytes());
        }
    });
    (address.addr() as u64) << 32 | length as u64
}

fn decode<A: DeserializeOwned>(bytes: &[u8]) -> Result<A, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((arguments, [])) => Ok(arguments),
        Ok((_, rest)) => Err(format!(
            "{} of {} bytes are left over",
            rest.len(),
            bytes.len()
        )),
        Err(error) => Err(error.to_string()),
    }
}

fn write_value(envelope: &mut Vec<u8>, value: &impl Serialize) {
    let Err(error) = encode(envelope, Outcome::Value, value) else {
        return;
    };
    let message = match error {
        postcard::Error::SerializeBufferFull => {
            format!("the result has more than {} MiB", LEN_MAX >> 20)
        }
        other => format!("cannot encode the result: {other}"),
    };
    let error = GuestError {
        type_name: "postcard::Error".to_owned(),
        message,
        ..GuestError::default()
    };
    write_error(envelope, &error);
}

fn write_error(envelope: &mut Vec<u8>, error: &GuestError) {
    if encode(envelope, Outcome::Error, error).is_err() {
        // Its text alone has more than a call may return: say at least whose it was.
        let short = GuestError {
            type_name: error.type_name.clone(),
            message: "the error is too large to be returned".to_owned(),
            ..GuestError::default()
        };
        encode(envelope, Outcome::Error, &short).expect("it is short");
    }
}

fn encode(
    envelope: &mut Vec<u8>,
    outcome: Outcome,
    value: &impl Serialize,
) -> Result<(), postcard::Error> {
    envelope.clear();
    envelope.push(outcome as u8);
    postcard::serialize_with_flavor(value, Bounded(envelope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use offshoot_abi::Envelope;

    /// Plays the host: sends `arguments` and shows the envelope.
    fn send<A: DeserializeOwned, T: Serialize>(
        arguments: &[u8],
        body: impl FnOnce(A) -> Result<T, GuestError>,
    ) -> (Outcome, Vec<u8>) {
        buffer::write_arguments(arguments);
        call(arguments.len() as u32, "(text: String, count: u8)", body);
        let bytes = buffer::result();
        let envelope = Envelope::parse(&bytes).unwrap();
        (envelope.outcome, envelope.payload.to_vec())
    }

    #[test]
    fn a_value_comes_back() {
        let arguments = postcard::to_allocvec(&("ab", 3u8)).unwrap();
        let (outcome, payload) = send(&arguments, |(text, count): (String, u8)| {
            Ok(text.repeat(count.into()))
        });
        assert_eq!(outcome, Outcome::Value);
        assert_eq!(postcard::from_bytes::<String>(&payload).unwrap(), "ababab");
    }

    #[track_caller]
    fn check_refused(arguments: &[u8], want: &str) {
        let (outcome, payload) = send(arguments, |_: (String, u8)| Ok(()));
        assert_eq!(outcome, Outcome::BadArguments);
        assert_eq!(String::from_utf8(payload).unwrap(), want);
    }

    #[test]
    fn arguments_that_do_not_fit_are_refused() {
        check_refused(
            &[2, b'a', b'b', 3, 0],
            "cannot read the arguments (text: String, count: u8): 1 of 5 bytes are left over",
        );
        check_refused(
            &[2, b'a'],
            "cannot read the arguments (text: String, count: u8): Hit the end of buffer, \
             expected more data",
        );
    }

    #[test]
    fn a_result_that_is_too_large_is_an_error() {
        let (outcome, payload) = send(&[], |(): ()| Ok(offshoot_abi::Blob(vec![0; LEN_MAX])));
        assert_eq!(outcome, Outcome::Error);
        let error: GuestError = postcard::from_bytes(&payload).unwrap();
        assert_eq!(error.message, "the result has more than 64 MiB");
    }
}

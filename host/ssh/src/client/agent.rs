//! The line to the user's agent. The library gives up a whole list of keys for one that it cannot
//! read: what it is given to read has none of these.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use russh::keys::agent::client::AgentClient;
use russh::keys::key::parse_public_key;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::error::printable;

/// An agent that is asked.
pub(crate) type Agent = AgentClient<AgentStream<UnixStream>>;

/// Bytes of an agent's message; OpenSSH's own bound.
const MESSAGE_MAX: usize = 256 * 1024;

/// Bytes in front of a message, which tell its length.
const HEAD: usize = 4;

/// The type of the message that lists keys.
const IDENTITIES_ANSWER: u8 = 12;

/// Connects to an agent.
pub(crate) async fn connect(socket: &Path) -> io::Result<Agent> {
    let stream = UnixStream::connect(socket).await?;
    Ok(AgentClient::connect(AgentStream::new(stream)))
}

/// Hands an agent's messages on, once they are whole.
pub(crate) struct AgentStream<S> {
    stream: S,
    message: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// So many bytes of the message have arrived.
    Arriving(usize),
    /// So many bytes of it were handed on.
    Leaving(usize),
}

impl<S> AgentStream<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            message: vec![0; HEAD],
            state: State::Arriving(0),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AgentStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match this.state {
                State::Arriving(count) if count < this.message.len() => {
                    let mut room = ReadBuf::new(&mut this.message[count..]);
                    ready!(Pin::new(&mut this.stream).poll_read(cx, &mut room))?;
                    match room.filled().len() {
                        0 => return Poll::Ready(Ok(())),
                        more => this.state = State::Arriving(count + more),
                    }
                }
                State::Arriving(HEAD) if length(&this.message) > 0 => {
                    let length = length(&this.message);
                    if length > MESSAGE_MAX {
                        return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                    }
                    this.message.resize(HEAD + length, 0);
                }
                State::Arriving(_) => {
                    if let Some(body) = readable(&this.message[HEAD..]) {
                        this.message.truncate(HEAD);
                        this.message.extend_from_slice(&body);
                        set_length(&mut this.message);
                    }
                    this.state = State::Leaving(0);
                }
                State::Leaving(count) if count == this.message.len() => {
                    this.message.truncate(HEAD);
                    this.state = State::Arriving(0);
                }
                State::Leaving(count) => {
                    let rest = &this.message[count..];
                    let more = rest.len().min(buffer.remaining());
                    buffer.put_slice(&rest[..more]);
                    this.state = State::Leaving(count + more);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AgentStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn length(message: &[u8]) -> usize {
    let head = message.first_chunk().copied().unwrap_or_default();
    usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX)
}

fn set_length(message: &mut [u8]) {
    let length = u32::try_from(message.len() - HEAD).unwrap_or(u32::MAX);
    message[..HEAD].copy_from_slice(&length.to_be_bytes());
}

/// A list of keys without those that cannot be read, and without what is odd in comments; nothing for
/// any other message, and for one that is no list.
fn readable(body: &[u8]) -> Option<Vec<u8>> {
    let (&IDENTITIES_ANSWER, rest) = body.split_first()? else {
        return None;
    };
    let (count, mut rest) = rest.split_first_chunk()?;
    let (mut keys, mut kept) = (Vec::new(), 0_u32);
    for _ in 0..u32::from_be_bytes(*count) {
        let key = string(&mut rest)?;
        let comment = printable(&String::from_utf8_lossy(string(&mut rest)?));
        if let Err(error) = parse_public_key(key) {
            tracing::debug!(comment, %error, "passes a key of the agent over");
            continue;
        }
        kept += 1;
        for part in [key, comment.as_bytes()] {
            keys.extend_from_slice(&u32::try_from(part.len()).ok()?.to_be_bytes());
            keys.extend_from_slice(part);
        }
    }
    Some([&[IDENTITIES_ANSWER], &kept.to_be_bytes()[..], &keys].concat())
}

/// Takes a string off the front: its length, and its bytes.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (string, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(string)
}

#[cfg(test)]
mod tests {
    use russh::keys::PublicKey;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPM8Ywt2DyFZ7TFbTXVZeQXk3d7HhNy8T0GkCzw/2Nn5";

    fn key() -> Vec<u8> {
        PublicKey::from_openssh(KEY).unwrap().to_bytes().unwrap()
    }

    fn list(keys: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut body = vec![IDENTITIES_ANSWER];
        body.extend_from_slice(&u32::try_from(keys.len()).unwrap().to_be_bytes());
        for part in keys.iter().flat_map(|(key, comment)| [key, comment]) {
            body.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
            body.extend_from_slice(part);
        }
        body
    }

    fn message(body: &[u8]) -> Vec<u8> {
        let mut message = vec![0; HEAD];
        message.extend_from_slice(body);
        set_length(&mut message);
        message
    }

    #[test]
    fn a_key_that_cannot_be_read_hides_no_other() {
        let (key, unknown) = (key(), b"\0\0\0\x03abc\0\0\0\x01x".as_slice());
        let odd = list(&[
            (&key, b"b\xfcro"),
            (unknown, b"odd"),
            (b"", b""),
            (&key, b"plain"),
        ]);
        let want = list(&[(&key, "b\u{fffd}ro".as_bytes()), (&key, b"plain")]);
        assert_eq!(readable(&odd), Some(want));
        for other in [
            &[][..],
            &[5],
            &[14, 0, 0],
            &[12, 0, 0, 0, 9],
            &[12, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(readable(other), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn messages_arrive_whole_however_they_are_cut() {
        let key = key();
        let sent = [
            message(&list(&[(&key, b"\xff")])),
            message(&[5]),
            message(&[]),
            message(&list(&[])),
        ];
        let want = [
            message(&list(&[(&key, "\u{fffd}".as_bytes())])),
            message(&[5]),
            message(&[]),
            message(&list(&[])),
        ];
        for piece in [1, 3, 1024] {
            let (mut agent, ours) = duplex(piece);
            let bytes = sent.concat();
            let writing = async move { agent.write_all(&bytes).await.unwrap() };
            let mut stream = AgentStream::new(ours);
            let mut read = Vec::new();
            let (_, done) = tokio::join!(writing, stream.read_to_end(&mut read));
            done.unwrap();
            assert_eq!(read, want.concat(), "{piece}");
        }
        let (mut agent, ours) = duplex(16);
        agent.write_all(&[0xff; HEAD]).await.unwrap();
        let read = AgentStream::new(ours).read_u8().await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

//! The byte stream below a session, which can be aborted and is limited before authentication.
//!
//! An abort ends it whatever the session waits for. Until authentication is done it carries a bounded
//! number of bytes: russh queues some answers without a bound of its own, and no server has to send
//! that much before.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a server may send before authentication is done. A handshake with certificates and a long
/// banner take a tenth.
const UNAUTHENTICATED_MAX: u64 = 1 << 20;

/// A byte stream that a session can run over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// A byte stream that its [`StreamGuard`] can abort.
pub(crate) struct GuardedStream {
    stream: Box<dyn Stream>,
    stream_guard: Arc<StreamGuard>,
}

/// Aborts a stream, and counts what it carries.
#[derive(Debug)]
pub(crate) struct StreamGuard {
    cut: AtomicBool,
    left: AtomicU64,
    greeting: Mutex<VersionExchange>,
    /// The wakers of the task that reads and of the one that writes.
    waiting: Mutex<[Option<Waker>; 2]>,
}

impl StreamGuard {
    /// StdioPipes the line, in both directions.
    pub(crate) fn abort(&self) {
        self.cut.store(true, Ordering::Release);
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    /// Lifts the limit, once the server has authenticated the user.
    pub(crate) fn lift_limit(&self) {
        self.left.store(u64::MAX, Ordering::Relaxed);
    }

    /// What was said instead of a server's first line; nothing once that has come.
    pub(crate) fn before_version(&self) -> Option<Vec<u8>> {
        let greeting = self.greeting.lock().unwrap_or_else(PoisonError::into_inner);
        (!greeting.came).then(|| greeting.before.clone())
    }

    fn on_bytes(&self, bytes: &[u8]) {
        // It comes with the first bytes, or not at all.
        if self.left.load(Ordering::Relaxed) != u64::MAX {
            let mut greeting = self.greeting.lock().unwrap_or_else(PoisonError::into_inner);
            greeting.on_bytes(bytes);
        }
    }

    /// Whether the line is cut. If it is not, whoever asks is woken when it will be.
    fn is_aborted(&self, place: usize, context: &Context<'_>) -> bool {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut waiting[place] {
                Some(waker) => waker.clone_from(context.waker()),
                empty => *empty = Some(context.waker().clone()),
            }
        }
        self.cut.load(Ordering::Acquire)
    }

    fn spend_limit(&self, bytes: usize) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        if left == u64::MAX {
            return Ok(());
        }
        let rest = left.checked_sub(bytes as u64);
        let rest =
            rest.ok_or_else(|| io::Error::other("the server sent too much before it let us in"))?;
        // Who trusts the line meanwhile wins.
        let _ = self
            .left
            .compare_exchange(left, rest, Ordering::Relaxed, Ordering::Relaxed);
        Ok(())
    }
}

/// Bytes before a server's first line that are kept.
const BEFORE_VERSION_MAX: usize = 1024;

/// Whether a server has said that it is one.
#[derive(Debug, Default)]
struct VersionExchange {
    came: bool,
    before: Vec<u8>,
}

impl VersionExchange {
    fn on_bytes(&mut self, bytes: &[u8]) {
        if self.came {
            return;
        }
        let room = BEFORE_VERSION_MAX.saturating_sub(self.before.len());
        self.before.extend(bytes.iter().take(room));
        let mut lines = self.before.split_inclusive(|&byte| byte == b'\n');
        self.came = lines.any(|stream| stream.starts_with(b"SSH-") && stream.ends_with(b"\n"));
    }
}

impl GuardedStream {
    pub(crate) fn over(stream: impl Stream) -> (Self, Arc<StreamGuard>) {
        let stream_guard = Arc::new(StreamGuard {
            cut: AtomicBool::new(false),
            left: AtomicU64::new(UNAUTHENTICATED_MAX),
            greeting: Mutex::default(),
            waiting: Mutex::default(),
        });
        let stream = Self {
            stream: Box::new(stream),
            stream_guard: Arc::clone(&stream_guard),
        };
        (stream, stream_guard)
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stream_guard.is_aborted(0, context) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if matches!(read, Poll::Ready(Ok(()))) {
            let spent = self
                .stream_guard
                .spend_limit(buffer.filled().len() - before);
            if let Err(error) = spent {
                // A reader that fails must not have read: some callers check.
                buffer.set_filled(before);
                return Poll::Ready(Err(error));
            }
            self.stream_guard.on_bytes(&buffer.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.stream_guard.is_aborted(1, context) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stream_guard.is_aborted(1, context) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stream_guard.is_aborted(1, context) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::{GuardedStream, UNAUTHENTICATED_MAX};

    #[tokio::test]
    async fn f50_a_cut_line_ends_whoever_waits_on_it() {
        let (near, _far) = duplex(16);
        let (mut stream, stream_guard) = GuardedStream::over(near);
        let waiting = tokio::spawn(async move { stream.read(&mut [0; 8]).await.unwrap() });
        tokio::task::yield_now().await;
        stream_guard.abort();
        assert_eq!(waiting.await.unwrap(), 0);
    }

    #[tokio::test]
    async fn f50_what_is_said_before_the_first_line_is_known_until_that_comes() {
        let banner_read = |said: &'static [&'static [u8]]| async move {
            let (near, mut far) = duplex(64);
            let (mut stream, stream_guard) = GuardedStream::over(near);
            for piece in said {
                far.write_all(piece).await.unwrap();
                stream.read_exact(&mut vec![0; piece.len()]).await.unwrap();
            }
            stream_guard.before_version()
        };
        assert_eq!(banner_read(&[]).await, Some(Vec::new()));
        assert_eq!(
            banner_read(&[b"Not ", b"now\r\n"]).await,
            Some(b"Not now\r\n".to_vec())
        );
        assert_eq!(banner_read(&[b"hello\nSSH-2", b".0-x\r\n"]).await, None);
    }

    #[tokio::test]
    async fn t12_a_server_that_floods_before_it_lets_us_in_is_left() {
        for trusted in [false, true] {
            let (near, mut far) = duplex(1 << 16);
            let (mut stream, stream_guard) = GuardedStream::over(near);
            if trusted {
                stream_guard.lift_limit();
            }
            let flood = tokio::spawn(async move {
                let bytes = vec![0; usize::try_from(UNAUTHENTICATED_MAX).unwrap() + 1];
                let _ = far.write_all(&bytes).await;
            });
            let mut all = Vec::new();
            let result = stream.read_to_end(&mut all).await;
            assert_eq!(result.is_ok(), trusted);
            drop(stream);
            flood.await.unwrap();
        }
    }
}

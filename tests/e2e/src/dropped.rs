//! Futures that are dropped before they are done, at each point where they can be.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// Polls of one future at most.
const POLLS_MAX: usize = 64;

/// How long to wait for a future to want another poll.
const PATIENCE: Duration = Duration::from_millis(50);

/// Polls one future not at all, the next one once, and so on, and drops each; `check` comes after
/// each, and says what is wrong by a panic. Ends with the first that is done and gives what it
/// gave, and how many were dropped.
///
/// # Panics
///
/// Panics if none is ever done.
pub async fn at_each_poll<F: Future>(
    mut make: impl FnMut() -> F,
    mut check: impl AsyncFnMut(usize),
) -> (F::Output, usize) {
    for polls in 0..POLLS_MAX {
        let mut future = Box::pin(make());
        for _ in 0..polls {
            if let Some(output) = poll_once(future.as_mut()).await {
                return (output, polls);
            }
        }
        drop(future);
        check(polls).await;
    }
    panic!("it is not done after {POLLS_MAX} polls");
}

/// Polls once, and waits until the future wants to be polled again.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut output = None;
    let mut polled = false;
    let step = poll_fn(|cx| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        match future.as_mut().poll(cx) {
            Poll::Ready(done) => {
                output = Some(done);
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    });
    // One that waits for nothing that will come is dropped as it is.
    let _ = tokio::time::timeout(PATIENCE, step).await;
    output
}

//! Ctrl-C: the first one ends the contexts in order, the second one ends this process.

use tokio::signal::unix::{SignalKind, signal};

use super::report::Status;

/// Calls `first` on the first interrupt or request to terminate, and exits on the second.
///
/// It listens in a thread of its own: the main one may be stuck in a write to a pipe that nobody
/// reads, which is when people reach for the keyboard.
pub(super) fn watch(first: impl FnOnce() + Send + 'static) {
    let listen = async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            // The system's own handling, an end at once, stays in place.
            return;
        };
        let mut first = Some(first);
        loop {
            std::future::poll_fn(|cx| match interrupt.poll_recv(cx) {
                std::task::Poll::Pending => terminate.poll_recv(cx),
                ready => ready,
            })
            .await;
            match first.take() {
                Some(first) => first(),
                None => std::process::exit(Status::Interrupted as i32),
            }
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(listen);
        }
    });
}

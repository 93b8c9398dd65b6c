//! Ctrl-C, and requests to end: the first one ends the contexts in order, the second one ends this process.

use tokio::signal::unix::{SignalKind, signal};

use super::report::Status;
use super::screen;

/// Calls `first` on the first interrupt or request to terminate, and exits on the second.
///
/// It listens in a thread of its own: the main one may be stuck in a write to a pipe that nobody
/// reads, which is when people reach for the keyboard.
pub(super) fn watch(first: impl FnOnce(Status) + Send + 'static) {
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
            let status = tokio::select! {
                _ = interrupt.recv() => Status::Interrupted,
                _ = terminate.recv() => Status::Terminated,
            };
            match first.take() {
                Some(first) => first(status),
                None => {
                    screen::leave();
                    std::process::exit(status as i32);
                }
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

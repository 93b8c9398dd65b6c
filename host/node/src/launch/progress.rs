//! Reports how far the making of a context has come, to a callback or to the context that asked.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use offshoot_limiter::Permit;
use offshoot_proto::control::{CONNECT_EVENTS_MAX, ConnectEvent, Connected};
use offshoot_proto::{ContextId, Handle};

use crate::driver::Driver;
use crate::text::quote;

/// The callback for the events of one connection, if there is one.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(ConnectEvent) + Send + Sync>>);

impl Progress {
    /// Reports to a callback, which must not block.
    pub fn new(callback: impl Fn(ConnectEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(callback)))
    }

    /// Reports to the context that asked for the child, if that wants it.
    pub(super) fn to_requester(driver: &Driver, src: ContextId, reply_to: Handle) -> Self {
        let (driver, sent) = (driver.weak(), AtomicUsize::new(0));
        Self::new(move |event| {
            if sent.fetch_add(1, Ordering::Relaxed) < CONNECT_EVENTS_MAX
                && let Some(driver) = driver.upgrade()
            {
                driver.answer_connect(src, reply_to, &Connected::Progress(event));
            }
        })
    }

    /// Whether there is a callback.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// The same, and drops `permit` once the user is authenticated, or with the last clone.
    pub(super) fn holding(&self, permit: Permit) -> Self {
        let (progress, permit) = (self.clone(), Mutex::new(Some(permit)));
        Self::new(move |event| {
            if event == ConnectEvent::Authenticated {
                drop(permit.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
            progress.call(event);
        })
    }

    /// Reports an event of this process.
    pub(super) fn report(&self, event: ConnectEvent) {
        tracing::debug!("{event}");
        self.call(event);
    }

    /// Reports an event that another context has sent: its texts are bounded and safe to print.
    pub(super) fn forward(&self, event: ConnectEvent) {
        let clean = |text: String| quote(&text).replace(['\n', '\t'], " ");
        let event = match event {
            ConnectEvent::Resolved { host } => ConnectEvent::Resolved { host: clean(host) },
            ConnectEvent::Connected { host } => ConnectEvent::Connected { host: clean(host) },
            ConnectEvent::HostKeyTrusted { host } => {
                ConnectEvent::HostKeyTrusted { host: clean(host) }
            }
            ConnectEvent::Uploading {
                directory,
                sent,
                total,
            } => ConnectEvent::Uploading {
                directory: clean(directory),
                sent,
                total,
            },
            other => other,
        };
        self.call(event);
    }

    fn call(&self, event: ConnectEvent) {
        if let Some(callback) = &self.0 {
            callback(event);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.is_wanted()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_context_reports_is_bounded_and_commands_no_terminal() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let progress = Progress::new({
            let seen = seen.clone();
            move |event: ConnectEvent| seen.lock().unwrap().push(event.to_string())
        });
        progress.forward(ConnectEvent::Resolved {
            host: "\u{1b}[2Jweb1\nweb2".to_owned(),
        });
        progress.forward(ConnectEvent::Uploading {
            directory: "x".repeat(1 << 20),
            sent: u64::MAX,
            total: 0,
        });
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0], "resolved [2Jweb1 web2");
        assert!(seen[1].len() < 10_000);
    }
}

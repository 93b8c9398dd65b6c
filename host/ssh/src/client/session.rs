//! An authenticated session, and the guards that end it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::Disconnect;
use russh::client::Handle;

use super::dial::ProxyCommand;
use super::guarded_stream::StreamGuard;
use super::handler::{ClientHandler, SharedState};
use super::password_scrubber::PasswordScrubber;

/// An authenticated session.
pub(crate) struct AuthenticatedSession {
    pub(crate) handle: Handle<ClientHandler>,
    pub(crate) state: SharedState,
    /// The sessions and the command that carry this one, outermost first.
    pub(crate) underlying: Vec<SessionGuard>,
    pub(crate) stream_guards: Vec<Arc<StreamGuard>>,
    /// Overwrites what the password left in the buffers of russh.
    pub(crate) scrubber: PasswordScrubber,
}

/// How long a server may take to close the connection after our disconnect message.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Keeps a session, or what carries one, alive.
pub(crate) enum SessionGuard {
    /// Itself, or one that it goes through. Its handle can be sent to other threads, but not be
    /// shared.
    Session(Mutex<Handle<ClientHandler>>),
    /// The command that carries it.
    #[expect(dead_code, reason = "it is kept, not used")]
    Proxy(ProxyCommand),
}

impl SessionGuard {
    pub(crate) fn session(handle: Handle<ClientHandler>) -> Self {
        Self::Session(Mutex::new(handle))
    }

    /// Disconnects, and waits for the server to close the connection.
    pub(crate) async fn disconnect(self) {
        let Self::Session(handle) = self else {
            return;
        };
        let Ok(handle) = handle.into_inner() else {
            return;
        };
        let told = handle.disconnect(Disconnect::ByApplication, "", "").await;
        if told.is_ok() {
            let _ = tokio::time::timeout(DISCONNECT_TIMEOUT, handle).await;
        }
    }
}

/// Aborts its streams when dropped.
#[derive(Debug)]
pub(crate) struct AbortStreamsOnDrop(Vec<Arc<StreamGuard>>);

impl AbortStreamsOnDrop {
    pub(crate) fn new(stream_guards: Vec<Arc<StreamGuard>>) -> Self {
        Self(stream_guards)
    }

    /// Lifts the limit on what arrives before authentication.
    pub(crate) fn lift_limit(&self) {
        self.0
            .iter()
            .for_each(|stream_guard| stream_guard.lift_limit());
    }

    /// Gives the guards to the caller, and aborts nothing.
    pub(crate) fn keep(mut self) -> Vec<Arc<StreamGuard>> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for AbortStreamsOnDrop {
    fn drop(&mut self) {
        self.0.iter().for_each(|stream_guard| stream_guard.abort());
    }
}

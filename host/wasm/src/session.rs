//! What the engine asks of whoever has a router: the one seam between guests and the tree.
//!
//! The engine checks that a guest may ask, that what it asks is within bounds, and that its
//! pointers are its own. What a request means is not known here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use offshoot_abi::router::{Request, RequestError, Response};

/// The answer to a request, when there is one.
pub type Exchange = Pin<Box<dyn Future<Output = Result<Response, RequestError>> + Send>>;

/// What one instance of a plugin has open: its receivers, its calls.
///
/// It is dropped with the instance, in whatever thread that happens, also in that of the router,
/// and must then close all that was opened through it. Its methods are called in threads of the
/// engine's own, never in the one that started the call, so they may wait for locks that the
/// starter holds. A future that is dropped takes its request back where that is still possible: a
/// call whose receiver nobody was told of must be cancelled, and a message that nobody was given
/// must stay with its receiver.
pub trait PluginRouter: Send + Sync {
    /// Does what the guest asks. The guest waits until it is done, unless its call ends before.
    fn exchange(&self, request: Request) -> Exchange;

    /// Whether the instance may send to every handle of programs in a context, and not only to
    /// those that it was handed.
    ///
    /// # Errors
    ///
    /// Says why not.
    fn may_send(&self, context: u32) -> Result<(), RequestError>;

    /// Sends a message as soon as the receiver has room for it. Nothing is taken from `data`
    /// before the poll that is ready.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        context: u32,
        handle: u64,
        data: &[u8],
    ) -> Poll<Result<(), RequestError>>;
}

/// Makes the session of an instance, when the instance first needs one.
pub trait PluginRouters: Send + Sync {
    /// Makes a session.
    fn open(&self) -> Arc<dyn PluginRouter>;
}

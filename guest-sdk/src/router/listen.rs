//! How to listen on a handle.

use offshoot_abi::router::{self, Request, Response};

use super::{Context, Receiver, RouterError, exchange, unexpected};

/// How to listen on a handle: which one, for how long, and from whom.
///
/// ```no_run
/// # use offshoot_guest::{Context, Result, Router};
/// # fn example(router: &Router, context: &Context) -> Result<()> {
/// use offshoot_guest::ListenOptions;
///
/// // One message, on a handle that both sides know, from that context only.
/// let listen = ListenOptions::new().handle(500).persist(false).respondent(context);
/// let answer: u32 = router.receiver_with(listen)?.get()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ListenOptions(router::Listen);

impl ListenOptions {
    /// All messages, from whoever may send here, on a new handle.
    pub const fn new() -> Self {
        Self(router::Listen {
            handle: None,
            persist: true,
            respondent: None,
        })
    }

    /// A handle that the other side knows.
    pub const fn handle(mut self, handle: u64) -> Self {
        self.0.handle = Some(handle);
        self
    }

    /// Whether to go on after the first message.
    pub const fn persist(mut self, persist: bool) -> Self {
        self.0.persist = persist;
        self
    }

    /// The only context that may send there. When it is lost, whoever waits learns it.
    pub fn respondent(mut self, context: &Context) -> Self {
        self.0.respondent = Some(context.id());
        self
    }

    pub(super) fn make<T>(self) -> Result<Receiver<T>, RouterError> {
        let persist = self.0.persist;
        match exchange(Request::Listen(self.0))? {
            Response::Receiver { handle } if persist => Ok(Receiver::persistent(handle)),
            Response::Receiver { handle } => Ok(Receiver::one_shot(handle)),
            other => Err(unexpected(&other)),
        }
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self::new()
    }
}

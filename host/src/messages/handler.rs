//! Functions that take the messages of a handle as they come.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use offshoot_proto::{DeadKind, Handle};

use super::message::Message;
use super::receiver::ListenOptions;
use crate::context::Context;
use offshoot_node::driver::Driver;
use offshoot_node::mailbox::{MessageHandler, QueuedMessage};

/// A function for the messages of a handle, and which of them it gets.
///
/// It runs in the thread that the message arrives in, so it must not block: no messages of any
/// context move in the meantime. One that panics is logged, and stays.
///
/// ```no_run
/// # fn example(router: offshoot::Router) -> Result<(), offshoot::Error> {
/// use offshoot::{Handler, Message};
///
/// let handler = Handler::new(|message: Message| match message.reason() {
///     None => println!("{:?} from context {}", message.decode::<String>(), message.source()),
///     Some(reason) => println!("no more: {reason}"),
/// });
/// let handle = router.add_handler(handler.handle(500))?;
/// assert_eq!(handle, 500);
/// # Ok(())
/// # }
/// ```
#[must_use = "a handler is added to a router"]
pub struct Handler {
    function: Function,
    policy: Option<Policy>,
    pub(crate) listen: ListenOptions,
}

type Function = Box<dyn FnMut(Message) + Send>;
type Policy = Box<dyn FnMut(&Message) -> bool + Send>;

impl Handler {
    /// All messages to a new handle, from whoever may send here.
    ///
    /// When no more will come, because the respondent is lost or the router shuts down, the
    /// function gets a message that [is dead](Message::is_dead).
    pub fn new(function: impl FnMut(Message) + Send + 'static) -> Self {
        Self {
            function: Box::new(function),
            policy: None,
            listen: ListenOptions::new(),
        }
    }

    /// A handle that the other side knows; from 200 on, those below are the router's own.
    pub fn handle(mut self, handle: u64) -> Self {
        self.listen = self.listen.handle(handle);
        self
    }

    /// Whether to go on after the first message. If not, the handle is free again before the
    /// function runs.
    pub fn persist(mut self, persist: bool) -> Self {
        self.listen = self.listen.persist(persist);
        self
    }

    /// The only context that may send there.
    pub fn respondent(mut self, context: &Context) -> Self {
        self.listen = self.listen.respondent(context);
        self
    }

    /// Which messages the function gets. The others are answered: `refused by policy`.
    pub fn policy(mut self, policy: impl FnMut(&Message) -> bool + Send + 'static) -> Self {
        self.policy = Some(Box::new(policy));
        self
    }

    pub(crate) fn register(self, driver: &Driver, handle: Handle) -> Arc<dyn MessageHandler> {
        Arc::new(Registered {
            driver: driver.weak(),
            handle,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                functions: Some((self.function, self.policy)),
            }),
        })
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// A handler that is listening.
///
/// Links are read by several threads, so what comes is queued first: the function sees it in
/// order, and one at a time.
struct Registered {
    driver: Weak<Driver>,
    handle: Handle,
    state: Mutex<State>,
}

struct State {
    waiting: VecDeque<QueuedMessage>,
    /// Away while they run.
    functions: Option<(Function, Option<Policy>)>,
}

impl MessageHandler for Registered {
    /// Queues a message, under the driver's lock: so it stays in order.
    fn queue(&self, mail: QueuedMessage) {
        self.lock().waiting.push_back(mail);
    }

    /// Gives the function what waits for it, unless another thread is about it.
    fn run(&self) {
        let Some(driver) = self.driver.upgrade() else {
            return;
        };
        let Some(mut functions) = self.lock().functions.take() else {
            return;
        };
        loop {
            let next = {
                let mut state = self.lock();
                let next = state.waiting.pop_front();
                if next.is_none() {
                    // Under the same lock: what is queued from now on finds them here.
                    state.functions = Some(functions);
                    return;
                }
                next
            };
            if let Some(mail) = next {
                self.hand_over(&driver, &mut functions, mail);
            }
        }
    }
}

impl Registered {
    fn hand_over(
        &self,
        driver: &Driver,
        functions: &mut (Function, Option<Policy>),
        mail: QueuedMessage,
    ) {
        let (function, policy) = functions;
        let receipt = mail.receipt;
        let (src, reply_to) = (mail.src, mail.reply_to);
        let message = Message::from_queued(driver.weak(), self.handle, mail);
        let handled = catch_unwind(AssertUnwindSafe(|| {
            let allowed =
                message.is_dead() || policy.as_mut().is_none_or(|policy| policy(&message));
            if allowed {
                function(message);
            }
            allowed
        }));
        if handled.is_err() {
            tracing::error!(handle = self.handle.0, "a handler panicked");
        }
        driver.drive_lazily(|state, _| {
            if matches!(handled, Ok(false)) {
                let reason = "refused by policy";
                state.node.decline(src, reply_to, DeadKind::Refused, reason);
            }
            state.node.taken(receipt);
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

//! The end of a stream, or of a call, that messages are taken from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use offshoot_proto::{ContextId, Handle};
use serde::de::DeserializeOwned;
use tokio::runtime;

use super::message::{self, Message};
use super::notify::Call;
use super::sender::Sender;
use crate::blocking;
use crate::context::CallTarget;
use crate::context::Context;
use crate::error::{ChannelError, ChannelErrorKind, Error};
use crate::router::Router;
use crate::tree::Tree;
use offshoot_node::driver::Driver;
use offshoot_node::driver::Subscription;
use offshoot_node::mailbox::{Content, Received};

/// Takes the messages that come to a handle of this context: the value of one call, or
/// all that is sent there.
///
/// Cheap to clone; the clones share one queue, and each message goes to one of them.
/// When the last one is dropped, the handle is gone: senders get an error, and a call is
/// cancelled where it runs.
///
/// ```no_run
/// # async fn example(router: offshoot::Router) -> Result<(), offshoot::Error> {
/// let receiver = router.receiver::<String>()?;
/// let sender = receiver.to_sender();
/// sender.put(&"hello".to_owned()).await?;
/// assert_eq!(receiver.get().await?, "hello");
/// # Ok(())
/// # }
/// ```
pub struct Receiver<T> {
    core: Arc<Core>,
    decode: fn(&Core, Message) -> Result<T, Error>,
}

/// What does not depend on the type of the messages.
pub(crate) struct Core {
    pub(crate) subscription: Subscription,
    purpose: Purpose,
}

enum Purpose {
    /// The value of one call.
    Call(CallTarget),
    /// Whatever comes.
    Messages {
        tree: Arc<Tree>,
        respondent: Option<Context>,
    },
}

/// How to listen on a handle: which one, for how long, and from whom.
///
/// ```no_run
/// # async fn example(router: offshoot::Router, context: offshoot::Context)
/// # -> Result<(), offshoot::Error> {
/// use offshoot::ListenOptions;
///
/// // One message, on a handle that both sides know, from that context only.
/// let listen = ListenOptions::new().handle(500).persist(false).respondent(&context);
/// let answer: u32 = router.receiver_with(listen)?.get().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ListenOptions {
    pub(crate) handle: Option<u64>,
    pub(crate) persist: bool,
    pub(crate) respondent: Option<Context>,
}

impl ListenOptions {
    /// All messages, from whoever may send here, on a new handle.
    pub const fn new() -> Self {
        Self {
            handle: None,
            persist: true,
            respondent: None,
        }
    }

    /// A handle that the other side knows; from 200 on, those below are the router's own.
    pub const fn handle(mut self, handle: u64) -> Self {
        self.handle = Some(handle);
        self
    }

    /// Whether to go on after the first message.
    pub const fn persist(mut self, persist: bool) -> Self {
        self.persist = persist;
        self
    }

    /// The only context that may send there. When it is lost, whoever waits learns it.
    pub fn respondent(mut self, context: &Context) -> Self {
        self.respondent = Some(context.clone());
        self
    }

    /// The same, for the node of that tree.
    pub(crate) fn to_proto(&self, tree: &Arc<Tree>) -> Result<offshoot_proto::Listen, Error> {
        let respondent = self.respondent.as_ref().map(|it| it.id_in(tree));
        Ok(offshoot_proto::Listen {
            handle: self.handle.map(Handle),
            persist: self.persist,
            respondent: respondent.transpose()?,
            deadline: None,
        })
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Listens as `listen` says.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when the handle is taken or the router's own, [`Error::ForeignContext`] when the
    /// respondent is a context of another router, [`Error::Channel`] when it is lost already, or the
    /// router was shut down.
    pub fn new(router: &Router, listen: ListenOptions) -> Result<Self, Error> {
        let tree = router.tree.clone();
        let wanted = listen.to_proto(&tree)?;
        let subscription = tree.driver.drive(|state, _| {
            if state.is_ended() {
                return Ok(None);
            }
            let handle = state.node.listen(&wanted)?;
            let subscription = Subscription::new(&tree.driver, state, wanted.respondent, handle);
            Ok(Some(subscription))
        });
        let subscription = subscription.map_err(|error| Error::no_listener(&tree.driver, error))?;
        let subscription = subscription.ok_or_else(Error::shut_down)?;
        Ok(Self::from_core(Core {
            subscription,
            purpose: Purpose::Messages {
                tree,
                respondent: listen.respondent,
            },
        }))
    }

    /// The value of a call.
    pub(crate) fn of_call(subscription: Subscription, target_call: CallTarget) -> Self {
        Self::from_core(Core {
            subscription,
            purpose: Purpose::Call(target_call),
        })
    }

    fn from_core(core: Core) -> Self {
        Self {
            core: Arc::new(core),
            decode: |core, message| core.decode(&core.content(message)?),
        }
    }
}

impl<T> Receiver<T> {
    /// Waits for the next message and gives its value.
    ///
    /// # Errors
    ///
    /// [`Error::Channel`] when the other end has closed or is lost, or this one was closed;
    /// [`Error::Call`] when it is a call that failed; [`Error::Timeout`] when it is a call whose
    /// time is up; [`Error::Malformed`] when the message is something else than `T`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message. A call goes on until the receiver is dropped.
    pub async fn get(&self) -> Result<T, Error> {
        let message = self.core.get().await?;
        (self.decode)(&self.core, message)
    }

    /// The same, for so long. No time at all is a look at what is there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`Error::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    pub async fn get_timeout(&self, timeout: Duration) -> Result<T, Error> {
        let value = match self.try_get() {
            Some(value) => Some(value),
            None if timeout.is_zero() => {
                // A loop of looks must not keep those from running who would bring something.
                tokio::task::coop::consume_budget().await;
                None
            }
            None => blocking::timeout(self.runtime().as_ref(), timeout, self.get()).await,
        };
        value.unwrap_or_else(|| Err(self.timed_out(timeout)))
    }

    /// The next message's value, if there is one now or will never be.
    pub fn try_get(&self) -> Option<Result<T, Error>> {
        let message = self.core.try_get()?;
        Some(message.and_then(|message| (self.decode)(&self.core, message)))
    }

    /// The same for what was taken already.
    pub(crate) fn value_of(&self, taken: Received) -> Result<T, Error> {
        let message = self.core.message(taken)?;
        (self.decode)(&self.core, message)
    }

    /// Where the tasks of its router run.
    pub(crate) fn runtime(&self) -> Option<runtime::Handle> {
        Some(self.core.subscription.driver()?.runtime().clone())
    }

    /// Waits for the next message and gives all of it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    pub async fn get_message(&self) -> Result<Message, Error> {
        let message = self.core.get().await?;
        match message.error() {
            Some(error) => Err(error),
            None => Ok(message),
        }
    }

    /// The next value, from a thread that is not the runtime's.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`Error::Usage`] in a thread that must not wait: it drives the
    /// router itself.
    pub fn get_blocking(&self) -> Result<T, Error> {
        blocking::wait(self.core.subscription.driver().as_deref(), self.get())?
    }

    /// The next value within so long, from a thread that is not the runtime's.
    ///
    /// # Errors
    ///
    /// As [`get_blocking`](Self::get_blocking), and [`Error::Timeout`].
    pub fn get_blocking_timeout(&self, timeout: Duration) -> Result<T, Error> {
        if let Some(value) = self.try_get() {
            return value;
        }
        let driver = self.core.subscription.driver();
        match blocking::wait_until(driver.as_deref(), self.get(), timeout)? {
            Some(value) => value,
            None => Err(self.timed_out(timeout)),
        }
    }

    /// Whether [`get`](Self::get) would wait. It may be wrong a moment later, in either way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages that wait.
    pub fn len(&self) -> usize {
        self.core.subscription.inbox().len()
    }

    /// Whether nothing will come any more: it was the value of one call, the respondent is lost,
    /// or it was closed. Something may still wait.
    pub fn is_over(&self) -> bool {
        self.core.subscription.inbox().is_over()
    }

    /// Ends it: everyone who waits gets [`Error::Channel`], what waits is void, senders get an
    /// error, and a call is cancelled. More than once is no more than once.
    pub fn close(&self) {
        self.core.subscription.close("the receiver has been closed");
    }

    /// The handle that it listens on.
    pub fn handle(&self) -> u64 {
        self.core.subscription.handle().0
    }

    /// The context that it hears from, if it hears from one only.
    pub fn context(&self) -> Option<&Context> {
        match &self.core.purpose {
            Purpose::Call(target_call) => Some(&target_call.context),
            Purpose::Messages { respondent, .. } => respondent.as_ref(),
        }
    }

    /// A way to send here, also from other contexts: see [`Sender::to_portable`].
    pub fn to_sender(&self) -> Sender<T> {
        let tree = self.core.tree();
        let here = tree.driver.lock().node.id();
        Sender::from_parts(tree.clone(), here, self.core.subscription.handle())
    }

    /// The same receiver, giving each message's bytes: to have receivers of different types in
    /// one [`Select`](crate::Select).
    pub fn untyped(&self) -> Receiver<Bytes> {
        Receiver {
            core: self.core.clone(),
            decode: |core, message| core.content(message),
        }
    }

    /// Calls `notify` after each message, in whatever thread it arrives; it must not block
    ///. Messages that wait already count: it is called once at once if there are any.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when a [`Select`](crate::Select) or another function is told already.
    pub fn set_notify(&self, notify: impl Fn() + Send + Sync + 'static) -> Result<(), Error> {
        let inbox = self.core.subscription.inbox();
        Call::watch(notify, |notify| inbox.watch(notify))
    }

    /// Takes back [`set_notify`](Self::set_notify).
    pub fn clear_notify(&self) {
        self.core.subscription.inbox().unwatch();
    }

    /// The values as a stream, which ends when nothing will come any more.
    ///
    /// Errors other than that end are items.
    pub fn stream(&self) -> impl Stream<Item = Result<T, Error>> + Send + use<T>
    where
        T: Send + 'static,
    {
        stream::unfold(self.clone(), |receiver| async move {
            match receiver.get().await {
                Err(Error::Channel(_)) => None,
                item => Some((item, receiver)),
            }
        })
    }

    /// The values, one after the other, from a thread that is not the runtime's. It ends
    /// when nothing will come any more; other errors are items.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(Some(self))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn timed_out(&self, after: Duration) -> Error {
        Error::Timeout {
            what: self.core.what(),
            after,
        }
    }
}

impl Core {
    /// The next message, whatever it says.
    async fn get(&self) -> Result<Message, Error> {
        let taken = self.subscription.take().await;
        self.message(taken)
    }

    fn try_get(&self) -> Option<Result<Message, Error>> {
        let taken = self.subscription.try_take()?;
        Some(self.message(taken))
    }

    fn message(&self, taken: Received) -> Result<Message, Error> {
        match taken {
            Received::QueuedMessage(mail) if matches!(mail.content, Content::Expired) => {
                Err(self.expired())
            }
            Received::QueuedMessage(mail) => {
                let driver = self.tree().driver.weak();
                Ok(Message::from_queued(
                    driver,
                    self.subscription.handle(),
                    mail,
                ))
            }
            Received::Over(reason) => Err(Error::Channel(ChannelError {
                context: self.from(),
                kind: ChannelErrorKind::Closed,
                reason: reason.to_string(),
                may_have_run: false,
            })),
        }
    }

    /// What a message brings: its bytes, or a call's value.
    fn content(&self, message: Message) -> Result<Bytes, Error> {
        match &self.purpose {
            Purpose::Call(target_call) => {
                let (_, _, body) = message.into_parts();
                target_call.value(body)
            }
            Purpose::Messages { .. } => match message.error() {
                Some(error) => Err(error),
                None => Ok(message.bytes()),
            },
        }
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &Bytes) -> Result<T, Error> {
        match &self.purpose {
            Purpose::Call(target_call) => target_call.decode(bytes),
            Purpose::Messages { .. } => message::decode(bytes, || self.what()),
        }
    }

    fn expired(&self) -> Error {
        match &self.purpose {
            Purpose::Call(target_call) => target_call.timed_out(),
            Purpose::Messages { .. } => Error::Timeout {
                what: self.what(),
                after: Duration::ZERO,
            },
        }
    }

    /// The context that it hears from; empty when it is not one.
    fn from(&self) -> String {
        match &self.purpose {
            Purpose::Call(target_call) => target_call.context.name().to_owned(),
            Purpose::Messages { respondent, .. } => respondent
                .as_ref()
                .map_or_else(String::new, |context| context.name().to_owned()),
        }
    }

    fn what(&self) -> String {
        match &self.purpose {
            Purpose::Call(target_call) => target_call.to_string(),
            Purpose::Messages { .. } => {
                let handle = self.subscription.handle();
                match self.from() {
                    from if from.is_empty() => format!("handle {handle}"),
                    from => format!("{from} on handle {handle}"),
                }
            }
        }
    }

    fn tree(&self) -> &Arc<Tree> {
        match &self.purpose {
            Purpose::Call(target_call) => target_call.context.tree(),
            Purpose::Messages { tree, .. } => tree,
        }
    }
}

/// The values of a receiver, one after the other. See [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T>(Option<&'a Receiver<T>>);

impl<T> Iterator for Iter<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.0?.get_blocking();
        match item {
            Err(Error::Channel(_)) => return None,
            // It would be the same again, and again.
            Err(Error::Usage(_)) => self.0 = None,
            _ => {}
        }
        Some(item)
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, Error>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self {
            core: self.core.clone(),
            decode: self.decode,
        }
    }
}

impl<T, U> PartialEq<Receiver<U>> for Receiver<T> {
    /// Whether both take from the same queue.
    fn eq(&self, other: &Receiver<U>) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }
}

impl<T> Eq for Receiver<T> {}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Receiver");
        out.field("handle", &self.handle());
        match &self.core.purpose {
            Purpose::Call(target_call) => out.field("call", &format_args!("{target_call}")),
            Purpose::Messages { respondent, .. } => out.field("respondent", respondent),
        };
        out.finish()
    }
}

impl Error {
    /// A handle that cannot be listened on.
    pub(crate) fn no_listener(driver: &Driver, error: offshoot_proto::ListenError) -> Self {
        match error {
            offshoot_proto::ListenError::NoRoute(id) => Self::unsent(
                &driver.name(id),
                &offshoot_proto::SendError::NoRoute(ContextId(id.0)),
            ),
            error => Self::Usage(error.to_string()),
        }
    }
}

//! The receiving end: of messages, or of one call's value.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::{Rc, Weak};
use std::time::Duration;

use offshoot_abi::router::{ChannelError, Receive, Received, Request, Response};
use serde::de::DeserializeOwned;

use super::select::Core;
use super::{Message, RouterError, Sender, exchange, unexpected};
use crate::{host, imports};

/// Receives `T`s. Messages wait at the host until they are taken.
///
/// Clones share one receiver, which is closed when the last is dropped. It stays in its thread:
/// between calls, keep it in a `thread_local!`.
pub struct Receiver<T> {
    shared: Rc<Shared>,
    items: PhantomData<fn() -> T>,
}

struct Shared {
    handle: u64,
    /// Whether it takes one message and is then gone.
    is_one_shot: bool,
    state: Cell<State>,
    /// The select that it is in.
    owner: RefCell<Weak<Core>>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    /// Its one message was taken: the host's end of it went with the message.
    Taken,
    Closed,
}

impl<T> Receiver<T> {
    pub(super) fn persistent(handle: u64) -> Self {
        Self::new(handle, false)
    }

    pub(super) fn one_shot(handle: u64) -> Self {
        Self::new(handle, true)
    }

    fn new(handle: u64, is_one_shot: bool) -> Self {
        Self::from_shared(Rc::new(Shared {
            handle,
            is_one_shot,
            state: Cell::new(State::Open),
            owner: RefCell::default(),
        }))
    }

    fn from_shared(shared: Rc<Shared>) -> Self {
        Self {
            shared,
            items: PhantomData,
        }
    }

    /// Its handle in this context.
    pub fn handle(&self) -> u64 {
        self.shared.handle
    }

    /// A sender to this receiver, to be handed to others.
    pub fn to_sender(&self) -> Sender<T> {
        Sender::new(host::context_id(), self.handle())
    }

    /// How many messages wait.
    ///
    /// # Errors
    ///
    /// Fails when it is closed.
    pub fn len(&self) -> Result<u64, RouterError> {
        self.raw().waiting()
    }

    /// Whether [`get`](Self::get) would wait.
    ///
    /// # Errors
    ///
    /// Fails when it is closed.
    pub fn is_empty(&self) -> Result<bool, RouterError> {
        Ok(self.len()? == 0)
    }

    /// Stops receiving: what waits is discarded, and a call whose value it is, is cancelled.
    pub fn close(&self) {
        self.shared.close();
    }

    pub(super) fn raw(&self) -> Raw {
        Raw(self.shared.clone())
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// The next value; waits for it.
    ///
    /// # Errors
    ///
    /// [`RouterError::Channel`] when nothing more will come, [`RouterError::Call`] when it is a
    /// call's value and the call failed, [`RouterError::Decode`] when what came is no `T`.
    pub fn get(&self) -> Result<T, RouterError> {
        Ok(self.get_message()?.value)
    }

    /// The next value, if it comes within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`RouterError::Timeout`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, RouterError> {
        match self.next(Some(timeout))? {
            Some(message) => Ok(message.value),
            None => Err(RouterError::timeout("nothing arrived", timeout)),
        }
    }

    /// The next value, if it is there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn try_get(&self) -> Result<Option<T>, RouterError> {
        let message = self.next(Some(Duration::ZERO))?;
        Ok(message.map(|message| message.value))
    }

    /// The next value with its sender; waits for it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_message(&self) -> Result<Message<T>, RouterError> {
        match self.next(None)? {
            Some(message) => Ok(message),
            None => Err(unexpected(&Response::TimedOut)),
        }
    }

    /// The values until nothing more will come. An error that is not that is an item, and the
    /// values after it still come.
    pub fn iter(&self) -> Items<'_, T> {
        Items {
            receiver: self,
            ended: false,
        }
    }

    fn next(&self, timeout: Option<Duration>) -> Result<Option<Message<T>>, RouterError> {
        let raw = self.raw();
        raw.check_open()?;
        match receive(vec![self.handle()], timeout)? {
            Some(received) => {
                raw.took_one();
                received.try_into().map(Some)
            }
            None => Ok(None),
        }
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, RouterError>;
    type IntoIter = Items<'a, T>;

    fn into_iter(self) -> Items<'a, T> {
        self.iter()
    }
}

/// The values of a [`Receiver`].
#[derive(Debug)]
pub struct Items<'a, T> {
    receiver: &'a Receiver<T>,
    ended: bool,
}

impl<T: DeserializeOwned> Iterator for Items<'_, T> {
    type Item = Result<T, RouterError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.receiver.get() {
            Err(RouterError::Channel(_)) => {
                self.ended = true;
                None
            }
            // Of these there would be no end: none of them is a message.
            Err(error @ (RouterError::NotGranted(_) | RouterError::Usage(_))) => {
                self.ended = true;
                Some(Err(error))
            }
            item => Some(item),
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::from_shared(self.shared.clone())
    }
}

/// Whether it is the same receiver.
impl<T> PartialEq for Receiver<T> {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Eq for Receiver<T> {}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({})", self.handle())
    }
}

/// A receiver whose values' type does not matter, as a select sees it.
#[derive(Clone)]
pub(super) struct Raw(Rc<Shared>);

impl Raw {
    pub(super) fn handle(&self) -> u64 {
        self.0.handle
    }

    pub(super) fn typed<T>(&self) -> Receiver<T> {
        Receiver::from_shared(self.0.clone())
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn owner(&self) -> &RefCell<Weak<Core>> {
        &self.0.owner
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.state.get() != State::Open
    }

    /// Whether its one message was taken.
    pub(super) fn is_spent(&self) -> bool {
        self.0.state.get() == State::Taken
    }

    /// Notes that a message was taken.
    pub(super) fn took_one(&self) {
        if self.0.is_one_shot {
            self.0.state.set(State::Taken);
        }
    }

    pub(super) fn waiting(&self) -> Result<u64, RouterError> {
        self.check_open()?;
        let receiver = self.handle();
        match exchange(Request::Waiting { receiver })? {
            Response::Count(count) => Ok(count),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn check_open(&self) -> Result<(), RouterError> {
        match self.is_closed() {
            false => Ok(()),
            true => Err(self.closed_error()),
        }
    }

    pub(super) fn closed_error(&self) -> RouterError {
        RouterError::Channel(ChannelError {
            context: String::new(),
            reason: match self.is_spent() {
                true => "the receiver's one message was taken".to_owned(),
                false => "the receiver was closed".to_owned(),
            },
            may_have_run: false,
        })
    }
}

impl Shared {
    fn close(&self) {
        if self.state.replace(State::Closed) == State::Open {
            let receiver = self.handle;
            // It cannot be used any more, whatever the answer is.
            let _ = imports::exchange(&Request::Close { receiver });
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

/// The message that arrived first at any of the receivers; nothing when time is up.
pub(super) fn receive(
    receivers: Vec<u64>,
    timeout: Option<Duration>,
) -> Result<Option<Received>, RouterError> {
    let micros = |timeout: Duration| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
    let request = Request::Receive(Receive {
        receivers,
        timeout_us: timeout.map(micros),
    });
    match exchange(request)? {
        Response::Received(received) => Ok(Some(received)),
        Response::TimedOut => Ok(None),
        other => Err(unexpected(&other)),
    }
}

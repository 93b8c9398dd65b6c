//! The sources of a select, and the events that they give.

use std::fmt;
use std::sync::{Arc, Weak};

use super::Select;
use crate::context::Context;
use crate::error::Error;
use crate::latch::Latch;
use crate::messages::{Channel, Receiver};
use offshoot_node::mailbox::{Notify, Owned, Received, Watched};

/// A source of a [`Select`].
///
/// Receivers, channels, latches and selects become one when they are added:
///
/// ```
/// # fn main() -> Result<(), offshoot::Error> {
/// use offshoot::{Latch, Router, Select};
///
/// let router = Router::new()?;
/// let receiver = router.receiver::<u32>()?;
/// let latch = Latch::new();
/// let select = Select::new();
/// select.add(&receiver)?;
/// select.add(&latch)?;
/// latch.put(7)?;
/// let event = select.get_blocking()?;
/// assert!(event.source == latch);
/// assert_eq!(event.value?, 7);
/// # Ok(())
/// # }
/// ```
pub enum Source<T> {
    /// One receiver.
    Receiver(Receiver<T>),
    /// A queue within this process.
    Latch(Latch<T>),
    /// All that another select waits for.
    Select(Select<T>),
}

/// A value, or the error instead of one, and where it came from.
#[derive(Debug)]
pub struct SelectEvent<T> {
    /// The source itself: what is in a select in this select, however deep, and never a select.
    pub source: Source<T>,
    /// The value, or the error.
    pub value: Result<T, Error>,
}

impl<T> SelectEvent<T> {
    /// The receiver that it came from, if it is one.
    pub fn receiver(&self) -> Option<&Receiver<T>> {
        match &self.source {
            Source::Receiver(receiver) => Some(receiver),
            Source::Latch(_) | Source::Select(_) => None,
        }
    }

    /// The context that it came from, if it is known to be one: that of a call, or the respondent
    /// of a receiver.
    pub fn context(&self) -> Option<&Context> {
        self.receiver()?.context()
    }
}

/// The result of taking from a source that has reported a value.
pub(super) enum Given<T> {
    Event(SelectEvent<T>),
    /// Another consumer has taken it; more values may arrive.
    Nothing,
    /// Another consumer has taken the last value; none will arrive.
    Exhausted,
}

impl<T: Send + 'static> Source<T> {
    /// Notifies `notify` of each value.
    pub(super) fn watch(&self, notify: Arc<dyn Notify>) -> Result<Watched, Owned> {
        match self {
            Self::Receiver(receiver) => receiver.core().subscription.inbox().watch(notify),
            Self::Latch(latch) => latch.watch(notify),
            Self::Select(select) => select.inner.ready.watch(notify).map(Watched::Waiting),
        }
    }

    /// Takes the value that the source has reported.
    pub(super) fn take(&self) -> Given<T> {
        let value = match self {
            Self::Receiver(receiver) => match receiver.core().subscription.try_take() {
                Some(Received::Over(_)) if !receiver.core().subscription.inbox().is_closed() => {
                    return Given::Exhausted;
                }
                Some(taken) => Some(receiver.value_of(taken)),
                None => None,
            },
            Self::Latch(latch) => latch.try_get(),
            Self::Select(select) => {
                return match select.try_get() {
                    Ok(Some(event)) => Given::Event(event),
                    Ok(None) => Given::Nothing,
                    // It has lost its last source.
                    Err(_) => Given::Exhausted,
                };
            }
        };
        value.map_or(Given::Nothing, |value| Given::Event(self.event(value)))
    }

    /// The event of a source that had ended before it was added.
    pub(super) fn end(&self) -> Option<SelectEvent<T>> {
        let Self::Receiver(receiver) = self else {
            return None;
        };
        receiver.try_get().map(|value| self.event(value))
    }

    /// Whether no value is left, and none will arrive.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Receiver(receiver) => receiver.is_over() && receiver.is_empty(),
            Self::Latch(latch) => latch.is_closed(),
            Self::Select(_) => false,
        }
    }

    fn event(&self, value: Result<T, Error>) -> SelectEvent<T> {
        SelectEvent {
            source: self.clone(),
            value,
        }
    }
}

impl<T> Source<T> {
    /// Removes the observer.
    pub(super) fn let_go(&self) {
        match self {
            Self::Receiver(receiver) => receiver.core().subscription.inbox().unwatch(),
            Self::Latch(latch) => latch.unwatch(),
            Self::Select(select) => {
                // In this order: once it is not watched, another select may become its owner.
                *select.owner() = Weak::new();
                select.inner.ready.unwatch();
            }
        }
    }
}

impl<T> PartialEq for Source<T> {
    /// Whether both are the same receiver, latch or select.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Receiver(one), Self::Receiver(other)) => one == other,
            (Self::Latch(one), Self::Latch(other)) => one == other,
            (Self::Select(one), Self::Select(other)) => one == other,
            _ => false,
        }
    }
}

impl<T> Eq for Source<T> {}

impl<T> PartialEq<Receiver<T>> for Source<T> {
    fn eq(&self, other: &Receiver<T>) -> bool {
        matches!(self, Self::Receiver(receiver) if receiver == other)
    }
}

impl<T> PartialEq<Latch<T>> for Source<T> {
    fn eq(&self, other: &Latch<T>) -> bool {
        matches!(self, Self::Latch(latch) if latch == other)
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receiver(receiver) => receiver.fmt(f),
            Self::Latch(latch) => latch.fmt(f),
            Self::Select(_) => f.write_str("Select"),
        }
    }
}

impl<T> Clone for Source<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Receiver(receiver) => Self::Receiver(receiver.clone()),
            Self::Latch(latch) => Self::Latch(latch.clone()),
            Self::Select(select) => Self::Select(select.clone()),
        }
    }
}

impl<T> From<Receiver<T>> for Source<T> {
    fn from(receiver: Receiver<T>) -> Self {
        Self::Receiver(receiver)
    }
}

impl<T> From<&Receiver<T>> for Source<T> {
    fn from(receiver: &Receiver<T>) -> Self {
        Self::Receiver(receiver.clone())
    }
}

impl<T, Out> From<Channel<T, Out>> for Source<T> {
    fn from(channel: Channel<T, Out>) -> Self {
        Self::Receiver(channel.receiver().clone())
    }
}

impl<T, Out> From<&Channel<T, Out>> for Source<T> {
    fn from(channel: &Channel<T, Out>) -> Self {
        Self::Receiver(channel.receiver().clone())
    }
}

impl<T> From<Latch<T>> for Source<T> {
    fn from(latch: Latch<T>) -> Self {
        Self::Latch(latch)
    }
}

impl<T> From<&Latch<T>> for Source<T> {
    fn from(latch: &Latch<T>) -> Self {
        Self::Latch(latch.clone())
    }
}

impl<T> From<Select<T>> for Source<T> {
    fn from(select: Select<T>) -> Self {
        Self::Select(select)
    }
}

impl<T> From<&Select<T>> for Source<T> {
    fn from(select: &Select<T>) -> Self {
        Self::Select(select.clone())
    }
}

impl<T> From<&Source<T>> for Source<T> {
    fn from(source: &Source<T>) -> Self {
        source.clone()
    }
}

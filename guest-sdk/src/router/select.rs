//! Waits for whichever of many receivers has something first.
//!
//! The host knows in which order messages arrived, so a select is only a list of what to ask it
//! for, and is fair by that. What is here is who is in which list: a [`Core`] is a select without
//! its values' type, and the tree of cores is what a nested select is.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::{Rc, Weak};
use std::time::Duration;

use offshoot_abi::router::Response;
use serde::de::DeserializeOwned;

use super::receiver::{Raw, receive};
use super::{Channel, Message, Receiver, RouterError, SelectError, unexpected};

/// Waits for the first message at any of its sources: receivers, channels and other selects.
///
/// ```no_run
/// # use offshoot_guest::{Context, Function, Result, RouterError, Select};
/// # fn ask<F: Function<Arguments = ()>>(contexts: Vec<Context>) -> Result<()> {
/// let select = Select::new();
/// for context in &contexts {
///     select.add(context.call_async::<F>(())?)?;
/// }
/// for event in &select {
///     let answer = event?.value?;
///     # let _: F::Output = answer;
/// }
/// # Ok(())
/// # }
/// ```
///
/// A source is in one select at a time. A message that arrived before another one comes out before
/// it, whatever the order in which their receivers were added. A source that can never have
/// anything again, such as that of a call that has ended, is removed.
pub struct Select<T> {
    core: Rc<Core>,
    items: PhantomData<fn() -> T>,
}

impl<T> Select<T> {
    /// A select without sources, each of which is removed when it has yielded one message.
    pub fn new() -> Self {
        Self::from_core(Rc::new(Core::default()))
    }

    /// A select of these sources.
    ///
    /// # Errors
    ///
    /// Fails as [`add`](Self::add) does; then none of them is in a select because of this.
    pub fn with<S: Into<Source<T>>>(
        sources: impl IntoIterator<Item = S>,
    ) -> Result<Self, RouterError> {
        let select = Self::new();
        for source in sources {
            select.add(source)?;
        }
        Ok(select)
    }

    /// Whether a source is removed when it has yielded one message.
    #[must_use]
    pub fn oneshot(self, oneshot: bool) -> Self {
        self.core.oneshot.set(oneshot);
        self
    }

    /// Adds a source: a receiver, a channel or another select, by value or by reference. What
    /// waits there already is seen.
    ///
    /// # Errors
    ///
    /// [`SelectError::Owned`], [`SelectError::Cycle`], or [`SelectError::TooDeep`] when more than 64
    /// selects would be nested in each other; nothing has changed then.
    pub fn add(&self, source: impl Into<Source<T>>) -> Result<(), RouterError> {
        Ok(self.core.add(source.into().raw)?)
    }

    /// Removes a source. What arrived there before is still returned by a later
    /// [`get`](Self::get), unless someone else takes it first.
    ///
    /// # Errors
    ///
    /// [`SelectError::NotMember`] when it is not a source of this select.
    pub fn remove(&self, source: impl Into<Source<T>>) -> Result<(), RouterError> {
        self.core.remove(&source.into().raw)
    }

    /// Removes all sources. They stay open, and those of a nested select stay in it.
    pub fn close(&self) {
        self.core.close();
    }

    /// Number of sources, with or without messages.
    pub fn source_count(&self) -> usize {
        self.core.sources.borrow().len()
    }

    /// Whether there are sources. Without one, [`get`](Self::get) fails.
    #[doc(alias = "__bool__")]
    pub fn has_sources(&self) -> bool {
        self.source_count() > 0
    }

    /// Whether [`get`](Self::get) would wait: no source has a message.
    ///
    /// # Errors
    ///
    /// Fails without the grant.
    #[doc(alias = "empty")]
    pub fn is_empty(&self) -> Result<bool, RouterError> {
        for leaf in self.core.leaves()? {
            if leaf.is_closed() || leaf.waiting()? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn from_core(core: Rc<Core>) -> Self {
        Self {
            core,
            items: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Select<T> {
    /// The next message of any source; waits for it.
    ///
    /// A source that failed or was closed is an event like any other, and so part of what is
    /// returned.
    ///
    /// # Errors
    ///
    /// [`SelectError::NoSources`] when there is no source.
    pub fn get(&self) -> Result<SelectEvent<T>, RouterError> {
        match self.next(None)? {
            Some(event) => Ok(event),
            None => Err(unexpected(&Response::TimedOut)),
        }
    }

    /// The next message of any source, if it comes within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`RouterError::Timeout`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<SelectEvent<T>, RouterError> {
        self.next(Some(timeout))?
            .ok_or_else(|| RouterError::timeout("no source had anything", timeout))
    }

    /// The next message of any source, if there is one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn try_get(&self) -> Result<Option<SelectEvent<T>>, RouterError> {
        self.next(Some(Duration::ZERO))
    }

    /// The messages of all sources, until no source is left. With [`oneshot(false)`](Self::oneshot)
    /// that is when the loop's body has removed the last one.
    pub fn iter(&self) -> Selection<'_, T> {
        Selection {
            select: self,
            ended: false,
        }
    }

    /// The messages that are there, without waiting for more: for a loop that hands out new work
    /// in between.
    ///
    /// # Errors
    ///
    /// Fails without the grant.
    pub fn drain(&self) -> Result<Vec<SelectEvent<T>>, RouterError> {
        let mut events = Vec::new();
        while self.has_sources()
            && let Some(event) = self.try_get().or_else(nothing_left)?
        {
            events.push(event);
        }
        Ok(events)
    }

    /// One value of each source, in the order in which they arrive.
    ///
    /// # Errors
    ///
    /// Fails by the first source that does, and drops the others: their calls are cancelled.
    pub fn all<S: Into<Source<T>>>(
        sources: impl IntoIterator<Item = S>,
    ) -> Result<Vec<T>, RouterError> {
        let select = Self::with(sources)?;
        select.iter().map(|event| event?.value).collect()
    }

    fn next(&self, timeout: Option<Duration>) -> Result<Option<SelectEvent<T>>, RouterError> {
        let leaves = self.core.leaves()?;
        if leaves.is_empty() {
            return self.core.nothing_to_wait_for(timeout).map(|()| None);
        }
        if let Some(closed) = leaves.iter().find(|leaf| leaf.is_closed()) {
            self.core.settle(closed);
            return Ok(Some(SelectEvent {
                source: closed.typed(),
                value: Err(closed.closed_error()),
            }));
        }
        let handles = leaves.iter().map(Raw::handle).collect();
        let Some(received) = receive(handles, timeout)? else {
            return Ok(None);
        };
        let handle = received.receiver;
        let Some(leaf) = leaves.into_iter().find(|leaf| leaf.handle() == handle) else {
            return Err(unexpected(&Response::Received(received)));
        };
        leaf.took_one();
        self.core.settle(&leaf);
        let message = Message::try_from(received);
        Ok(Some(SelectEvent {
            source: leaf.typed(),
            value: message.map(|message| message.value),
        }))
    }
}

impl<T> Default for Select<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Select<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Select of {} sources", self.core.sources.borrow().len())
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Select<T> {
    type Item = Result<SelectEvent<T>, RouterError>;
    type IntoIter = Selection<'a, T>;

    fn into_iter(self) -> Selection<'a, T> {
        self.iter()
    }
}

/// What a source yielded.
#[derive(Debug)]
pub struct SelectEvent<T> {
    /// The receiver that had it, also when it is a source of a nested select.
    pub source: Receiver<T>,
    /// The value, or why that receiver has none.
    pub value: Result<T, RouterError>,
}

/// What the sources of a [`Select`] yield.
#[derive(Debug)]
pub struct Selection<'a, T> {
    select: &'a Select<T>,
    ended: bool,
}

impl<T: DeserializeOwned> Iterator for Selection<'_, T> {
    type Item = Result<SelectEvent<T>, RouterError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || !self.select.has_sources() {
            return None;
        }
        let item = self.select.get().map(Some).or_else(nothing_left);
        // An error here is not one of a source: it would be the same again.
        self.ended = item.is_err();
        item.transpose()
    }
}

/// That the select is empty, where something was in it a moment ago, means that what its last
/// sources had was taken from them directly.
fn nothing_left<T>(error: RouterError) -> Result<Option<T>, RouterError> {
    match error {
        RouterError::Select(SelectError::NoSources) => Ok(None),
        error => Err(error),
    }
}

/// What can be added to a [`Select`].
#[derive(Debug)]
pub struct Source<T> {
    raw: RawSource,
    items: PhantomData<fn() -> T>,
}

impl<T> Source<T> {
    fn new(raw: RawSource) -> Self {
        Self {
            raw,
            items: PhantomData,
        }
    }
}

impl<T> From<&Receiver<T>> for Source<T> {
    fn from(receiver: &Receiver<T>) -> Self {
        Self::new(RawSource::Receiver(receiver.raw()))
    }
}

impl<T> From<Receiver<T>> for Source<T> {
    fn from(receiver: Receiver<T>) -> Self {
        Self::from(&receiver)
    }
}

impl<T, Out> From<&Channel<T, Out>> for Source<T> {
    fn from(channel: &Channel<T, Out>) -> Self {
        Self::from(channel.receiver())
    }
}

impl<T> From<&Select<T>> for Source<T> {
    fn from(select: &Select<T>) -> Self {
        Self::new(RawSource::Select(select.core.clone()))
    }
}

impl<T> From<Select<T>> for Source<T> {
    fn from(select: Select<T>) -> Self {
        Self::from(&select)
    }
}

/// Selects that may be nested in each other. Each level is a call on the stack.
const NESTING_MAX: usize = 64;

/// A [`Select`] whose values' type does not matter.
pub(super) struct Core {
    oneshot: Cell<bool>,
    sources: RefCell<Vec<RawSource>>,
    /// Receivers that were removed, and how many of their messages had arrived by then.
    late: RefCell<Vec<(Raw, u64)>>,
    /// The select that this one is in.
    owner: RefCell<Weak<Self>>,
}

enum RawSource {
    Receiver(Raw),
    Select(Rc<Core>),
}

impl Core {
    fn add(self: &Rc<Self>, source: RawSource) -> Result<(), SelectError> {
        if let RawSource::Select(inner) = &source
            && inner.contains(self)
        {
            return Err(SelectError::Cycle);
        }
        if let RawSource::Select(inner) = &source
            && self.levels_above() + inner.levels() > NESTING_MAX
        {
            return Err(SelectError::TooDeep);
        }
        // An owner that is gone owns nothing.
        if source.owner().borrow().strong_count() > 0 {
            return Err(SelectError::Owned);
        }
        if let RawSource::Receiver(raw) = &source {
            self.late.borrow_mut().retain(|(late, _)| !late.is(raw));
        }
        *source.owner().borrow_mut() = Rc::downgrade(self);
        self.sources.borrow_mut().push(source);
        Ok(())
    }

    fn remove(&self, source: &RawSource) -> Result<(), RouterError> {
        let found = self.sources.borrow().iter().position(|own| own.is(source));
        let removed = match found {
            Some(index) => self.take(index),
            None => return Err(SelectError::NotMember.into()),
        };
        if let RawSource::Receiver(raw) = removed
            && !raw.is_closed()
        {
            let arrived = raw.waiting()?;
            if arrived > 0 {
                self.late.borrow_mut().push((raw, arrived));
            }
        }
        Ok(())
    }

    fn close(&self) {
        for source in self.sources.take() {
            *source.owner().borrow_mut() = Weak::new();
        }
    }

    /// Whether `other` is this one or somewhere in it.
    fn contains(&self, other: &Rc<Self>) -> bool {
        std::ptr::eq(self, &**other)
            || self.sources.borrow().iter().any(|source| match source {
                RawSource::Receiver(_) => false,
                RawSource::Select(inner) => inner.contains(other),
            })
    }

    /// Selects that have this one in them, and this one itself.
    fn levels_above(&self) -> usize {
        let owner = self.owner.borrow().upgrade();
        1 + owner.map_or(0, |owner| owner.levels_above())
    }

    /// Selects on the longest way down, and this one itself.
    fn levels(&self) -> usize {
        let sources = self.sources.borrow();
        let nested = sources.iter().map(|source| match source {
            RawSource::Receiver(_) => 0,
            RawSource::Select(inner) => inner.levels(),
        });
        1 + nested.max().unwrap_or(0)
    }

    /// All receivers in it and in those nested in it.
    fn leaves(&self) -> Result<Vec<Raw>, RouterError> {
        let mut leaves = Vec::new();
        self.collect(&mut leaves)?;
        Ok(leaves)
    }

    fn collect(&self, leaves: &mut Vec<Raw>) -> Result<(), RouterError> {
        self.forget_taken();
        for source in &*self.sources.borrow() {
            match source {
                RawSource::Receiver(raw) => leaves.push(raw.clone()),
                RawSource::Select(inner) => inner.collect(leaves)?,
            }
        }
        let mut late = self.late.borrow_mut();
        for (raw, left) in &mut *late {
            // Whoever took some of them since took the oldest.
            *left = match raw.is_closed() {
                true => 0,
                false => raw.waiting()?.min(*left),
            };
        }
        late.retain(|&(_, left)| left > 0);
        leaves.extend(late.iter().map(|(raw, _)| raw.clone()));
        Ok(())
    }

    /// Drops the receivers whose one message someone else took.
    fn forget_taken(&self) {
        let is_spent =
            |source: &RawSource| matches!(source, RawSource::Receiver(raw) if raw.is_spent());
        self.sources.borrow_mut().retain(|source| !is_spent(source));
    }

    /// Notes that `leaf` has yielded, and removes what has no place here any more; whether the leaf
    /// was found.
    fn settle(&self, leaf: &Raw) -> bool {
        let found = self
            .sources
            .borrow()
            .iter()
            .position(|source| match source {
                RawSource::Receiver(raw) => raw.is(leaf),
                RawSource::Select(inner) => inner.settle(leaf),
            });
        let Some(index) = found else {
            let mut late = self.late.borrow_mut();
            let found = late.iter_mut().find(|(raw, _)| raw.is(leaf));
            return found
                .map(|(_, left)| *left = left.saturating_sub(1))
                .is_some();
        };
        let is_done = match &self.sources.borrow()[index] {
            RawSource::Receiver(raw) => self.oneshot.get() || raw.is_closed(),
            RawSource::Select(inner) => self.oneshot.get() && !inner.has_anything(),
        };
        if is_done {
            self.take(index);
        }
        true
    }

    fn has_anything(&self) -> bool {
        !self.sources.borrow().is_empty() || self.late.borrow().iter().any(|&(_, left)| left > 0)
    }

    fn take(&self, index: usize) -> RawSource {
        let source = self.sources.borrow_mut().remove(index);
        *source.owner().borrow_mut() = Weak::new();
        source
    }

    /// There is no receiver. A nested select may get one later, but not while this thread waits.
    fn nothing_to_wait_for(&self, timeout: Option<Duration>) -> Result<(), RouterError> {
        if self.sources.borrow().is_empty() {
            return Err(SelectError::NoSources.into());
        }
        match timeout {
            Some(timeout) => {
                std::thread::sleep(timeout);
                Ok(())
            }
            None => Err(RouterError::Usage(
                "nothing can arrive: the selects in this select are all empty".to_owned(),
            )),
        }
    }
}

impl Default for Core {
    fn default() -> Self {
        Self {
            oneshot: Cell::new(true),
            sources: RefCell::default(),
            late: RefCell::default(),
            owner: RefCell::default(),
        }
    }
}

impl RawSource {
    fn owner(&self) -> &RefCell<Weak<Core>> {
        match self {
            Self::Receiver(raw) => raw.owner(),
            Self::Select(core) => &core.owner,
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Receiver(one), Self::Receiver(other)) => one.is(other),
            (Self::Select(one), Self::Select(other)) => Rc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl fmt::Debug for RawSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receiver(raw) => write!(f, "Receiver({})", raw.handle()),
            Self::Select(core) => write!(f, "Select of {} sources", core.sources.borrow().len()),
        }
    }
}

//! Waiting for many receivers at once.

mod ready;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::stream::{self, Stream};

use crate::blocking;
use crate::error::Error;
use crate::messages::{Channel, Receiver};
use ready::{Ready, Ticket};

/// Waits for the first value of any of its sources: receivers, channels and other selects
/// (`S020`).
///
/// Values come in the order in which they arrived, over all sources (`S022`). Usually a source is
/// removed when it has given a value, and [`next`](Self::next) ends with the last one: the way to
/// gather the answers of calls that were made in parallel. With [`oneshot(false)`](Self::oneshot)
/// sources stay, except those that can give no more.
///
/// Cheap to clone; all clones are one select.
///
/// ```no_run
/// # mod facts { pub enum uptime {} impl offshoot::Function for uptime {
/// #     const PLUGIN: &'static str = "facts"; const NAME: &'static str = "uptime";
/// #     const SIGNATURE: u64 = 0; type Arguments = (); type Output = f64; } }
/// # async fn example(contexts: Vec<offshoot::Context>) -> Result<(), offshoot::Error> {
/// use offshoot::Select;
///
/// let select = Select::new();
/// for context in &contexts {
///     select.add(context.call_async::<facts::uptime>(()).await?)?;
/// }
/// while let Some(event) = select.next().await {
///     println!("{:?}: {:?}", event.receiver.context(), event.value);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Select<T> {
    inner: Arc<Inner<T>>,
}

/// A value, or the error instead of one, and the receiver that it came from (`S034`).
#[derive(Debug)]
pub struct SelectEvent<T> {
    /// The receiver itself, also when it is a select's in this select (`S035`).
    pub receiver: Receiver<T>,
    /// What it gave.
    pub value: Result<T, Error>,
}

/// A select was used in a way that cannot work; nothing was changed (`S042`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// It has no source that could give anything.
    #[error("cannot get(): Select instance is empty")]
    Empty,
    /// The source would be told of its messages twice.
    #[error("cannot add: Receiver is already owned by another Select")]
    Owned,
    /// The select would wait for itself.
    #[error("adding this Select instance would create a Select cycle")]
    Cycle,
    /// It cannot be removed, as it is not there.
    #[error("instance is not a member of this Select")]
    NotMember,
    /// It was closed while someone waited.
    #[error("the Select instance has been closed")]
    Closed,
}

/// What a [`Select`] can wait for.
pub enum Source<T> {
    /// One receiver.
    Receiver(Receiver<T>),
    /// All that another select waits for.
    Select(Select<T>),
}

struct Inner<T> {
    ready: Arc<Ready<Source<T>>>,
    members: Mutex<Members<T>>,
}

struct Members<T> {
    oneshot: bool,
    sources: Vec<Member<T>>,
    next_ticket: u64,
}

struct Member<T> {
    source: Source<T>,
    ticket: Ticket,
}

impl<T: 'static> Select<T> {
    /// A select without sources, whose sources are removed as they give a value.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                ready: Arc::default(),
                members: Mutex::new(Members {
                    oneshot: true,
                    sources: Vec::new(),
                    next_ticket: 0,
                }),
            }),
        }
    }

    /// A select of those sources.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add); none of them is owned then.
    pub fn with<S: Into<Source<T>>>(sources: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let select = Self::new();
        // Dropping it on failure takes back what was added (`S020`).
        for source in sources {
            select.add(source)?;
        }
        Ok(select)
    }

    /// Whether a source is removed when it has given a value (`S021`). A select in this one is
    /// removed when it has no sources left (`S035`).
    #[must_use]
    pub fn oneshot(self, oneshot: bool) -> Self {
        self.members().oneshot = oneshot;
        self
    }

    /// Adds a source. What waits in it already counts, all of it (`S024`, `S031`, `S037`).
    ///
    /// # Errors
    ///
    /// [`SelectError::Owned`] when a select has it already, also this one (`S032`);
    /// [`SelectError::Cycle`] when it is a select that has this one in it, however deep (`S033`).
    /// Nothing has changed then.
    pub fn add(&self, source: impl Into<Source<T>>) -> Result<(), Error> {
        let source = source.into();
        let mut members = self.members();
        if let Source::Select(select) = &source
            && (Arc::ptr_eq(&select.inner, &self.inner) || select.contains(self))
        {
            return Err(SelectError::Cycle.into());
        }
        let ticket = Ticket(members.next_ticket);
        let notify = self.inner.ready.notifier(source.clone(), ticket);
        let watched = match &source {
            Source::Receiver(receiver) => receiver.core().listening.inbox().watch(notify),
            Source::Select(select) => select.inner.ready.watch(notify),
        };
        let waiting = watched.map_err(|_| SelectError::Owned)?;
        members.next_ticket += 1;
        members.sources.push(Member {
            source: source.clone(),
            ticket,
        });
        drop(members);
        for _ in 0..waiting {
            self.inner.ready.push(source.clone(), ticket);
        }
        Ok(())
    }

    /// Removes a source. A value of which it has told already still comes (`S039`).
    ///
    /// # Errors
    ///
    /// [`SelectError::NotMember`] when it is not there (`S038`).
    pub fn remove(&self, source: impl Into<Source<T>>) -> Result<(), Error> {
        let source = source.into();
        let mut members = self.members();
        let at = members
            .sources
            .iter()
            .position(|member| member.source.is(&source));
        let at = at.ok_or(SelectError::NotMember)?;
        let removed = members.sources.remove(at);
        // What is dropped may call back.
        drop(members);
        removed.source.let_go();
        // Whoever waits may wait for nothing now.
        self.inner.ready.wake();
        Ok(())
    }

    /// Waits for the next value (`S023`).
    ///
    /// # Errors
    ///
    /// [`SelectError::Empty`] when there are no sources, or when the last one is removed
    /// meanwhile; [`SelectError::Closed`] when the select is closed meanwhile. What went wrong in
    /// a source is in the event.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no value.
    pub async fn get(&self) -> Result<SelectEvent<T>, Error> {
        let epoch = self.inner.ready.epoch();
        loop {
            let changes = self.inner.ready.changes();
            if let Some(event) = self.look(epoch)? {
                return Ok(event);
            }
            self.inner.ready.changed_since(changes).await;
        }
    }

    /// The same, for so long, all in all. No time at all is a look at what is there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`Error::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    pub async fn get_timeout(&self, timeout: Duration) -> Result<SelectEvent<T>, Error> {
        if let Some(event) = self.look(self.inner.ready.epoch())? {
            return Ok(event);
        }
        let timed_out = || Error::Timeout {
            what: "a select of receivers".to_owned(),
            after: timeout,
        };
        if timeout.is_zero() {
            return Err(timed_out());
        }
        match tokio::time::timeout(timeout, self.get()).await {
            Ok(event) => event,
            Err(_) => Err(timed_out()),
        }
    }

    /// A value that is there now, if one is.
    ///
    /// # Errors
    ///
    /// [`SelectError::Empty`] when there are no sources.
    pub fn try_get(&self) -> Result<Option<SelectEvent<T>>, Error> {
        self.look(self.inner.ready.epoch())
    }

    /// All values that are there now, without waiting for more: for a loop that hands out new work
    /// in between (`S030`).
    pub fn drain(&self) -> Vec<SelectEvent<T>> {
        std::iter::from_fn(|| self.try_get().ok().flatten()).collect()
    }

    /// The next value, or `None` when no source is left (`S029`).
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    pub async fn next(&self) -> Option<SelectEvent<T>> {
        self.get().await.ok()
    }

    /// The next value, from a thread that is not the runtime's.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`Error::Usage`] in a thread that must not wait: it drives the
    /// router itself.
    pub fn get_blocking(&self) -> Result<SelectEvent<T>, Error> {
        blocking::wait(None, self.get())?
    }

    /// The next value within so long, from a thread that is not the runtime's.
    ///
    /// # Errors
    ///
    /// As [`get_blocking`](Self::get_blocking), and [`Error::Timeout`].
    pub fn get_blocking_timeout(&self, timeout: Duration) -> Result<SelectEvent<T>, Error> {
        if let Some(event) = self.try_get()? {
            return Ok(event);
        }
        match blocking::wait_until(None, self.get(), timeout)? {
            Some(event) => event,
            None => Err(Error::Timeout {
                what: "a select of receivers".to_owned(),
                after: timeout,
            }),
        }
    }

    /// The values, one after the other, from a thread that is not the runtime's; it ends when no
    /// source is left.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// The values as a stream, which ends when no source is left.
    pub fn stream(&self) -> impl Stream<Item = SelectEvent<T>> + Send + use<T>
    where
        T: Send + 'static,
    {
        stream::unfold(self.clone(), |select| async move {
            let event = select.next().await?;
            Some((event, select))
        })
    }

    /// The values of all those receivers, in the order in which they arrive (`B031`).
    ///
    /// # Errors
    ///
    /// The first error that a receiver gives; the others are let go.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the values that have come are lost, and the receivers are let go.
    pub async fn all<S: Into<Source<T>>>(
        sources: impl IntoIterator<Item = S>,
    ) -> Result<Vec<T>, Error> {
        let select = Self::with(sources)?;
        let mut values = Vec::new();
        while let Some(event) = select.next().await {
            values.push(event.value?);
        }
        Ok(values)
    }

    /// Whether [`get`](Self::get) would wait (`S028`). It may be wrong a moment later, and when
    /// someone else takes from the sources, in either way.
    pub fn empty(&self) -> bool {
        self.inner.ready.len() == 0
    }

    /// Sources that are there. Whether they have anything to give is another question (`S025`).
    pub fn len(&self) -> usize {
        self.members().sources.len()
    }

    /// Whether there are no sources: [`get`](Self::get) would fail.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets go of all sources, without closing them, and wakes whoever waits (`S026`). More than
    /// once is no more than once, and new sources may be added. Dropping the last clone does the
    /// same (`S027`).
    pub fn close(&self) {
        let sources = std::mem::take(&mut self.members().sources);
        for member in &sources {
            member.source.let_go();
        }
        self.inner.ready.close();
    }

    /// Takes the first value of which a source has told, if one is left.
    fn look(&self, epoch: u64) -> Result<Option<SelectEvent<T>>, Error> {
        loop {
            let Some((source, ticket)) = self.inner.ready.pop() else {
                if self.inner.ready.epoch() != epoch {
                    return Err(SelectError::Closed.into());
                }
                let empty = self.members().sources.is_empty();
                return if empty {
                    Err(SelectError::Empty.into())
                } else {
                    Ok(None)
                };
            };
            let event = match &source {
                Source::Receiver(receiver) => receiver.try_get().map(|value| SelectEvent {
                    receiver: receiver.clone(),
                    value,
                }),
                // One without sources has nothing to give, and that is no error here (`S036`).
                Source::Select(select) => select.try_get().ok().flatten(),
            };
            if event.is_some() {
                self.after(&source, ticket);
                return Ok(event);
            }
            // Someone else was quicker.
        }
    }

    /// Removes a source that has given a value, where it should not stay.
    fn after(&self, source: &Source<T>, ticket: Ticket) {
        let mut members = self.members();
        let oneshot = members.oneshot;
        let Some(at) = members
            .sources
            .iter()
            .position(|member| member.ticket == ticket)
        else {
            return;
        };
        let done = match source {
            Source::Receiver(receiver) => oneshot || receiver.is_over() && receiver.is_empty(),
            Source::Select(select) => oneshot && select.is_empty() && select.empty(),
        };
        if !done {
            return;
        }
        let removed = members.sources.remove(at);
        drop(members);
        removed.source.let_go();
        if matches!(source, Source::Receiver(_)) {
            // What else waits in it is for others.
            self.inner.ready.forget(ticket);
        }
    }

    /// Whether `other` is in this one, however deep.
    fn contains(&self, other: &Self) -> bool {
        let selects: Vec<_> = self
            .members()
            .sources
            .iter()
            .filter_map(|member| match &member.source {
                Source::Select(select) => Some(select.clone()),
                Source::Receiver(_) => None,
            })
            .collect();
        selects
            .iter()
            .any(|select| Arc::ptr_eq(&select.inner, &other.inner) || select.contains(other))
    }

    fn members(&self) -> MutexGuard<'_, Members<T>> {
        let members = self.inner.members.lock();
        members.unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        let members = self.members.get_mut();
        let members = members.unwrap_or_else(|poisoned| poisoned.into_inner());
        for member in &members.sources {
            member.source.let_go();
        }
    }
}

impl<T> Source<T> {
    /// Tells nobody of its values any more.
    fn let_go(&self) {
        match self {
            Self::Receiver(receiver) => receiver.core().listening.inbox().unwatch(),
            Self::Select(select) => select.inner.ready.unwatch(),
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Receiver(one), Self::Receiver(other)) => one == other,
            (Self::Select(one), Self::Select(other)) => one == other,
            _ => false,
        }
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receiver(receiver) => receiver.fmt(f),
            Self::Select(_) => f.write_str("Select"),
        }
    }
}

impl<T> Clone for Source<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Receiver(receiver) => Self::Receiver(receiver.clone()),
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

impl<T, Out> From<&Channel<T, Out>> for Source<T> {
    fn from(channel: &Channel<T, Out>) -> Self {
        Self::Receiver(channel.receiver().clone())
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

/// The values of a select, one after the other. See [`Select::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: 'static>(&'a Select<T>);

impl<T: 'static> Iterator for Iter<'_, T> {
    type Item = SelectEvent<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.get_blocking().ok()
    }
}

impl<'a, T: 'static> IntoIterator for &'a Select<T> {
    type Item = SelectEvent<T>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: 'static> Default for Select<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Select<T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<T> PartialEq for Select<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl<T> Eq for Select<T> {}

impl<T: 'static> fmt::Debug for Select<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("sources", &self.len())
            .field("ready", &self.inner.ready.len())
            .finish()
    }
}

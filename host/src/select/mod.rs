//! Waiting for many receivers at once.

mod ready;
mod source;

use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::runtime;

use crate::blocking;
use crate::error::{Error, SelectError};
use crate::messages::Call;
use crate::sync::{Mutex, MutexGuard};
use offshoot_node::mailbox::Watched;
use ready::{Ready, Ticket};
use source::Given;

pub use source::{SelectEvent, Source};

/// Waits for the first value of any of its sources: receivers, channels and other selects.
///
/// Values come in the order in which they arrived, over all sources. Usually a source is
/// removed when it has given a value, and [`next`](Self::next) ends with the last one: the way to
/// gather the answers of calls that were made in parallel. With [`oneshot(false)`](Self::oneshot)
/// sources stay, except those that can give no more.
///
/// Cheap to clone; all clones are one select.
///
/// ```no_run
/// # mod facts { pub enum uptime {} impl offshoot::Function for uptime {
/// #     const PLUGIN: &'static str = "facts"; const NAME: &'static str = "uptime";
/// #     const SIGNATURE: u64 = 0; const CONCURRENT: bool = false; type Arguments = (); type Output = f64; } }
/// # async fn example(contexts: Vec<offshoot::Context>) -> Result<(), offshoot::Error> {
/// use offshoot::Select;
///
/// let select = Select::new();
/// for context in &contexts {
///     select.add(context.call_async::<facts::uptime>(()).await?)?;
/// }
/// while let Some(event) = select.next().await {
///     println!("{:?}: {:?}", event.context(), event.value);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Select<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    ready: Arc<Ready<Source<T>>>,
    members: Mutex<Members<T>>,
    /// The select that this one is a source of.
    owner: Mutex<Weak<Inner<T>>>,
}

struct Members<T> {
    oneshot: bool,
    sources: Vec<Member<T>>,
    next_ticket: u64,
}

struct Member<T> {
    source: Source<T>,
    ticket: Ticket,
    /// Whether the source had ended when it was added. Then its end is an event; a source whose last
    /// value another consumer takes is removed without one.
    was_over: bool,
}

/// Selects that may be nested in each other. Each level is a call on the stack when a value is taken
/// or a select is dropped.
const NESTING_MAX: usize = 64;

/// One select is added to another at a time, so that two threads cannot close a cycle together.
static NESTING: StdMutex<()> = StdMutex::new(());

impl<T: Send + 'static> Select<T> {
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
                owner: Mutex::default(),
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

    /// Whether a source is removed when it has given a value. A select in this one is
    /// removed when it has no sources left.
    #[must_use]
    pub fn oneshot(self, oneshot: bool) -> Self {
        self.members().oneshot = oneshot;
        self
    }

    /// Adds a source. What waits in it already counts, all of it.
    ///
    /// # Errors
    ///
    /// [`SelectError::Owned`] when a select has it already, also this one;
    /// [`SelectError::Cycle`] when it is a select that has this one in it, however deep;
    /// [`SelectError::TooDeep`] when more than 64 selects would be nested in each other. Nothing
    /// has changed then.
    pub fn add(&self, source: impl Into<Source<T>>) -> Result<(), Error> {
        let source = source.into();
        let _nesting = match &source {
            Source::Select(select) => {
                let nesting = NESTING.lock().unwrap_or_else(PoisonError::into_inner);
                if select == self || select.contains(self) {
                    return Err(SelectError::Cycle.into());
                }
                if self.levels_above() + select.levels() > NESTING_MAX {
                    return Err(SelectError::TooDeep.into());
                }
                Some(nesting)
            }
            Source::Receiver(_) | Source::Latch(_) => None,
        };
        let mut members = self.members();
        let ticket = Ticket(members.next_ticket);
        let notify = self.inner.ready.notifier(source.clone(), ticket);
        let watched = source.watch(notify).map_err(|_| SelectError::Owned)?;
        if let Source::Select(select) = &source {
            *select.owner() = Arc::downgrade(&self.inner);
        }
        members.next_ticket += 1;
        members.sources.push(Member {
            source: source.clone(),
            ticket,
            was_over: watched == Watched::Over,
        });
        drop(members);
        // All that waits is queued anew: what an earlier membership has queued would count twice.
        let queued_before = |queued: &Source<T>, by: Ticket| by != ticket && *queued == source;
        self.inner.ready.forget(queued_before);
        for _ in 0..watched.count() {
            self.inner.ready.push(source.clone(), ticket);
        }
        Ok(())
    }

    /// Removes a source. A value of which it has told already still comes.
    ///
    /// # Errors
    ///
    /// [`SelectError::NotMember`] when it is not there.
    pub fn remove(&self, source: impl Into<Source<T>>) -> Result<(), Error> {
        let source = source.into();
        let members = self.members();
        let at = members
            .sources
            .iter()
            .position(|member| member.source == source);
        let at = at.ok_or(SelectError::NotMember)?;
        self.release(members, at);
        Ok(())
    }

    /// Waits for the next value.
    ///
    /// # Errors
    ///
    /// [`SelectError::NoSources`] when there are no sources, or when the last one is removed
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

    /// As [`get`](Self::get), with a timeout. With a timeout of zero it does not wait.
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
            // A loop that polls must yield to the tasks that bring values.
            tokio::task::coop::consume_budget().await;
            return Err(timed_out());
        }
        let runtime = self.runtime();
        match blocking::timeout(runtime.as_ref(), timeout, self.get()).await {
            Some(event) => event,
            None => Err(timed_out()),
        }
    }

    /// The next value, if one is there now.
    ///
    /// # Errors
    ///
    /// [`SelectError::NoSources`] when there are no sources.
    pub fn try_get(&self) -> Result<Option<SelectEvent<T>>, Error> {
        self.look(self.inner.ready.epoch())
    }

    /// All values that are there now, without waiting for more: for a loop that hands out new work
    /// in between.
    pub fn drain(&self) -> Vec<SelectEvent<T>> {
        std::iter::from_fn(|| self.try_get().ok().flatten()).collect()
    }

    /// The next value, or `None` when no source is left.
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
    /// source is left. In a thread that must not wait the only item is [`Error::Usage`].
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(Some(self))
    }

    /// The values as a stream, which ends when no source is left.
    pub fn stream(&self) -> impl Stream<Item = SelectEvent<T>> + Send + use<T> {
        stream::unfold(self.clone(), |select| async move {
            let event = select.next().await?;
            Some((event, select))
        })
    }

    /// The values of all those receivers, in the order in which they arrive.
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

    /// Whether [`get`](Self::get) would wait: no source has a value, as with
    /// [`Receiver::is_empty`](crate::Receiver::is_empty). The answer may be out of date when it is
    /// returned, in either direction, while others put values into the sources or take them out.
    #[doc(alias = "empty")]
    pub fn is_empty(&self) -> bool {
        self.inner.ready.len() == 0
    }

    /// Number of sources, with or without values.
    pub fn source_count(&self) -> usize {
        self.members().sources.len()
    }

    /// Whether there are sources. Without one, [`get`](Self::get) fails.
    #[doc(alias = "__bool__")]
    pub fn has_sources(&self) -> bool {
        self.source_count() > 0
    }

    /// Removes all sources, without closing them, and ends every wait with [`SelectError::Closed`]. New
    /// sources may be added later. Dropping the last clone also removes the sources.
    pub fn close(&self) {
        let sources = std::mem::take(&mut self.members().sources);
        for member in &sources {
            member.source.let_go();
        }
        self.inner.ready.close();
    }

    /// Calls `notify` after each value of which a source has told, in whatever thread it comes in;
    /// it must not block. It is called once at once if there are any.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when another select or function is told already.
    pub fn set_notify(&self, notify: impl Fn() + Send + Sync + 'static) -> Result<(), Error> {
        Call::watch(notify, |notify| {
            self.inner.ready.watch(notify).map(Watched::Waiting)
        })
    }

    /// Takes back [`set_notify`](Self::set_notify).
    pub fn clear_notify(&self) {
        self.inner.ready.unwatch();
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
                    Err(SelectError::NoSources.into())
                } else {
                    Ok(None)
                };
            };
            let event = match source.take() {
                Given::Event(event) => Some(event),
                Given::Nothing => continue,
                Given::Exhausted if self.was_over(ticket) => source.end(),
                Given::Exhausted => None,
            };
            self.after(&source, ticket);
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Removes a source that has given a value, where it should not stay.
    fn after(&self, source: &Source<T>, ticket: Ticket) {
        let members = self.members();
        let oneshot = members.oneshot;
        let at = members.sources.iter().position(|it| it.ticket == ticket);
        let Some(at) = at else {
            return;
        };
        let done = match source {
            Source::Receiver(_) | Source::Latch(_) => oneshot || source.is_over(),
            Source::Select(select) => oneshot && !select.has_sources() && select.is_empty(),
        };
        if !done {
            return;
        }
        self.release(members, at);
        // What else waits in the source is for others.
        self.inner.ready.forget(|_, told| told == ticket);
    }

    /// Removes a source. With the last one, the condition of every consumer has changed.
    fn release(&self, mut members: MutexGuard<'_, Members<T>>, at: usize) {
        let removed = members.sources.remove(at);
        let emptied = members.sources.is_empty();
        // What is dropped may call back.
        drop(members);
        removed.source.let_go();
        drop(removed);
        if emptied {
            self.inner.ready.emptied();
        }
    }

    fn was_over(&self, ticket: Ticket) -> bool {
        let members = self.members();
        let mut sources = members.sources.iter();
        sources.any(|member| member.ticket == ticket && member.was_over)
    }

    /// Where timers run, if there is no other place: with one of the sources.
    fn runtime(&self) -> Option<runtime::Handle> {
        self.sources().iter().find_map(|source| match source {
            Source::Receiver(receiver) => receiver.runtime(),
            Source::Select(select) => select.runtime(),
            Source::Latch(_) => None,
        })
    }

    fn sources(&self) -> Vec<Source<T>> {
        let members = self.members();
        members.sources.iter().map(|it| it.source.clone()).collect()
    }

    /// Whether `other` is in this one, however deep.
    fn contains(&self, other: &Self) -> bool {
        self.sources().iter().any(|source| match source {
            Source::Select(select) => select == other || select.contains(other),
            Source::Receiver(_) | Source::Latch(_) => false,
        })
    }

    /// Selects that have this one in them, and this one itself. Called under [`NESTING`].
    fn levels_above(&self) -> usize {
        let owner = self.owner().upgrade().map(|inner| Self { inner });
        1 + owner.map_or(0, |owner| owner.levels_above())
    }

    /// Selects on the longest way down, and this one itself. Called under [`NESTING`].
    fn levels(&self) -> usize {
        let nested = self.sources().into_iter().map(|source| match source {
            Source::Select(select) => select.levels(),
            Source::Receiver(_) | Source::Latch(_) => 0,
        });
        1 + nested.max().unwrap_or(0)
    }

    fn members(&self) -> MutexGuard<'_, Members<T>> {
        let members = self.inner.members.lock();
        members.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Select<T> {
    fn owner(&self) -> MutexGuard<'_, Weak<Inner<T>>> {
        let owner = self.inner.owner.lock();
        owner.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        let members = self.members.get_mut();
        let members = members.unwrap_or_else(PoisonError::into_inner);
        for member in &members.sources {
            member.source.let_go();
        }
    }
}

/// The values of a select, one after the other. See [`Select::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: Send + 'static>(Option<&'a Select<T>>);

impl<T: Send + 'static> Iterator for Iter<'_, T> {
    type Item = Result<SelectEvent<T>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0?.get_blocking() {
            Ok(event) => Some(Ok(event)),
            Err(Error::Select(_)) => None,
            Err(error) => {
                // It would be the same again, and again.
                self.0 = None;
                Some(Err(error))
            }
        }
    }
}

impl<'a, T: Send + 'static> IntoIterator for &'a Select<T> {
    type Item = Result<SelectEvent<T>, Error>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Send + 'static> Default for Select<T> {
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

impl<T: Send + 'static> fmt::Debug for Select<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("sources", &self.source_count())
            .field("ready", &self.inner.ready.len())
            .finish()
    }
}

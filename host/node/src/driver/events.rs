//! Acts on what a node has to say.

use std::sync::{Arc, MutexGuard};

use offshoot_proto::control::{CallOutcome, Connect, Connected, LogRecord};
use offshoot_proto::{CallKey, ContextId, Event, Handle, LinkId, Receipt, Run};

use super::output::Written;
use super::{Driver, IN_DRIVER, State, Subscriber, streams, tasks};
use crate::mailbox::{Content, Inbox, MessageHandler, Notify, QueuedMessage};

/// What an event leaves to do once the lock is given up: code of plugins and of the program, which
/// may log, call and send.
enum Effect {
    /// A message came to an inbox that has a notifier. The inbox is dropped with it: what is
    /// dropped may call back.
    Notify(Arc<dyn Notify>, Arc<Inbox>),
    /// A message was queued for a handler.
    Handle(Arc<dyn MessageHandler>),
    /// A call that another context makes.
    Run(Run),
    /// A call is cancelled. One that runs in place is waited for.
    CancelRun(CallKey),
    /// An ancestor asks for a child.
    Connect(ContextId, Handle, Connect),
    /// An ancestor has given up a child that it asked for.
    CancelConnect(ContextId),
    /// The child behind a link was asked to end.
    ChildEnding(LinkId),
    /// A log record of a context of this name.
    Log(Arc<str>, LogRecord),
    /// Messages of a context of this name to a handle are lost, so many so far.
    Overflow(Handle, Arc<str>, u64),
}

impl Driver {
    /// Handles events and writes to links until there is nothing left to do.
    ///
    /// The lock is given up for each [`Effect`], and what it changes is seen by the next turn.
    pub(super) fn process_events<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        let outer = IN_DRIVER.replace(self.id);
        state.deferred = 0;
        loop {
            if let Some(event) = state.node.poll_event() {
                if let Some(effect) = self.apply(&mut state, event) {
                    drop(state);
                    let ended = self.perform(effect);
                    state = self.lock();
                    if let Some((key, outcome)) = ended {
                        let now = self.now();
                        state.node.finish(key, outcome, now);
                    }
                }
            } else if let Some(link) = state.node.poll_ready_link() {
                self.write_link(&mut state, link);
            } else {
                break;
            }
        }
        self.rearm(&mut state);
        IN_DRIVER.set(outer);
    }

    /// Does under no lock what an event has left to do. Gives the call that has ended by it.
    fn perform(&self, effect: Effect) -> Option<(CallKey, CallOutcome)> {
        match effect {
            Effect::Notify(notify, _inbox) => notify.notify(),
            Effect::Handle(handler) => handler.run(),
            Effect::Run(run) => {
                let key = run.key;
                let outcome = self.upcalls.run(self, run)?;
                return Some((key, outcome));
            }
            Effect::CancelRun(key) => self.upcalls.cancel(key),
            Effect::Connect(src, reply_to, connect) => {
                self.upcalls.connect(self, src, reply_to, connect);
            }
            Effect::CancelConnect(id) => self.upcalls.cancel_connect(id),
            Effect::ChildEnding(link) => self.close_after_grace(link),
            Effect::Overflow(handle, from, count) => tracing::warn!(
                handle = handle.0,
                from = %from,
                count,
                "messages were lost: too many wait unread for the handle"
            ),
            Effect::Log(name, record) => {
                crate::logs::emit(&name, record.level, &record.target, &record.text);
            }
        }
        None
    }

    /// Writes to a link, unless it is known to be full: a task waits for room then.
    fn write_link(&self, state: &mut State, link: LinkId) {
        let State { outputs, node, .. } = state;
        let Some(output) = outputs.get_mut(&link).filter(|output| !output.full) else {
            return;
        };
        match output.write(link, node) {
            Written::All => {}
            Written::Full => {
                let (pipe, closed) = (output.pipe.clone(), output.signals.writer.clone());
                self.spawn(tasks::drain(self.weak(), link, pipe, closed));
            }
            Written::Broken => {
                // The side that reads the link learns why, from the process or the pipe; it must
                // not hear from us first that the link is closed.
                outputs.remove(&link);
            }
        }
    }

    /// Changes the state as an event says.
    fn apply(&self, state: &mut State, event: Event) -> Option<Effect> {
        self.debug(|| describe(&event));
        match event {
            Event::Message {
                handle,
                src,
                reply_to,
                body,
                receipt,
                last,
            } => {
                let mail = QueuedMessage {
                    src,
                    reply_to,
                    content: Content::Body(body),
                    receipt,
                };
                return state.bring(handle, mail, last);
            }
            Event::Overflow { handle, src, count } => {
                return Some(Effect::Overflow(handle, Self::name_of(state, src), count));
            }
            Event::Expired { handle } => {
                let mail = QueuedMessage {
                    src: ContextId::CONTROLLER,
                    reply_to: Handle::NONE,
                    content: Content::Expired,
                    receipt: Receipt::default(),
                };
                return state.bring(handle, mail, true);
            }
            Event::Writable { dst, handle } => {
                if let Some(waiting) = streams::waiting(state, dst, handle) {
                    waiting.wake();
                }
            }
            Event::Run(run) => return Some(Effect::Run(run)),
            Event::CancelRun(key) => return Some(Effect::CancelRun(key)),
            Event::Connect {
                src,
                reply_to,
                connect,
            } => return Some(Effect::Connect(src, reply_to, connect)),
            Event::CancelConnect { id } => {
                state.node.cancel_expected(id);
                return Some(Effect::CancelConnect(id));
            }
            Event::Log { src, record } => {
                return Some(Effect::Log(Self::name_of(state, src), record));
            }
            Event::ContextLost { id, reason } => {
                let name = Self::name_of(state, id);
                Self::unregister_context(state, id);
                tracing::debug!(context = %name, reason, "context lost");
            }
            Event::Image { .. } => state.image_came.notify_waiters(),
            Event::IdsGranted => state.ids.answered(None),
            Event::IdsRefused { reason } => state.ids.answered(Some(reason)),
            Event::CutLink { link, peer, reason } => {
                state.outputs.remove(&link);
                let name = Self::name_of(state, peer);
                tracing::warn!(context = %name, reason, "link cut");
            }
            Event::Shutdown => state.ended = true,
            Event::ChildEnding { link } => return Some(Effect::ChildEnding(link)),
            Event::Detach => state.detached = true,
            Event::ChildDetached { link } => {
                if let Some(output) = state.outputs.get(&link) {
                    output.signals.detach();
                }
            }
        }
        None
    }

    /// Ends a call that went on in another thread.
    pub fn finish(&self, key: CallKey, outcome: CallOutcome) {
        self.drive(|state, now| state.node.finish(key, outcome, now));
    }

    /// Answers an ancestor that asked for a child.
    pub fn answer_connect(&self, src: ContextId, reply_to: Handle, connected: &Connected) {
        self.drive(|state, _| state.node.answer_connect(src, reply_to, connected));
    }

    /// Logs a line that a child printed outside of its link.
    pub fn log_child_line(&self, context: &str, line: &str) {
        if self.lock().node.id() == ContextId::CONTROLLER {
            crate::logs::emit(context, 3, "stderr", line);
        } else {
            self.log(3, "stderr", &format!("{context}: {line}"));
        }
    }

    /// Sees to it that the timer wakes up in time.
    pub(super) fn rearm(&self, state: &mut State) {
        let due = match self.runtime.get() {
            Some(_) => state.node.poll_timeout(),
            // A child that has no children watches its parent only, and does so where it reads it:
            // that is not worth a thread.
            None => state.node.poll_timeout_of_waits(),
        };
        if due.is_some_and(|due| state.armed.is_none_or(|armed| due < armed)) {
            state.armed = due;
            self.wake(&self.timer, tasks::timer);
        }
    }
}

impl State {
    /// Hands a message to the subscriber of its handle. `last` says that there will be no more: the
    /// handle is gone.
    fn bring(&mut self, handle: Handle, mail: QueuedMessage, last: bool) -> Option<Effect> {
        let subscriber = match last {
            true => self.subscribers.remove(&handle),
            false => self.subscribers.get(&handle).cloned(),
        };
        match subscriber {
            Some(Subscriber::Inbox(inbox)) => {
                let over = last.then(|| mail.reason_of_end());
                let notify = inbox.put(mail, over)?;
                Some(Effect::Notify(notify, inbox))
            }
            Some(Subscriber::Handler(handler)) => {
                handler.queue(mail);
                Some(Effect::Handle(handler))
            }
            None => {
                self.node.taken(mail.receipt);
                None
            }
        }
    }
}

/// An event in a line of the debug log: what is in messages is not for there.
fn describe(event: &Event) -> String {
    match event {
        Event::Message { handle, src, .. } => format!("message for {handle} from context {src}"),
        Event::Run(run) => format!(
            "call {} from context {}: {}::{}",
            run.key.0,
            run.caller,
            run.bind.plugin,
            run.body.function()
        ),
        Event::CancelConnect { id } => format!("context {id} is not wanted any more"),
        Event::Connect { connect, .. } => format!("asked to make context {}", connect.id),
        Event::Log { src, .. } => format!("log record of context {src}"),
        other => format!("{other:?}"),
    }
}

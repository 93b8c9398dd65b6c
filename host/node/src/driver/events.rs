//! Acts on what a node has to say.

use std::sync::MutexGuard;

use offshoot_proto::control::{CallOutcome, Connected};
use offshoot_proto::{CallKey, ContextId, Event, Handle, LinkId, Receipt};

use super::output::Written;
use super::{Hub, SETTLING, State, Taker, streams, tasks};
use crate::mailbox::{Content, Mail};

impl Hub {
    /// Handles events and writes to links until there is nothing left to do.
    ///
    /// The lock is given up while a plugin's function runs: it may log, and others may call.
    pub(super) fn settle<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        let outer = SETTLING.replace(std::ptr::from_ref(self).addr());
        state.gathered = 0;
        loop {
            while let Some(event) = state.node.poll_event() {
                state = self.act(state, event);
            }
            let Some(link) = state.node.poll_ready_link() else {
                break;
            };
            self.write_link(&mut state, link);
        }
        self.rearm(&mut state);
        SETTLING.set(outer);
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

    fn act<'a>(&'a self, mut state: MutexGuard<'a, State>, event: Event) -> MutexGuard<'a, State> {
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
                let mail = Mail {
                    src,
                    reply_to,
                    content: Content::Body(body),
                    receipt,
                };
                state = self.bring(state, handle, mail, last);
            }
            Event::Expired { handle } => {
                let mail = Mail {
                    src: ContextId::CONTROLLER,
                    reply_to: Handle::NONE,
                    content: Content::Expired,
                    receipt: Receipt::default(),
                };
                state = self.bring(state, handle, mail, true);
            }
            Event::Writable { dst, handle } => {
                if let Some(waiting) = streams::waiting(&mut state, dst, handle) {
                    waiting.wake();
                }
            }
            Event::Run(run) => {
                let key = run.key;
                drop(state);
                let outcome = self.upcalls.run(self, run);
                state = self.lock();
                if let Some(outcome) = outcome {
                    let now = self.now();
                    state.node.finish(key, outcome, now);
                }
            }
            Event::CancelRun(key) => {
                // A call that runs in place is waited for here, and it may want this lock to log.
                drop(state);
                self.upcalls.cancel(key);
                state = self.lock();
            }
            Event::Connect {
                src,
                reply_to,
                connect,
            } => {
                self.upcalls.connect(self, src, reply_to, connect);
            }
            Event::Log { src, record } => {
                let name = Self::name_of(&state, src);
                drop(state);
                crate::logs::emit(&name, record.level, &record.target, &record.text);
                state = self.lock();
            }
            Event::ContextLost { id, reason } => {
                let name = Self::name_of(&state, id);
                Self::depart(&mut state, id);
                tracing::debug!(context = %name, reason, "context lost");
            }
            Event::Image { .. } => state.image_came.notify_waiters(),
            Event::IdsGranted => state.ids.answered(None),
            Event::IdsRefused { reason } => state.ids.answered(Some(reason)),
            Event::CutLink { link, peer, reason } => {
                state.outputs.remove(&link);
                let name = Self::name_of(&state, peer);
                tracing::warn!(context = %name, reason, "link cut");
            }
            Event::Shutdown => {
                state.ended = true;
            }
            Event::Detach => state.detached = true,
            Event::ChildDetached { link } => {
                if let Some(output) = state.outputs.get(&link) {
                    output.signals.detach();
                }
            }
        }
        state
    }

    /// Hands a message to whoever takes those of its handle. `last` says that there will be no
    /// more: the handle is gone.
    fn bring<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        handle: Handle,
        mail: Mail,
        last: bool,
    ) -> MutexGuard<'a, State> {
        let taker = match last {
            true => state.takers.remove(&handle),
            false => state.takers.get(&handle).cloned(),
        };
        match taker {
            Some(Taker::Inbox(inbox)) => {
                let over = last.then(|| mail.reason_of_end());
                if let Some(notify) = inbox.put(mail, over) {
                    // It may call back, and so may what is dropped with either.
                    drop(state);
                    notify.notify();
                    drop((notify, inbox));
                    state = self.lock();
                }
            }
            Some(Taker::Handler(handler)) => {
                handler.queue(mail);
                drop(state);
                handler.run();
                // A handler may own anything, and what is dropped may call back.
                drop(handler);
                state = self.lock();
            }
            None => state.node.taken(mail.receipt),
        }
        state
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
        Event::Connect { connect, .. } => format!("asked to make context {}", connect.id),
        Event::Log { src, .. } => format!("log record of context {src}"),
        other => format!("{other:?}"),
    }
}

//! What a message for this context does: one arm for each handle, with who may use it.

use alloc::format;

use offshoot_abi::{CallErrorKind, CallFailure};

use super::{Event, Node, Run};
use crate::call_queue::{Caller, Incoming, Next, Readiness};
use crate::control::{self, AddRoute, Bind, CallBody, CallOutcome, Connect, DelRoute};
use crate::depot::Delivery;
use crate::id::{ContextId, Handle, LinkId};
use crate::limits::BINDINGS_MAX;
use crate::link::Side;
use crate::message::{Body, Dead, DeadKind, Message};
use crate::time::Instant;
use crate::trust::Violation;

impl Node {
    /// Acts on a message whose source and authority were checked.
    pub(super) fn dispatch(&mut self, link: LinkId, side: Side, message: Message, now: Instant) {
        if !message.handle.is_reserved() {
            self.dispatch_dynamic(Some(link), message);
            return;
        }
        let Body::Data(bytes) = &message.body else {
            // Nothing here waits on a fixed handle, so a dead one concerns nobody.
            self.stats.late += 1;
            return;
        };
        if message.stream {
            let reason = "no stream is wanted at this handle";
            self.refuse(&message, DeadKind::Refused, reason);
            return;
        }
        let neighbour = self.links.get(&link).map(|link| link.peer) == Some(message.src);
        let from_parent = neighbour && side == Side::Parent;
        let from_child = neighbour && side == Side::Child;
        let from_above = self.topology.is_ancestor(message.auth);
        let understood = match message.handle {
            Handle::CALL_FUNCTION if from_above => self.on_call(&message, now),
            Handle::CANCEL if from_above => self.on_cancel(&message),
            Handle::FORGET_CHAIN if from_above => self.on_forget_chain(&message),
            Handle::BIND if from_above => {
                control::decode(bytes).is_some_and(|bind| self.on_bind(bind))
            }
            Handle::CONNECT if from_above => self.on_connect(&message),
            Handle::CANCEL_CONNECT if from_above => match control::decode(bytes) {
                Some(id) => {
                    self.events.push_back(Event::CancelConnect { id });
                    true
                }
                None => false,
            },
            Handle::HEARTBEAT if neighbour => {
                self.on_heartbeat(link);
                true
            }
            Handle::ALIVE if neighbour => true,
            Handle::PAUSE if neighbour => match control::decode(bytes) {
                Some(pause) => {
                    self.on_pause(link, pause);
                    true
                }
                None => false,
            },
            Handle::DETACH if from_above => {
                self.on_detach(&message);
                true
            }
            Handle::DETACHING if from_child && self.is_detaching(link) => {
                self.events.push_back(Event::ChildDetached { link });
                true
            }
            Handle::SHUTDOWN if from_above => {
                self.events.push_back(Event::Shutdown);
                true
            }
            Handle::FORWARD_LOG if side == Side::Child => match self.on_log(link, &message, now) {
                Some(understood) => understood,
                None => return,
            },
            Handle::ADD_ROUTE if from_parent => {
                control::decode(bytes).is_some_and(|route| self.on_add_route(&route))
            }
            Handle::ADD_ROUTE if from_child => {
                let route = control::decode::<AddRoute>(bytes);
                if !route.is_some_and(|route| self.on_announced_route(link, &route)) {
                    self.offend(link, message.src, Violation::Announcement);
                }
                return;
            }
            Handle::GRANT_IDS if from_parent => {
                control::decode(bytes).is_some_and(|grant| self.on_grant_ids(&grant))
            }
            Handle::ALLOCATE_ID if self.topology.me == ContextId::CONTROLLER => {
                self.on_allocate_id(link, &message)
            }
            Handle::DEL_ROUTE if from_parent => {
                control::decode(bytes).is_some_and(|route| self.on_lost_elsewhere(route))
            }
            Handle::LOAD_IMAGE if from_parent => {
                Delivery::parse(bytes).is_some_and(|delivery| self.on_image(delivery, now))
            }
            Handle::DEL_ROUTE if from_child => {
                let route = control::decode::<DelRoute>(bytes);
                if !route.is_some_and(|route| self.on_del_route(link, route)) {
                    self.offend(link, message.src, Violation::Announcement);
                }
                return;
            }
            // The contexts on the way have noted it; there is nothing to say to it.
            Handle::MONITOR => return,
            Handle::ADD_ROUTE | Handle::LOAD_IMAGE | Handle::DEL_ROUTE | Handle::GRANT_IDS => {
                self.offend(link, message.src, Violation::Control);
                return;
            }
            Handle::HEARTBEAT | Handle::ALIVE | Handle::PAUSE | Handle::DETACHING => {
                self.offend(link, message.src, Violation::Control);
                return;
            }
            Handle::CALL_FUNCTION
            | Handle::CANCEL
            | Handle::FORGET_CHAIN
            | Handle::BIND
            | Handle::CONNECT
            | Handle::CANCEL_CONNECT
            | Handle::DETACH
            | Handle::SHUTDOWN => {
                self.refuse(&message, DeadKind::Refused, "only an ancestor may ask that");
                return;
            }
            Handle::ALLOCATE_ID => {
                self.refuse(
                    &message,
                    DeadKind::Refused,
                    "only the controller grants ids",
                );
                return;
            }
            handle => {
                let reason = format!("context {} has no handle {handle}", self.topology.me);
                self.refuse(&message, DeadKind::NoHandle, &reason);
                return;
            }
        };
        if understood {
            self.stats.delivered += 1;
        } else {
            self.refuse(
                &message,
                DeadKind::Malformed,
                "the message was not understood",
            );
        }
    }

    /// Moves calls that can go on to the driver.
    pub(super) fn schedule(&mut self, now: Instant) {
        while let Some(next) = self.next_call(now) {
            match next {
                Next::Run(key, call) => self.events.push_back(Event::Run(Run {
                    key,
                    caller: call.caller.context,
                    is_awaited: call.caller.reply_to != Handle::NONE,
                    bind: call.bind,
                    deadline: call.deadline,
                    body: call.body,
                })),
                Next::Fail(caller, failure) => {
                    self.reply_call(caller, CallOutcome::Failed(failure));
                }
            }
        }
    }

    fn next_call(&mut self, now: Instant) -> Option<Next> {
        let depot = &self.depot;
        self.call_queue.next(now, |bind| {
            if depot.get(&bind.image).is_some() {
                Readiness::Ready
            } else if depot.is_missing(&bind.image) {
                Readiness::Missing
            } else {
                Readiness::OnItsWay
            }
        })
    }

    /// Whether `message` is the word of a context between us and `respondent` that there will be
    /// no answer. Such a context could have kept silent as well, so believing it gives it nothing.
    /// One that is neither above nor below us shows that it is on the way by the authority that
    /// it bears: every hop has checked that `respondent` is where the message comes from.
    pub(super) fn may_announce_death(&self, message: &Message, respondent: ContextId) -> bool {
        // Only its own programs can know that it has closed; programs of others may say so of
        // themselves.
        matches!(&message.body, Body::Dead(dead) if dead.kind != DeadKind::Closed)
            && (message.auth == respondent
                || self.topology.is_above(message.src, respondent)
                || self.topology.is_ancestor(message.src)
                    && self.topology.link_below(respondent).is_none())
    }

    fn on_call(&mut self, message: &Message, now: Instant) -> bool {
        let Body::Data(bytes) = &message.body else {
            return false;
        };
        let Some(body) = CallBody::parse(bytes.clone()) else {
            return false;
        };
        let Some(bind) = self.bindings.get(&body.binding) else {
            return false;
        };
        let caller = Caller {
            context: message.src,
            reply_to: message.reply_to,
        };
        let (timeout, chain) = (body.timeout, body.chain);
        let call = Incoming {
            caller,
            bind: bind.clone(),
            body,
            deadline: (timeout > 0).then(|| Instant(now.0.saturating_add(timeout))),
        };
        if !self.call_queue.push(call) {
            let reason = format!("context {} has too many calls waiting", self.topology.me);
            // What comes behind it in its chain must not run either.
            let failure = CallFailure::new(CallErrorKind::LimitExceeded, reason.clone());
            self.call_queue.fail_chain(message.src, chain, &failure);
            self.refuse(message, DeadKind::Exhausted, &reason);
            return true;
        }
        self.schedule(now);
        self.call_queue.enter_last();
        true
    }

    fn on_cancel(&mut self, message: &Message) -> bool {
        let Body::Data(bytes) = &message.body else {
            return false;
        };
        let Some(reply_to) = control::decode::<Handle>(bytes) else {
            return false;
        };
        let caller = Caller {
            context: message.src,
            reply_to,
        };
        if let Some(key) = self.call_queue.cancel(caller) {
            self.events.push_back(Event::CancelRun(key));
        }
        true
    }

    /// This context is to outlive its parent. The parent is told before the answer leaves.
    fn on_detach(&mut self, message: &Message) {
        self.events.push_back(Event::Detach);
        if let Some(parent) = self.topology.parent_link() {
            self.send_to_neighbour(parent, Handle::DETACHING, bytes::Bytes::new());
        }
        let body = Body::Data(bytes::Bytes::new());
        self.reply(message.src, message.reply_to, body);
    }

    /// Whether the peer of a link was told to detach itself.
    fn is_detaching(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.detaching)
    }

    fn on_forget_chain(&mut self, message: &Message) -> bool {
        let Body::Data(bytes) = &message.body else {
            return false;
        };
        let Some(chain) = control::decode::<u64>(bytes) else {
            return false;
        };
        self.call_queue.forget_chain(message.src, chain);
        true
    }

    fn on_bind(&mut self, bind: Bind) -> bool {
        if self.bindings.len() >= BINDINGS_MAX && !self.bindings.contains_key(&bind.key) {
            return false;
        }
        if !self.bindings.contains_key(&bind.key) {
            let keys = self.binding_names.entry(bind.plugin.clone());
            keys.or_default().push(bind.key);
        }
        self.bindings.insert(bind.key, bind.into());
        true
    }

    fn on_connect(&mut self, message: &Message) -> bool {
        let Body::Data(bytes) = &message.body else {
            return false;
        };
        let Some(connect) = control::decode::<Connect>(bytes) else {
            return false;
        };
        if !self.topology.expect(connect.id) {
            return false;
        }
        self.events.push_back(Event::Connect {
            src: message.src,
            reply_to: message.reply_to,
            connect,
        });
        true
    }

    fn on_image(&mut self, delivery: Delivery, now: Instant) -> bool {
        let Delivery {
            hash,
            toward,
            image,
        } = delivery;
        if !image.is_empty() && !self.depot.insert(hash, image) {
            self.depot.remove_waiting(hash);
        }
        if toward != self.topology.me {
            self.deliver_image(hash, toward);
        } else if self.depot.get(&hash).is_none() {
            self.depot.remove_waiting(hash);
        }
        if toward == self.topology.me && self.depot.was_awaited(&hash) {
            self.events.push_back(Event::Image { hash });
        }
        self.schedule(now);
        true
    }

    pub(super) fn refuse(&mut self, message: &Message, kind: DeadKind, reason: &str) {
        self.stats.refused += 1;
        if matches!(message.body, Body::Data(_)) {
            self.reply_dead(message.src, message.reply_to, Dead::new(kind, reason));
        }
    }
}

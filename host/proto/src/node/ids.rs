//! Where the ids of new contexts come from: the controller's counter, or a block that it granted.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::{Event, Node, SendError};
use crate::control::{self, AllocateId, GrantIds, IdBlock};
use crate::handles::{Listener, Purpose};
use crate::id::{ContextId, Handle, LinkId};
use crate::limits::{CONTEXTS_MAX, ID_BLOCK};
use crate::message::{Body, Dead, DeadKind, Message};
use crate::time::Instant;

/// How long the controller may take to answer. It decides at once, so this is for its way there
/// and back through trees that are busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

impl Node {
    /// Takes an id that no other context ever had, for [`add_route`](Self::add_route) to place
    ///. [`allocate_context`](Self::allocate_context) does both.
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::NeedsIds`] where [`request_ids`](Self::request_ids) must be called
    /// first, and when no ids are left.
    pub fn allocate_id(&mut self) -> Result<ContextId, SendError> {
        self.next_id()?;
        let taken = self.blocks.take_unplaced();
        taken.ok_or(SendError::Exhausted("context ids that are not placed"))
    }

    /// Asks the controller for a block of ids. [`Event::IdsGranted`] or [`Event::IdsRefused`]
    /// follows, also when the controller is lost or does not answer. There is one such request at
    /// a time: while one is under way, this gives its handle again.
    ///
    /// # Errors
    ///
    /// Fails when it cannot leave, and in the controller, which has all ids there are.
    pub fn request_ids(&mut self, now: Instant) -> Result<Handle, SendError> {
        if self.topology.me == ContextId::CONTROLLER {
            return Err(SendError::Exhausted("context ids"));
        }
        if let Some(asked) = self.asked_ids {
            return Ok(asked);
        }
        let reply_to = self.listen_for(Listener {
            respondent: Some(ContextId::CONTROLLER),
            persist: false,
            deadline: Some(now + ANSWER_WITHIN),
            purpose: Purpose::Answer,
        })?;
        let body = control::encode(&AllocateId {});
        let asked = self.send_or_forget(
            ContextId::CONTROLLER,
            Handle::ALLOCATE_ID,
            reply_to,
            body.into(),
        )?;
        self.asked_ids = Some(asked);
        Ok(asked)
    }

    /// The id that a new context will get.
    pub(super) fn next_id(&self) -> Result<ContextId, SendError> {
        let controller = self.topology.me == ContextId::CONTROLLER;
        // What was granted must find its place once it is announced.
        if controller && self.topology.places() + self.blocks.unannounced() >= CONTEXTS_MAX {
            return Err(SendError::Exhausted("places for contexts"));
        }
        self.blocks.next().ok_or(if controller {
            SendError::Exhausted("context ids")
        } else {
            SendError::NeedsIds
        })
    }

    /// A context below asks for ids. The grant goes ahead of the answer, so that each context on
    /// the way knows of it before the first announcement can come by.
    pub(super) fn on_allocate_id(&mut self, link: LinkId, message: &Message) -> bool {
        let Body::Data(bytes) = &message.body else {
            return false;
        };
        let understood = control::decode::<AllocateId>(bytes).is_some();
        // Nobody would learn which ids they are.
        if !understood || message.reply_to == Handle::NONE {
            return false;
        }
        let owner = message.src;
        if self.topology.places() + self.blocks.unannounced() + ID_BLOCK as usize > CONTEXTS_MAX {
            self.refuse(message, DeadKind::Exhausted, "no more places for contexts");
            return true;
        }
        match self.blocks.grant(owner, link) {
            Ok(first) => {
                let count = ID_BLOCK;
                self.send_grant(
                    link,
                    &GrantIds {
                        owner,
                        first,
                        count,
                    },
                );
                let block = control::encode(&IdBlock { first, count });
                self.reply(owner, message.reply_to, Body::Data(block.into()));
            }
            Err(error) => {
                let reason = format!("no ids for context {owner}: {error}");
                self.refuse(message, DeadKind::Exhausted, &reason);
            }
        }
        true
    }

    /// The controller granted a block to us, or to a context below us.
    pub(super) fn on_grant_ids(&mut self, grant: &GrantIds) -> bool {
        let &GrantIds {
            owner,
            first,
            count,
        } = grant;
        if owner == self.topology.me {
            return self.blocks.receive(first, count);
        }
        // It may have been lost meanwhile; the controller is about to hear of it.
        let Some(link) = self.topology.link_below(owner) else {
            return false;
        };
        let noted = self.blocks.note(owner, first, count);
        if noted {
            self.send_grant(link, grant);
        }
        noted
    }

    /// What the driver is to know of an event: an answer that this node itself waited for says
    /// whether to try again.
    pub(super) fn answer_to_driver(&mut self, event: Event) -> Event {
        let Some(asked) = self.asked_ids else {
            return event;
        };
        let answered = match &event {
            Event::Message { handle, body, .. } if *handle == asked => self.judge_block(body),
            Event::Expired { handle } if *handle == asked => {
                Err("the controller did not answer in time".to_owned())
            }
            _ => return event,
        };
        self.asked_ids = None;
        match answered {
            Ok(()) => Event::IdsGranted,
            Err(reason) => Event::IdsRefused { reason },
        }
    }

    fn judge_block(&self, body: &Body) -> Result<(), String> {
        match body {
            Body::Dead(Dead { reason, .. }) => Err(reason.clone()),
            Body::Data(bytes) if control::decode::<IdBlock>(bytes).is_none() => {
                Err("the controller's answer was not understood".to_owned())
            }
            // The grant itself came first, from our parent; without it no id would be accepted.
            Body::Data(_) if self.blocks.next().is_none() => {
                Err("a context on the way kept the grant to itself".to_owned())
            }
            Body::Data(_) => Ok(()),
        }
    }

    fn send_grant(&mut self, link: LinkId, grant: &GrantIds) {
        self.send_to_neighbour(link, Handle::GRANT_IDS, control::encode(grant).into());
    }
}

//! The imports by which a guest reaches the router: `exchange`, `take`, `send`.
//!
//! A guest that waits in one of them is a future that is pending. It has moved to a worker by
//! then, which its deadline or its cancel wakes as it wakes any other.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use offshoot_abi::router::{RECEIVERS_MAX, Request, RequestError, Response};
use offshoot_abi::{IMPORT_MODULE, imports};
use wasmtime::{Caller, Linker};

use super::finish::Stop;
use super::handed::PermittedSenders;
use super::imports::{OUTSIDE, memory, range, slice_mut};
use super::session::{PluginRouter, PluginRouters};
use super::state::State;

/// Bytes of a request or an answer beside the message in it: names, addresses, error texts.
const OVERHEAD_MAX: usize = 1 << 20;
/// Bytes of a name in a request.
const TEXT_MAX: usize = 4 << 10;

/// What an instance may do with the router, and what it has there.
pub(super) struct RouterAccess {
    /// Whether it may do everything. Otherwise it has only the senders that it was handed.
    pub(super) granted: bool,
    pub(super) handed: PermittedSenders,
    /// Bytes of one message.
    message_max: usize,
    sessions: Option<Arc<dyn PluginRouters>>,
    session: Option<Arc<dyn PluginRouter>>,
    /// What the guest has not fetched yet.
    answer: Vec<u8>,
}

impl RouterAccess {
    pub(super) fn new(
        granted: bool,
        message_max: usize,
        sessions: Option<Arc<dyn PluginRouters>>,
    ) -> Self {
        Self {
            granted,
            handed: PermittedSenders::default(),
            message_max,
            sessions,
            session: None,
            answer: Vec::new(),
        }
    }

    fn session(&mut self) -> Result<Arc<dyn PluginRouter>, RequestError> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        let sessions = self.sessions.as_ref();
        let session = sessions
            .ok_or_else(|| {
                RequestError::Usage("this context has no router for plugins".to_owned())
            })?
            .open();
        Ok(self.session.insert(session).clone())
    }

    /// Checks that an instance with the router may send to where `request` goes, if anywhere.
    /// This may wait for what the starter holds.
    fn check_recipient(
        &self,
        session: &dyn PluginRouter,
        request: &Request,
    ) -> Result<(), RequestError> {
        match *request {
            Request::Post {
                context, handle, ..
            }
            | Request::SendDead { context, handle }
                if !self.handed.has(context, handle) =>
            {
                session.may_send(context)
            }
            _ => Ok(()),
        }
    }

    /// Remembers where an answer to what the instance is about to receive goes.
    fn note_received(&mut self, answer: &Result<Response, RequestError>) {
        if let Ok(Response::Received(received)) = answer
            && received.reply_to != 0
        {
            self.handed.remember((received.src, received.reply_to));
        }
    }

    /// Keeps the answer for the guest; returns its length.
    fn keep(&mut self, answer: &Result<Response, RequestError>) -> u32 {
        let encoded = |answer| postcard::to_allocvec(answer).expect("it goes into memory");
        let mut bytes = encoded(answer);
        let max = self.message_max.saturating_add(OVERHEAD_MAX);
        if bytes.len() > max {
            let text = format!(
                "an answer of {} bytes is too large (max {max})",
                bytes.len()
            );
            bytes = encoded(&Err(RequestError::Usage(text)));
        }
        self.answer = bytes;
        self.answer.len() as u32
    }

    fn keep_failure(&mut self, failure: &RequestError) -> u32 {
        self.answer = postcard::to_allocvec(failure).expect("it goes into memory");
        self.answer.len() as u32
    }

    /// Checks that the guest may ask for that, and that what it asks is within bounds.
    fn check(&self, request: &Request) -> Result<(), RequestError> {
        let what = match request {
            Request::SendDead { context, handle } if self.handed.has(*context, *handle) => {
                return Ok(());
            }
            Request::Connect(_) => "make a context",
            Request::Call(_) => "call a function in another context",
            Request::Listen(_) | Request::Receive(_) => "receive messages",
            Request::Waiting { .. } | Request::Close { .. } => "use a receiver",
            Request::Post { .. } | Request::SendDead { .. } => SEND_UNASKED,
            Request::Shutdown { .. } => "shut a context down",
            Request::ResetChain { .. } => "reset a chain of calls",
        };
        if !self.granted {
            return Err(RequestError::NotGranted(what.to_owned()));
        }
        let texts: [Option<&str>; 2] = match request {
            Request::Connect(connect) => {
                let offshoot_abi::router::Method::Local(local) = &connect.method;
                [&connect.name, &local.remote_name].map(Option::as_deref)
            }
            Request::Call(call) => {
                self.check_message(call.arguments.len())?;
                [Some(&call.plugin), Some(&call.function)]
            }
            Request::Post { data, .. } => return self.check_message(data.len()),
            Request::Receive(receive) => {
                let count = receive.receivers.len();
                return match count {
                    0 => Err(RequestError::Usage("nothing is waited for".to_owned())),
                    1..=RECEIVERS_MAX => Ok(()),
                    _ => Err(RequestError::Usage(format!(
                        "{count} receivers are too many at once (max {RECEIVERS_MAX})"
                    ))),
                };
            }
            _ => return Ok(()),
        };
        match texts
            .into_iter()
            .flatten()
            .find(|text| text.len() > TEXT_MAX)
        {
            Some(text) => Err(RequestError::Usage(format!(
                "a name of {} bytes is too long (max {TEXT_MAX})",
                text.len()
            ))),
            None => Ok(()),
        }
    }

    fn check_message(&self, size: usize) -> Result<(), RequestError> {
        if size <= self.message_max {
            return Ok(());
        }
        Err(RequestError::Usage(format!(
            "a message of {size} bytes is too large (max {})",
            self.message_max
        )))
    }
}

const SEND_UNASKED: &str = "send to a receiver that it was not handed a sender of";

/// Adds the functions to what modules may import.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker
        .func_wrap_async(
            IMPORT_MODULE,
            imports::EXCHANGE,
            |mut caller: Caller<'_, State>, (at, length): (u32, u32)| {
                Box::new(async move { exchange(&mut caller, (at, length)).await })
            },
        )?
        .func_wrap_async(
            IMPORT_MODULE,
            imports::SEND,
            |mut caller: Caller<'_, State>, (context, handle, at, length): (u32, u64, u32, u32)| {
                Box::new(async move { send(&mut caller, (context, handle), (at, length)).await })
            },
        )?
        .func_wrap(IMPORT_MODULE, imports::TAKE, take)?;
    Ok(())
}

async fn exchange(caller: &mut Caller<'_, State>, pointer: (u32, u32)) -> wasmtime::Result<u32> {
    let memory = memory(caller)?;
    let desk = &caller.data().desk;
    let max = desk.message_max.saturating_add(OVERHEAD_MAX);
    let bytes = range(pointer.0, pointer.1)
        .and_then(|range| memory.data(&*caller).get(range))
        .ok_or(OUTSIDE)?;
    let request = match bytes.len() {
        length if length > max => Err(RequestError::Usage(format!(
            "a request of {length} bytes is too large (max {max})"
        ))),
        _ => read(bytes).and_then(|request| desk.check(&request).map(|()| request)),
    };
    let begun = request.and_then(|request| Ok((caller.data_mut().desk.session()?, request)));
    let answer = match begun {
        Ok((session, request)) => {
            leave_starter(caller).await;
            match caller.data().desk.check_recipient(&*session, &request) {
                Ok(()) => session.exchange(request).await,
                Err(failure) => Err(failure),
            }
        }
        Err(failure) => Err(failure),
    };
    let desk = &mut caller.data_mut().desk;
    desk.note_received(&answer);
    Ok(desk.keep(&answer))
}

fn read(bytes: &[u8]) -> Result<Request, RequestError> {
    match postcard::take_from_bytes(bytes) {
        Ok((request, [])) => Ok(request),
        _ => Err(RequestError::Usage(
            "the host does not understand the plugin's request: build both with the same version \
             of Offshoot"
                .to_owned(),
        )),
    }
}

async fn send(
    caller: &mut Caller<'_, State>,
    (context, handle): (u32, u64),
    (at, length): (u32, u32),
) -> wasmtime::Result<u32> {
    let memory = memory(caller)?;
    let range = range(at, length)
        .filter(|range| range.end <= memory.data_size(&*caller))
        .ok_or(OUTSIDE)?;
    let desk = &mut caller.data_mut().desk;
    let is_handed = desk.handed.has(context, handle);
    let begun = match desk.granted || is_handed {
        true => desk.check_message(range.len()),
        false => Err(RequestError::NotGranted(SEND_UNASKED.to_owned())),
    };
    let sent = match begun.and_then(|()| desk.session()) {
        Ok(session) => {
            leave_starter(caller).await;
            let may_send = match is_handed {
                true => Ok(()),
                false => session.may_send(context),
            };
            match may_send {
                Ok(()) => {
                    poll_fn(|cx| {
                        // The guest waits, so its memory is as it was.
                        let data = &memory.data_mut(&mut *caller)[range.clone()];
                        session.poll_send(cx, context, handle, data)
                    })
                    .await
                }
                Err(failure) => Err(failure),
            }
        }
        Err(failure) => Err(failure),
    };
    Ok(match sent {
        Ok(()) => 0,
        Err(failure) => caller.data_mut().desk.keep_failure(&failure),
    })
}

fn take(mut caller: Caller<'_, State>, buffer: u32, capacity: u32) -> wasmtime::Result<u32> {
    let memory = memory(&mut caller)?;
    let answer = std::mem::take(&mut caller.data_mut().desk.answer);
    if answer.is_empty() {
        return Err(Stop::BadGuest("it fetched an answer that there is not").into());
    }
    let length = answer.len();
    let buffer = slice_mut(&mut caller, memory, (buffer, capacity))?;
    match buffer.get_mut(..length) {
        Some(room) => room.copy_from_slice(&answer),
        None => caller.data_mut().desk.answer = answer,
    }
    Ok(length as u32)
}

/// Gives the starter its thread back, if the call is still there.
///
/// It may hold what the session needs, and a guest that asks the router is about to wait anyway.
async fn leave_starter(caller: &mut Caller<'_, State>) {
    if std::mem::replace(&mut caller.data_mut().watch.moved, true) {
        return;
    }
    let mut left = false;
    poll_fn(|cx| match std::mem::replace(&mut left, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

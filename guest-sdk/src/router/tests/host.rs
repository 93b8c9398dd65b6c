//! A host of one context, which keeps the contract that `docs/ABI.md` describes.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use offshoot_abi::router::{Body, ChannelError, Received, Request, RequestError, Response};
use offshoot_abi::{Blob, ContextAddress};
use serde::Serialize;

/// First handle that the host chooses.
const FIRST: u64 = 1000;

#[derive(Default)]
struct Host {
    /// Open receivers, and whether they take one message only.
    receivers: HashMap<u64, bool>,
    last: u64,
    /// In order of arrival.
    messages: VecDeque<Received>,
    requests: Vec<Request>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// What was asked since the last time, without the waiting.
pub(crate) fn asked() -> Vec<Request> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.requests))
}

/// Lets a value arrive.
pub(crate) fn deliver(receiver: u64, value: &impl Serialize) {
    let bytes = postcard::to_allocvec(value).unwrap();
    arrive(receiver, 0, Body::Value(Blob(bytes)));
}

/// Lets a failure arrive.
pub(crate) fn fail(receiver: u64, failure: RequestError) {
    arrive(receiver, 0, Body::Failed(failure));
}

/// That nothing more comes from context 7.
pub(crate) fn gone() -> RequestError {
    RequestError::Channel(ChannelError {
        context: "local.7".to_owned(),
        reason: "it is gone".to_owned(),
        may_have_run: false,
    })
}

fn arrive(receiver: u64, reply_to: u64, body: Body) {
    HOST.with_borrow_mut(|host| host.arrive(receiver, reply_to, body));
}

pub(crate) fn exchange(request: &Request) -> Result<Response, RequestError> {
    HOST.with_borrow_mut(|host| host.exchange(request))
}

pub(crate) fn send(context: u32, handle: u64, data: &[u8]) -> Result<(), RequestError> {
    HOST.with_borrow_mut(
        |host| match context == 0 && host.receivers.contains_key(&handle) {
            true => {
                host.arrive(handle, 0, Body::Value(data.into()));
                Ok(())
            }
            false => Err(gone()),
        },
    )
}

impl Host {
    fn exchange(&mut self, request: &Request) -> Result<Response, RequestError> {
        if !matches!(request, Request::Receive(_) | Request::Waiting { .. }) {
            self.requests.push(request.clone());
        }
        match request {
            Request::Connect(connect) => Ok(Response::Context(ContextAddress {
                id: 7,
                name: connect.name.clone().unwrap_or("local.7".to_owned()),
                target: "here".to_owned(),
            })),
            Request::Call(call) if call.no_reply => Ok(Response::Done),
            Request::Call(_) => Ok(self.open(None, true)),
            Request::Listen(listen) => Ok(self.open(listen.handle, !listen.persist)),
            Request::Receive(receive) => self.receive(&receive.receivers, receive.timeout_us),
            Request::Waiting { receiver } => {
                let of_it = |message: &&Received| message.receiver == *receiver;
                let count = self.messages.iter().filter(of_it).count();
                Ok(Response::Count(count as u64))
            }
            Request::Post {
                context,
                handle,
                reply_to,
                data,
            } => match context {
                0 => {
                    self.arrive(*handle, *reply_to, Body::Value(data.clone()));
                    Ok(Response::Done)
                }
                _ => Err(gone()),
            },
            Request::SendDead { handle, .. } => {
                self.arrive(*handle, 0, Body::Failed(gone()));
                Ok(Response::Done)
            }
            Request::Close { receiver } => {
                self.receivers.remove(receiver);
                self.messages
                    .retain(|message| message.receiver != *receiver);
                Ok(Response::Done)
            }
            Request::Shutdown { .. } | Request::ResetChain { .. } => Ok(Response::Done),
        }
    }

    fn open(&mut self, handle: Option<u64>, one_shot: bool) -> Response {
        let handle = handle.unwrap_or_else(|| {
            self.last = self.last.max(FIRST - 1) + 1;
            self.last
        });
        self.receivers.insert(handle, one_shot);
        Response::Receiver { handle }
    }

    fn arrive(&mut self, receiver: u64, reply_to: u64, body: Body) {
        assert!(
            self.receivers.contains_key(&receiver),
            "no receiver {receiver}"
        );
        self.messages.push_back(Received {
            receiver,
            src: 0,
            reply_to,
            body,
        });
    }

    fn receive(
        &mut self,
        receivers: &[u64],
        timeout: Option<u64>,
    ) -> Result<Response, RequestError> {
        for receiver in receivers {
            assert!(
                self.receivers.contains_key(receiver),
                "no receiver {receiver}"
            );
        }
        let wanted = |message: &Received| receivers.contains(&message.receiver);
        if let Some(index) = self.messages.iter().position(wanted) {
            let message = self.messages.remove(index).expect("it was found there");
            if self.receivers[&message.receiver] {
                self.receivers.remove(&message.receiver);
            }
            return Ok(Response::Received(message));
        }
        assert!(timeout.is_some(), "it would wait for ever");
        Ok(Response::TimedOut)
    }
}

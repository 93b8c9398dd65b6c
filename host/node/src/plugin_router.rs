//! The router, as plugins see it: what one instance has open, and what it asks for.
//!
//! The engine has checked that the instance may ask. What it opens is its own: it is closed with
//! the instance, and no other instance can name it.

mod rights;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use foldhash::HashMap;
use offshoot_abi::router::{
    self, Body, CallError, ChannelError, Failure, Received, Request, Response,
};
use offshoot_abi::{Blob, ContextAddress};
use offshoot_proto::control::{Arguments, CallOutcome, Traces};
use offshoot_proto::{
    Body as Content, CallRequest, ContextId, Dead, DeadKind, Handle, Listen, SendError,
};
use offshoot_wasm::{Exchange, Profile, Session, Sessions, Target};

use crate::driver::{Hub, Listening, Outlet, PutEnd};
use crate::launch::{self, CONNECT_TIMEOUT, ConnectError, LocalSpec, Wanted};
use crate::mailbox::{self, Mail, Notify, Place, Taken, Watched};
use crate::outcome;

/// Receivers that one instance may have open.
const RECEIVERS_MAX: usize = router::RECEIVERS_MAX;
/// Streams that one instance may send to.
const OUTLETS_MAX: usize = 1 << 16;

/// Makes the sessions of the instances of this context.
pub(crate) struct HubSessions {
    hub: Weak<Hub>,
}

impl HubSessions {
    pub(crate) fn new(hub: Weak<Hub>) -> Self {
        Self { hub }
    }
}

impl Sessions for HubSessions {
    fn open(&self) -> Arc<dyn Session> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(HubSession {
            shared: Arc::new(Shared {
                hub: self.hub.clone(),
                number: NEXT.fetch_add(1, Ordering::Relaxed),
                state: Mutex::default(),
                arrivals: Arc::default(),
            }),
        })
    }
}

struct HubSession {
    shared: Arc<Shared>,
}

struct Shared {
    hub: Weak<Hub>,
    /// Tells the chains of instances apart.
    number: u64,
    state: Mutex<State>,
    arrivals: Arc<Arrivals>,
}

#[derive(Default)]
struct State {
    receivers: HashMap<u64, Arc<Receiver>>,
    /// With where the instance waits, which does one thing at a time.
    outlets: HashMap<(u32, u64), (Outlet, Place)>,
}

struct Receiver {
    listening: Listening,
    /// Whether its first message is its last.
    is_one_shot: bool,
    /// For a call's value: where it runs, and `plugin::function`.
    call: Option<(ContextId, String)>,
}

/// In which order messages came, over all receivers.
#[derive(Default)]
struct Arrivals {
    state: Mutex<Order>,
}

#[derive(Default)]
struct Order {
    receivers: VecDeque<u64>,
    reader: Option<Waker>,
}

struct Arrival {
    arrivals: Arc<Arrivals>,
    receiver: u64,
}

impl Notify for Arrival {
    fn notify(&self) {
        let mut order = lock(&self.arrivals.state);
        order.receivers.push_back(self.receiver);
        let reader = order.reader.take();
        drop(order);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Session for HubSession {
    fn exchange(&self, request: Request) -> Exchange {
        let shared = self.shared.clone();
        Box::pin(async move {
            let hub = shared.hub.upgrade().ok_or_else(gone)?;
            rights::check(&hub, &request)?;
            shared.answer(&hub, request).await
        })
    }

    fn may_send(&self, context: u32) -> Result<(), Failure> {
        let hub = self.shared.hub.upgrade().ok_or_else(gone)?;
        rights::may_send(&hub, ContextId(context))
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        context: u32,
        handle: u64,
        data: &[u8],
    ) -> Poll<Result<(), Failure>> {
        let Some(hub) = self.shared.hub.upgrade() else {
            return Poll::Ready(Err(gone()));
        };
        let mut state = lock(&self.shared.state);
        if state.outlets.len() >= OUTLETS_MAX && !state.outlets.contains_key(&(context, handle)) {
            let text = format!("an instance can send to {OUTLETS_MAX} receivers at once");
            return Poll::Ready(Err(Failure::Usage(text)));
        }
        let (outlet, place) = state.outlets.entry((context, handle)).or_insert_with(|| {
            let outlet = Outlet::new(&hub, ContextId(context), Handle(handle));
            (outlet, Place::default())
        });
        let put = outlet.poll_put(cx, &Bytes::copy_from_slice(data), place);
        put.map_err(|end| {
            // Whoever asks again starts anew.
            state.outlets.remove(&(context, handle));
            drop(state);
            match end {
                PutEnd::Ended(dead) => ended(&hub, ContextId(context), &dead, false),
                PutEnd::Unsent(error) => unsent(&hub, ContextId(context), &error),
            }
        })
    }
}

impl Shared {
    async fn answer(&self, hub: &Arc<Hub>, request: Request) -> Result<Response, Failure> {
        match request {
            Request::Connect(connect) => self.connect(hub, connect).await,
            Request::Call(call) => self.call(hub, call),
            Request::Listen(listen) => self.listen(hub, &listen),
            Request::Receive(receive) => self.receive(hub, receive).await,
            Request::Waiting { receiver } => {
                let receiver = self.receiver(receiver)?;
                let waiting = receiver.listening.inbox().len();
                Ok(Response::Count(waiting as u64))
            }
            Request::Post {
                context,
                handle,
                reply_to,
                data,
            } => {
                let body = Content::Data(Vec::from(data).into());
                self.post(hub, context, handle, reply_to, body)
            }
            Request::SendDead { context, handle } => {
                let dead = Dead::new(DeadKind::Closed, "the sender was explicitly closed");
                self.post(hub, context, handle, 0, Content::Dead(dead))
            }
            Request::Close { receiver } => {
                let closed = lock(&self.state).receivers.remove(&receiver);
                if let Some(closed) = closed {
                    closed.listening.close("the receiver has been closed");
                }
                Ok(Response::Done)
            }
            Request::Shutdown { context, wait } => self.shut_down(hub, context, wait).await,
            Request::ResetChain { context, chain } => {
                let chain = self.chain(chain);
                hub.drive(|state, _| state.node.forget_chain(ContextId(context), chain));
                Ok(Response::Done)
            }
        }
    }

    async fn connect(&self, hub: &Arc<Hub>, connect: router::Connect) -> Result<Response, Failure> {
        let router::Method::Local(local) = connect.method;
        let timeout = connect
            .timeout_ms
            .map_or(CONNECT_TIMEOUT, |ms| Duration::from_millis(ms.into()));
        let via = connect.via.map(ContextId);
        let wanted = Wanted {
            via,
            name: connect.name,
            log_level: if connect.debug { 4 } else { hub.log_level },
            traces: Traces {
                debug: connect.debug,
                ..Traces::default()
            },
            timeout,
            spec: LocalSpec {
                remote_name: local.remote_name,
                // Never a guest's choice: the file would be executed.
                child_path: None,
            },
        };
        let made = launch::connect(hub, wanted).await;
        let (id, up) = made.map_err(|error| match error {
            ConnectError::Stream(error) => Failure::Stream(error.to_string()),
            ConnectError::Unsent(error) => {
                unsent(hub, via.unwrap_or(ContextId::CONTROLLER), &error)
            }
        })?;
        Ok(Response::Context(ContextAddress {
            id: id.0,
            name: up.name.to_string(),
            target: up.hello.target,
        }))
    }

    /// Calls a function of a plugin that this context has itself: an image and grants that it was
    /// given, and no others.
    fn call(&self, hub: &Arc<Hub>, call: router::Call) -> Result<Response, Failure> {
        let dst = ContextId(call.context);
        let own = hub.lock().node.id();
        let target = hub.target_of(dst);
        if dst == own {
            return Err(Failure::Usage(
                "a plugin cannot call its own context: the call would wait for the one that makes \
                 it; call the function itself"
                    .to_owned(),
            ));
        }
        let native = Target::native(Profile::detect()).to_string();
        if *target != *native {
            return Err(Failure::Plugin(format!(
                "{} runs images for {target}, and this context has those for {native}",
                hub.name(dst)
            )));
        }
        let name = format!("{}::{}", call.plugin, call.function);
        let made = hub.drive(|state, now| {
            let Some(bind) = state.node.binding_of(&call.plugin).cloned() else {
                return Ok(None);
            };
            let request = CallRequest {
                dst,
                bind: &bind,
                function: &call.function,
                signature: call.signature,
                concurrent: call.concurrent,
                chain: self.chain(call.chain),
                is_awaited: !call.no_reply,
                arguments: Arguments::Copied(&call.arguments),
                timeout: call.timeout_us.map(Duration::from_micros),
            };
            let handle = state.node.call(request, now)?;
            let mut wait = |handle| Listening::new(hub, state, Some(dst), handle);
            Ok(Some((!call.no_reply).then(|| wait(handle))))
        });
        match made {
            Ok(Some(Some(listening))) => self.open(Receiver {
                listening,
                is_one_shot: true,
                call: Some((dst, name)),
            }),
            Ok(Some(None)) => Ok(Response::Done),
            Ok(None) => Err(Failure::Plugin(format!(
                "the plugin `{}` is not in this context: whoever started this one must call it \
                 here first",
                call.plugin
            ))),
            Err(error) => Err(unsent(hub, dst, &error)),
        }
    }

    fn listen(&self, hub: &Arc<Hub>, listen: &router::Listen) -> Result<Response, Failure> {
        let respondent = listen.respondent.map(ContextId);
        let wanted = Listen {
            handle: listen.handle.map(Handle),
            persist: listen.persist,
            respondent,
            deadline: None,
        };
        let listening = hub.drive(|state, _| {
            let handle = state.node.listen(&wanted)?;
            Ok(Listening::new(hub, state, respondent, handle))
        });
        let listening = listening
            .map_err(|error: offshoot_proto::ListenError| Failure::Usage(error.to_string()))?;
        self.open(Receiver {
            listening,
            is_one_shot: !listen.persist,
            call: None,
        })
    }

    fn open(&self, receiver: Receiver) -> Result<Response, Failure> {
        let handle = receiver.listening.handle().0;
        let mut state = lock(&self.state);
        if state.receivers.len() >= RECEIVERS_MAX {
            return Err(Failure::Usage(format!(
                "an instance can have {RECEIVERS_MAX} receivers open at once: close some"
            )));
        }
        let arrival = Arc::new(Arrival {
            arrivals: self.arrivals.clone(),
            receiver: handle,
        });
        // Nobody else knows the inbox yet, so nobody else watches it.
        let waiting = receiver
            .listening
            .inbox()
            .watch(arrival.clone())
            .map_or(0, Watched::count);
        for _ in 0..waiting {
            arrival.notify();
        }
        state.receivers.insert(handle, Arc::new(receiver));
        Ok(Response::Receiver { handle })
    }

    async fn receive(&self, hub: &Arc<Hub>, receive: router::Receive) -> Result<Response, Failure> {
        let mut receivers = HashMap::default();
        for handle in receive.receivers {
            receivers.insert(handle, self.receiver(handle)?);
        }
        if let Some(received) = self.take(hub, &receivers) {
            return Ok(Response::Received(received));
        }
        if receive.timeout_us == Some(0) {
            return Ok(Response::TimedOut);
        }
        // What is waited for may have to be asked for first.
        hub.flush();
        let next = poll_fn(|cx| {
            lock(&self.arrivals.state).reader = Some(cx.waker().clone());
            match self.take(hub, &receivers) {
                Some(received) => Poll::Ready(Response::Received(received)),
                None => Poll::Pending,
            }
        });
        let Some(timeout) = receive.timeout_us.map(Duration::from_micros) else {
            return Ok(next.await);
        };
        let limited = async { tokio::time::timeout(timeout, next).await };
        match hub.inside(limited).await {
            Ok(response) => Ok(response),
            Err(_) => Ok(Response::TimedOut),
        }
    }

    /// The message that came first to one of the receivers.
    fn take(&self, hub: &Hub, receivers: &HashMap<u64, Arc<Receiver>>) -> Option<Received> {
        let mut skipped = 0;
        loop {
            let handle = {
                let mut order = lock(&self.arrivals.state);
                let at = order
                    .receivers
                    .iter()
                    .skip(skipped)
                    .position(|handle| receivers.contains_key(handle))?;
                skipped += at;
                order.receivers.remove(skipped)?
            };
            let receiver = receivers.get(&handle)?;
            match receiver.listening.try_take() {
                Some(Taken::Mail(mail)) => {
                    if receiver.is_one_shot {
                        // The plugin knows that it is gone, and does not close it.
                        lock(&self.state).receivers.remove(&handle);
                    }
                    return Some(receiver.received(hub, handle, mail));
                }
                Some(Taken::Over(reason)) => return Some(receiver.over(hub, handle, &reason)),
                None => {}
            }
        }
    }

    fn post(
        &self,
        hub: &Arc<Hub>,
        context: u32,
        handle: u64,
        reply_to: u64,
        body: Content,
    ) -> Result<Response, Failure> {
        let dst = ContextId(context);
        if reply_to != 0 {
            // An instance must not have answers sent to what others wait for.
            self.receiver(reply_to)?;
        }
        let sent =
            hub.drive(|state, _| state.node.post(dst, Handle(handle), Handle(reply_to), body));
        match sent {
            Ok(()) => Ok(Response::Done),
            Err(error) => Err(unsent(hub, dst, &error)),
        }
    }

    async fn shut_down(
        &self,
        hub: &Arc<Hub>,
        context: u32,
        wait: bool,
    ) -> Result<Response, Failure> {
        let id = ContextId(context);
        if hub.lock().node.parent_of(id).is_none() {
            return Err(unsent(hub, id, &SendError::NoRoute(id)));
        }
        let watch = Listen {
            persist: true,
            respondent: Some(id),
            ..Listen::default()
        };
        let watch = hub.drive(|state, _| {
            let handle = state.node.listen(&watch);
            let watch = handle.map(|handle| Listening::new(hub, state, Some(id), handle));
            state.node.shut_down(id);
            watch
        });
        if let (true, Ok(watch)) = (wait, watch) {
            while !watch.inbox().is_over() {
                watch.take().await;
            }
        }
        Ok(Response::Done)
    }

    fn receiver(&self, handle: u64) -> Result<Arc<Receiver>, Failure> {
        let state = lock(&self.state);
        let receiver = state.receivers.get(&handle).cloned();
        receiver.ok_or_else(|| Failure::Usage(format!("there is no receiver {handle} here")))
    }

    /// The chain of that number of this instance. 0 is none.
    fn chain(&self, chain: u64) -> u64 {
        match chain {
            0 => 0,
            chain => self.number << 32 | chain & u64::from(u32::MAX),
        }
    }
}

impl Receiver {
    fn received(&self, hub: &Hub, handle: u64, mail: Mail) -> Received {
        let body = match mail.content {
            mailbox::Content::Expired => Body::Failed(self.timed_out(hub)),
            mailbox::Content::Body(Content::Dead(dead)) => {
                let src = self.call.as_ref().map_or(mail.src, |call| call.0);
                let may_have_run = self.call.is_some() && dead.may_have_run();
                Body::Failed(ended(hub, src, &dead, may_have_run))
            }
            mailbox::Content::Body(Content::Data(bytes)) => self.content(hub, bytes),
        };
        Received {
            receiver: handle,
            src: mail.src.0,
            reply_to: mail.reply_to.0,
            body,
        }
    }

    fn content(&self, hub: &Hub, bytes: Bytes) -> Body {
        let Some((dst, function)) = &self.call else {
            return Body::Value(Blob::from(bytes.to_vec()));
        };
        match CallOutcome::parse(bytes) {
            Some(CallOutcome::Value(value)) => Body::Value(Blob::from(value.to_vec())),
            Some(CallOutcome::Failed(failure)) => Body::Failed(match outcome::explain(failure) {
                Some((kind, error)) => Failure::Call(Box::new(CallError {
                    context: hub.name(*dst).to_string(),
                    function: function.clone(),
                    kind,
                    error,
                })),
                None => self.timed_out(hub),
            }),
            None => {
                let dead = Dead::new(DeadKind::Malformed, "its answer makes no sense");
                Body::Failed(ended(hub, *dst, &dead, true))
            }
        }
    }

    fn over(&self, hub: &Hub, handle: u64, reason: &str) -> Received {
        let context = self.call.as_ref().map(|call| hub.name(call.0).to_string());
        Received {
            receiver: handle,
            src: 0,
            reply_to: 0,
            body: Body::Failed(Failure::Channel(ChannelError {
                context: context.unwrap_or_default(),
                reason: reason.to_owned(),
                may_have_run: false,
            })),
        }
    }

    fn timed_out(&self, hub: &Hub) -> Failure {
        Failure::Timeout(match &self.call {
            Some((dst, function)) => format!("{function} in {}", hub.name(*dst)),
            None => "a message".to_owned(),
        })
    }
}

fn ended(hub: &Hub, context: ContextId, dead: &Dead, may_have_run: bool) -> Failure {
    Failure::Channel(ChannelError {
        context: hub.name(context).to_string(),
        reason: dead.reason.clone(),
        may_have_run,
    })
}

fn unsent(hub: &Hub, context: ContextId, error: &SendError) -> Failure {
    if let SendError::Reserved(_) = error {
        return Failure::Usage(error.to_string());
    }
    Failure::Channel(ChannelError {
        context: hub.name(context).to_string(),
        reason: error.to_string(),
        may_have_run: false,
    })
}

fn gone() -> Failure {
    Failure::Channel(ChannelError {
        context: String::new(),
        reason: "the router is gone".to_owned(),
        may_have_run: false,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

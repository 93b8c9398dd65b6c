//! The router, as plugins see it: what one instance has open, and what it asks for.
//!
//! The engine has checked that the instance may ask. What it opens is its own: it is closed with
//! the instance, and no other instance can name it.

mod arrivals;
mod rights;

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use foldhash::HashMap;
use offshoot_abi::router::{self, Body, ChannelError, Received, Request, RequestError, Response};
use offshoot_abi::{Blob, CallError, CallErrorKind, ContextAddress};
use offshoot_proto::control::{Arguments, Bind, CallOutcome, ConnectOptions, Traces};
use offshoot_proto::{
    Body as Content, CallRequest, ContextId, Dead, DeadKind, Handle, Listen, NoBinding, SendError,
};
use offshoot_wasm::{Exchange, PluginRouter, PluginRouters, Profile, Target};

use crate::driver::{Driver, PutEnd, StreamHandle, Subscription};
use crate::launch::{self, CONNECT_TIMEOUT, ConnectRequest, LocalSpec, NewContextError, Progress};
use crate::mailbox::{self, Notify, QueuedMessage, WakerSlot, Watched};
use arrivals::{Arrival, Arrivals};

/// Receivers that one instance may have open.
const RECEIVERS_MAX: usize = router::RECEIVERS_MAX;
/// Streams of an instance that are kept open. A further one closes another, which is opened again when
/// the instance sends to it: nothing says when a plugin has dropped its last sender to one.
const STREAMS_OPEN_MAX: usize = 1024;

/// Makes the sessions of the instances of this context.
pub(crate) struct InstanceRouters {
    driver: Weak<Driver>,
    bind: Arc<Bind>,
}

impl InstanceRouters {
    /// For the instances of a binding.
    pub(crate) fn new(driver: Weak<Driver>, bind: Arc<Bind>) -> Self {
        Self { driver, bind }
    }
}

impl PluginRouters for InstanceRouters {
    fn open(&self) -> Arc<dyn PluginRouter> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(InstanceRouter {
            shared: Arc::new(Shared {
                driver: self.driver.clone(),
                bind: self.bind.clone(),
                number: NEXT.fetch_add(1, Ordering::Relaxed),
                state: Mutex::default(),
                arrivals: Arc::default(),
            }),
        })
    }
}

struct InstanceRouter {
    shared: Arc<Shared>,
}

struct Shared {
    driver: Weak<Driver>,
    /// What the instance itself runs with.
    bind: Arc<Bind>,
    /// Tells the chains of instances apart.
    number: u64,
    state: Mutex<State>,
    arrivals: Arc<Arrivals>,
}

#[derive(Default)]
struct State {
    receivers: HashMap<u64, Arc<Receiver>>,
    /// With where the instance waits, which does one thing at a time.
    streams: HashMap<(u32, u64), (StreamHandle, WakerSlot)>,
}

struct Receiver {
    subscription: Subscription,
    /// Whether its first message is its last.
    is_one_shot: bool,
    /// For a call's value: where it runs, and `plugin::function`.
    call: Option<(ContextId, String)>,
}

impl PluginRouter for InstanceRouter {
    fn exchange(&self, request: Request) -> Exchange {
        let shared = self.shared.clone();
        Box::pin(async move {
            let driver = shared.driver.upgrade().ok_or_else(gone)?;
            rights::check(&driver, &request)?;
            shared.answer(&driver, request).await
        })
    }

    fn may_send(&self, context: u32) -> Result<(), RequestError> {
        let driver = self.shared.driver.upgrade().ok_or_else(gone)?;
        rights::may_send(&driver, ContextId(context))
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        context: u32,
        handle: u64,
        data: &[u8],
    ) -> Poll<Result<(), RequestError>> {
        let Some(driver) = self.shared.driver.upgrade() else {
            return Poll::Ready(Err(gone()));
        };
        let mut state = lock(&self.shared.state);
        if state.streams.len() >= STREAMS_OPEN_MAX
            && !state.streams.contains_key(&(context, handle))
            && let Some(other) = state.streams.keys().next().copied()
        {
            state.streams.remove(&other);
        }
        let (stream, slot) = state.streams.entry((context, handle)).or_insert_with(|| {
            let stream = StreamHandle::new(&driver, ContextId(context), Handle(handle));
            (stream, WakerSlot::default())
        });
        let put = stream.poll_put(cx, &Bytes::copy_from_slice(data), slot);
        put.map_err(|end| {
            // Whoever asks again starts anew.
            state.streams.remove(&(context, handle));
            drop(state);
            match end {
                PutEnd::Ended(dead) => ended(&driver, ContextId(context), &dead, false),
                PutEnd::Unsent(error) => unsent(&driver, ContextId(context), &error),
            }
        })
    }
}

impl Shared {
    async fn answer(
        &self,
        driver: &Arc<Driver>,
        request: Request,
    ) -> Result<Response, RequestError> {
        match request {
            Request::Connect(connect) => self.connect(driver, connect).await,
            Request::Call(call) => self.call(driver, call),
            Request::Listen(listen) => self.listen(driver, &listen),
            Request::Receive(receive) => self.receive(driver, receive).await,
            Request::Waiting { receiver } => {
                let receiver = self.receiver(receiver)?;
                let waiting = receiver.subscription.inbox().len();
                Ok(Response::Count(waiting as u64))
            }
            Request::Post {
                context,
                handle,
                reply_to,
                data,
            } => {
                let body = Content::Data(Vec::from(data).into());
                self.post(driver, context, handle, reply_to, body)
            }
            Request::SendDead { context, handle } => {
                let dead = Dead::new(DeadKind::Closed, "the sender was explicitly closed");
                lock(&self.state).streams.remove(&(context, handle));
                self.post(driver, context, handle, 0, Content::Dead(dead))
            }
            Request::Close { receiver } => {
                let closed = lock(&self.state).receivers.remove(&receiver);
                if let Some(closed) = closed {
                    closed.subscription.close("the receiver has been closed");
                    self.arrivals.remove(receiver);
                }
                Ok(Response::Done)
            }
            Request::Shutdown { context, wait } => self.shut_down(driver, context, wait).await,
            Request::ResetChain { context, chain } => {
                let chain = self.chain(chain);
                driver.drive(|state, _| state.node.forget_chain(ContextId(context), chain));
                Ok(Response::Done)
            }
        }
    }

    async fn connect(
        &self,
        driver: &Arc<Driver>,
        connect: router::Connect,
    ) -> Result<Response, RequestError> {
        let router::Method::Local(local) = connect.method;
        let timeout = connect
            .timeout_ms
            .map_or(CONNECT_TIMEOUT, |ms| Duration::from_millis(ms.into()));
        let via = connect.via.map(ContextId);
        let wanted = ConnectRequest {
            via,
            options: ConnectOptions {
                name: connect.name,
                log_level: if connect.debug { 4 } else { driver.log_level },
                traces: Traces {
                    debug: connect.debug,
                    ..Traces::default()
                },
                timeout,
            },
            progress: Progress::default(),
            spec: LocalSpec {
                remote_name: local.remote_name,
                // Never a guest's choice: the file would be executed.
                child_path: None,
            },
        };
        let made = launch::connect(driver, wanted).await;
        let (id, up) = made.map_err(|error| match error {
            NewContextError::Connect(error) => RequestError::Connect(error.to_string()),
            NewContextError::Unsent(error) => {
                unsent(driver, via.unwrap_or(ContextId::CONTROLLER), &error)
            }
        })?;
        Ok(Response::Context(ContextAddress {
            id: id.0,
            name: up.name.to_string(),
            target: up.hello.target,
        }))
    }

    /// Calls a function of a plugin that this context has itself: an image and grants that it was
    /// given, and no others. Its own plugin has its own grants there.
    fn call(&self, driver: &Arc<Driver>, call: router::Call) -> Result<Response, RequestError> {
        let dst = ContextId(call.context);
        let own = driver.lock().node.id();
        let target = driver.target_of(dst);
        if dst == own {
            return Err(RequestError::Usage(
                "a plugin cannot call its own context: the call would wait for the one that makes \
                 it; call the function itself"
                    .to_owned(),
            ));
        }
        let native = Target::native(Profile::detect()).to_string();
        if *target != *native {
            return Err(RequestError::Plugin(format!(
                "{} runs images for {target}, and this context has those for {native}",
                driver.name(dst)
            )));
        }
        let name = format!("{}::{}", call.plugin, call.function);
        let bind = self.bind_of(driver, &call.plugin)?;
        let made = driver.drive(|state, now| {
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
            let mut wait = |handle| Subscription::new(driver, state, Some(dst), handle);
            Ok((!call.no_reply).then(|| wait(handle)))
        });
        match made {
            Ok(Some(subscription)) => self.open(Receiver {
                subscription,
                is_one_shot: true,
                call: Some((dst, name)),
            }),
            Ok(None) => Ok(Response::Done),
            Err(error) => Err(unsent(driver, dst, &error)),
        }
    }

    /// The binding that a plugin's name stands for. An instance's own plugin has the grants of the
    /// instance, whatever others of that plugin have.
    fn bind_of(&self, driver: &Driver, plugin: &str) -> Result<Arc<Bind>, RequestError> {
        if plugin == self.bind.plugin {
            return Ok(self.bind.clone());
        }
        let state = driver.lock();
        let found = state.node.binding_of(plugin).cloned();
        found.map_err(|missing| {
            RequestError::Plugin(match missing {
                NoBinding::Unknown => format!(
                    "the plugin `{plugin}` is not in this context: the context that started this \
                     one must call it here first"
                ),
                NoBinding::Ambiguous => format!(
                    "the plugin `{plugin}` was given to this context with different grants or \
                     limits, so its name means none of them: call it here with the same each time"
                ),
            })
        })
    }

    fn listen(
        &self,
        driver: &Arc<Driver>,
        listen: &router::Listen,
    ) -> Result<Response, RequestError> {
        let respondent = listen.respondent.map(ContextId);
        let wanted = Listen {
            handle: listen.handle.map(Handle),
            persist: listen.persist,
            respondent,
            deadline: None,
        };
        let subscription = driver.drive(|state, _| {
            let handle = state.node.listen(&wanted)?;
            Ok(Subscription::new(driver, state, respondent, handle))
        });
        let subscription = subscription
            .map_err(|error: offshoot_proto::ListenError| RequestError::Usage(error.to_string()))?;
        self.open(Receiver {
            subscription,
            is_one_shot: !listen.persist,
            call: None,
        })
    }

    fn open(&self, receiver: Receiver) -> Result<Response, RequestError> {
        let handle = receiver.subscription.handle().0;
        let mut state = lock(&self.state);
        if state.receivers.len() >= RECEIVERS_MAX {
            return Err(RequestError::Usage(format!(
                "an instance can have {RECEIVERS_MAX} receivers open at once: close some"
            )));
        }
        let arrival = Arc::new(Arrival {
            arrivals: self.arrivals.clone(),
            receiver: handle,
            inbox: Arc::downgrade(receiver.subscription.inbox()),
        });
        // Nobody else knows the inbox yet, so nobody else watches it.
        let waiting = receiver
            .subscription
            .inbox()
            .watch(arrival.clone())
            .map_or(0, Watched::count);
        for _ in 0..waiting {
            arrival.notify();
        }
        state.receivers.insert(handle, Arc::new(receiver));
        Ok(Response::Receiver { handle })
    }

    async fn receive(
        &self,
        driver: &Arc<Driver>,
        receive: router::Receive,
    ) -> Result<Response, RequestError> {
        let mut receivers = HashMap::default();
        for handle in receive.receivers {
            receivers.insert(handle, self.receiver(handle)?);
        }
        if let Some(received) = self.take(driver, &receivers) {
            return Ok(Response::Received(received));
        }
        if receive.timeout_us == Some(0) {
            return Ok(Response::TimedOut);
        }
        // What is waited for may have to be asked for first.
        driver.flush();
        let next = poll_fn(|cx| {
            self.arrivals.order().reader = Some(cx.waker().clone());
            match self.take(driver, &receivers) {
                Some(received) => Poll::Ready(Response::Received(received)),
                None => Poll::Pending,
            }
        });
        let Some(timeout) = receive.timeout_us.map(Duration::from_micros) else {
            return Ok(next.await);
        };
        let limited = async { tokio::time::timeout(timeout, next).await };
        match driver.inside(limited).await {
            Ok(response) => Ok(response),
            Err(_) => Ok(Response::TimedOut),
        }
    }

    /// The message that came first to one of the receivers.
    fn take(&self, driver: &Driver, receivers: &HashMap<u64, Arc<Receiver>>) -> Option<Received> {
        let mut skipped = 0;
        loop {
            let handle = {
                let mut order = self.arrivals.order();
                let at = order
                    .receivers
                    .iter()
                    .skip(skipped)
                    .position(|handle| receivers.contains_key(handle))?;
                skipped += at;
                order.receivers.remove(skipped)?
            };
            let receiver = receivers.get(&handle)?;
            match receiver.subscription.try_take() {
                Some(mailbox::Received::QueuedMessage(mail)) => {
                    if receiver.is_one_shot {
                        // The plugin knows that it is gone, and does not close it.
                        lock(&self.state).receivers.remove(&handle);
                    }
                    return Some(receiver.received(driver, handle, mail));
                }
                Some(mailbox::Received::Over(reason)) => {
                    return Some(receiver.over(driver, handle, &reason));
                }
                None => {}
            }
        }
    }

    fn post(
        &self,
        driver: &Arc<Driver>,
        context: u32,
        handle: u64,
        reply_to: u64,
        body: Content,
    ) -> Result<Response, RequestError> {
        let dst = ContextId(context);
        if reply_to != 0 {
            // An instance must not have answers sent to what others wait for.
            self.receiver(reply_to)?;
        }
        let sent =
            driver.drive(|state, _| state.node.post(dst, Handle(handle), Handle(reply_to), body));
        match sent {
            Ok(()) => Ok(Response::Done),
            Err(error) => Err(unsent(driver, dst, &error)),
        }
    }

    async fn shut_down(
        &self,
        driver: &Arc<Driver>,
        context: u32,
        wait: bool,
    ) -> Result<Response, RequestError> {
        let id = ContextId(context);
        if driver.lock().node.parent_of(id).is_none() {
            return Err(unsent(driver, id, &SendError::NoRoute(id)));
        }
        let watch = Listen {
            persist: true,
            respondent: Some(id),
            ..Listen::default()
        };
        let watch = driver.drive(|state, _| {
            let handle = state.node.listen(&watch);
            let watch = handle.map(|handle| Subscription::new(driver, state, Some(id), handle));
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

    fn receiver(&self, handle: u64) -> Result<Arc<Receiver>, RequestError> {
        let state = lock(&self.state);
        let receiver = state.receivers.get(&handle).cloned();
        receiver.ok_or_else(|| RequestError::Usage(format!("there is no receiver {handle} here")))
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
    fn received(&self, driver: &Driver, handle: u64, mail: QueuedMessage) -> Received {
        let body = match mail.content {
            mailbox::Content::Expired => Body::Failed(self.timed_out(driver)),
            mailbox::Content::Body(Content::Dead(dead)) => {
                let src = self.call.as_ref().map_or(mail.src, |call| call.0);
                let may_have_run = self.call.is_some() && dead.may_have_run();
                Body::Failed(ended(driver, src, &dead, may_have_run))
            }
            mailbox::Content::Body(Content::Data(bytes)) => self.content(driver, bytes),
        };
        Received {
            receiver: handle,
            src: mail.src.0,
            reply_to: mail.reply_to.0,
            body,
        }
    }

    fn content(&self, driver: &Driver, bytes: Bytes) -> Body {
        let Some((dst, function)) = &self.call else {
            return Body::Value(Blob::from(bytes.to_vec()));
        };
        match CallOutcome::parse(bytes) {
            Some(CallOutcome::Value(value)) => Body::Value(Blob::from(value.to_vec())),
            Some(CallOutcome::Failed(failure)) => Body::Failed(match failure.kind {
                CallErrorKind::DeadlineExceeded => self.timed_out(driver),
                _ => RequestError::Call(Box::new(CallError {
                    context: driver.name(*dst).to_string(),
                    function: function.clone(),
                    failure,
                })),
            }),
            None => {
                let dead = Dead::new(DeadKind::Malformed, "its answer makes no sense");
                Body::Failed(ended(driver, *dst, &dead, true))
            }
        }
    }

    fn over(&self, driver: &Driver, handle: u64, reason: &str) -> Received {
        let context = self
            .call
            .as_ref()
            .map(|call| driver.name(call.0).to_string());
        Received {
            receiver: handle,
            src: 0,
            reply_to: 0,
            body: Body::Failed(RequestError::Channel(ChannelError {
                context: context.unwrap_or_default(),
                reason: reason.to_owned(),
                may_have_run: false,
            })),
        }
    }

    fn timed_out(&self, driver: &Driver) -> RequestError {
        RequestError::Timeout(match &self.call {
            Some((dst, function)) => format!("{function} in {}", driver.name(*dst)),
            None => "a message".to_owned(),
        })
    }
}

fn ended(driver: &Driver, context: ContextId, dead: &Dead, may_have_run: bool) -> RequestError {
    RequestError::Channel(ChannelError {
        context: driver.name(context).to_string(),
        reason: dead.reason.clone(),
        may_have_run,
    })
}

fn unsent(driver: &Driver, context: ContextId, error: &SendError) -> RequestError {
    if let SendError::Reserved(_) = error {
        return RequestError::Usage(error.to_string());
    }
    RequestError::Channel(ChannelError {
        context: driver.name(context).to_string(),
        reason: error.to_string(),
        may_have_run: false,
    })
}

fn gone() -> RequestError {
    RequestError::Channel(ChannelError {
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

#[cfg(test)]
mod tests;

//! A plugin made with the SDK, over contexts that are all in this process.
//!
//! What the real tree does over links is a table here. It is the smallest thing that keeps the
//! contract between a guest and its host, so what fails here is the SDK or the engine.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::MutexGuard;
use std::task::{Context, Poll, Waker};

use offshoot_abi::router::{Body, ChannelError, Received, Request, RequestError, Response};
use offshoot_abi::{Blob, CallError, ContextAddress, SenderAddress};

use super::*;

/// Messages that a receiver holds before its senders wait.
const CREDIT: usize = 4;

struct Forest {
    image: CompiledImage,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    contexts: HashMap<u32, Node>,
    last_id: u32,
    last_handle: u64,
    arrivals: u64,
    /// By context and handle, in order of arrival.
    receivers: HashMap<(u32, u64), VecDeque<(u64, Body)>>,
    /// Receivers of a call's end, which go with it.
    calls: HashSet<u64>,
    most_held: usize,
    wakers: Vec<Waker>,
}

#[derive(Clone)]
struct Node {
    name: String,
    parent_ids: Vec<u32>,
    plugin: Arc<Plugin>,
}

impl Forest {
    fn new() -> Arc<Self> {
        static WASM: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/fanout");
            let artifact = offshoot_build::Build::new(source).build();
            std::fs::read(artifact.unwrap_or_else(|error| panic!("{error}")).wasm).unwrap()
        });
        Arc::new(Self {
            image: image(&WASM),
            inner: Mutex::default(),
        })
    }

    /// Adds a context; the first has no parent.
    fn grow(self: &Arc<Self>, parent: Option<u32>, grants: &[Grant]) -> u32 {
        let (id, name, parent_ids) = {
            let mut inner = self.lock();
            let parent_ids = match parent {
                Some(parent) => {
                    let above = inner.contexts[&parent].parent_ids.clone();
                    [vec![parent], above].concat()
                }
                None => Vec::new(),
            };
            inner.last_id += 1;
            (inner.last_id, format!("here.{}", inner.last_id), parent_ids)
        };
        let host = HostInfo {
            context_id: id,
            parent_ids: parent_ids.clone(),
            name: name.clone(),
        };
        let plugin = Plugin::load(
            &RUNTIME,
            &self.image.bytes,
            &self.image.hash,
            grants,
            &Limits::default(),
            PluginEnv {
                host: &host,
                sink: Arc::new(Records::default()),
                sessions: Some(Arc::new(Roots(self.clone(), id))),
            },
        );
        let node = Node {
            name,
            parent_ids,
            plugin: plugin.unwrap(),
        };
        self.lock().contexts.insert(id, node);
        id
    }

    fn call(&self, context: u32, function: &str, arguments: &[u8]) -> Pending {
        let plugin = self.lock().contexts[&context].plugin.clone();
        start(&plugin, function, arguments, None)
    }

    fn listen(&self, context: u32) -> u64 {
        let mut inner = self.lock();
        inner.last_handle += 1;
        let handle = inner.last_handle;
        inner.receivers.insert((context, handle), VecDeque::new());
        handle
    }

    fn close(&self, context: u32, handle: u64) {
        let mut inner = self.lock();
        inner.receivers.remove(&(context, handle));
        inner.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl Inner {
    fn arrive(&mut self, address: (u32, u64), body: Body) -> Result<(), RequestError> {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let waiting = self.receivers.get_mut(&address).ok_or_else(gone)?;
        waiting.push_back((arrival, body));
        self.most_held = self.most_held.max(waiting.len());
        self.wake();
        Ok(())
    }

    /// The message that arrived first.
    fn take(&mut self, context: u32, handles: &[u64]) -> Option<(u64, Body)> {
        let first = |handle: &u64| Some(self.receivers.get(&(context, *handle))?.front()?.0);
        let handle = *handles
            .iter()
            .filter(|handle| first(handle).is_some())
            .min_by_key(|handle| first(handle))?;
        let (_, body) = self.receivers.get_mut(&(context, handle))?.pop_front()?;
        if self.calls.remove(&handle) {
            self.receivers.remove(&(context, handle));
        }
        self.wake();
        Some((handle, body))
    }

    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

fn gone() -> RequestError {
    RequestError::Channel(ChannelError {
        context: String::new(),
        reason: "there is no such receiver".to_owned(),
        may_have_run: false,
    })
}

fn failed(context: String, function: String, finish: Completion) -> RequestError {
    let Completion::Error(error) = finish else {
        return RequestError::Usage(format!("{finish:?}"));
    };
    RequestError::Call(Box::new(CallError {
        context,
        function,
        failure: error.into(),
    }))
}

/// Makes the sessions of one context.
struct Roots(Arc<Forest>, u32);

impl PluginRouters for Roots {
    fn open(&self) -> Arc<dyn PluginRouter> {
        Arc::new(Root {
            forest: self.0.clone(),
            context: self.1,
            opened: Mutex::default(),
        })
    }
}

struct Root {
    forest: Arc<Forest>,
    context: u32,
    opened: Mutex<Vec<u64>>,
}

impl Drop for Root {
    fn drop(&mut self) {
        for handle in self.opened.lock().unwrap().drain(..) {
            self.forest.close(self.context, handle);
        }
    }
}

impl Root {
    fn open(&self) -> u64 {
        let handle = self.forest.listen(self.context);
        self.opened.lock().unwrap().push(handle);
        handle
    }

    fn start(&self, call: offshoot_abi::router::Call) -> Result<Response, RequestError> {
        let handle = self.open();
        self.forest.lock().calls.insert(handle);
        let address = (self.context, handle);
        let node = self.forest.lock().contexts.get(&call.context).cloned();
        let node = node.ok_or_else(gone)?;
        let forest = self.forest.clone();
        let (name, function) = (node.name, call.function.clone());
        let done = move |finish| {
            let body = match finish {
                Completion::Value(value) => Body::Value(Blob(value)),
                other => Body::Failed(failed(name.clone(), function.clone(), other)),
            };
            // Its caller may have gone.
            let _ = forest.lock().arrive(address, body);
        };
        let invocation = Invocation {
            function: &call.function,
            signature: call.signature,
            arguments: call.arguments.0.into(),
            deadline: None,
        };
        let later = done.clone();
        let plugin = node.plugin;
        if let Some(finish) = plugin.start(invocation, CancelHandle::new(), later) {
            done(finish);
        }
        Ok(Response::Receiver { handle })
    }
}

impl PluginRouter for Root {
    fn may_send(&self, _context: u32) -> Result<(), RequestError> {
        Ok(())
    }

    fn exchange(&self, request: Request) -> Exchange {
        let (forest, context) = (self.forest.clone(), self.context);
        let answer = match request {
            Request::Receive(receive) => {
                return Box::pin(poll_fn(move |cx| {
                    let mut inner = forest.lock();
                    if let Some((receiver, body)) = inner.take(context, &receive.receivers) {
                        return Poll::Ready(Ok(Response::Received(Received {
                            receiver,
                            src: context,
                            reply_to: 0,
                            body,
                        })));
                    }
                    inner.wakers.push(cx.waker().clone());
                    Poll::Pending
                }));
            }
            Request::Connect(_) => {
                let id = forest.grow(Some(context), &[Grant::Router]);
                Ok(Response::Context(ContextAddress {
                    id,
                    name: forest.lock().contexts[&id].name.clone(),
                    target: String::new(),
                }))
            }
            Request::Call(call) => self.start(call),
            Request::Listen(_) => Ok(Response::Receiver {
                handle: self.open(),
            }),
            Request::SendDead { context, handle } => forest
                .lock()
                .arrive((context, handle), Body::Failed(gone()))
                .map(|()| Response::Done),
            Request::Waiting { receiver } => {
                let inner = forest.lock();
                let waiting = inner.receivers.get(&(context, receiver));
                let count = waiting.map(|waiting| waiting.len() as u64);
                count.map(Response::Count).ok_or_else(gone)
            }
            Request::Close { receiver } => {
                forest.close(context, receiver);
                Ok(Response::Done)
            }
            Request::Shutdown { context, .. } => {
                let ended = forest.lock().contexts.remove(&context);
                // Its instances close what they have open, which takes the lock.
                drop(ended);
                Ok(Response::Done)
            }
            other => panic!("the example does not ask for {other:?}"),
        };
        Box::pin(async { answer })
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        context: u32,
        handle: u64,
        data: &[u8],
    ) -> Poll<Result<(), RequestError>> {
        let mut inner = self.forest.lock();
        let held = inner.receivers.get(&(context, handle)).map(VecDeque::len);
        if held.is_some_and(|held| held >= CREDIT) {
            inner.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(inner.arrive((context, handle), Body::Value(data.into())))
    }
}

#[track_caller]
fn value<T: serde::de::DeserializeOwned>(finish: Completion) -> T {
    match finish {
        Completion::Value(bytes) => postcard::from_bytes(&bytes).unwrap(),
        other => panic!("it returns a value, not {other:?}"),
    }
}

#[test]
fn a_function_ships_itself_to_its_children_and_recurses() {
    let forest = Forest::new();
    let root = forest.grow(None, &[Grant::Router]);
    let arguments = postcard::to_allocvec(&(3u32, 2u32)).unwrap();
    let members: Vec<(u32, String, Vec<u32>)> =
        value(forest.call(root, "fan_out", &arguments).wait());
    let levels = [0, 1, 2, 3].map(|level| {
        let of_it = |member: &&(_, _, Vec<u32>)| member.2.len() == level;
        members.iter().filter(of_it).count()
    });
    assert_eq!(levels, [1, 2, 4, 8]);
    assert_eq!(members[0], (root, "here.1".to_owned(), Vec::new()));
    let inner = forest.lock();
    assert_eq!(inner.contexts.len(), 1, "it ended those that it made");
    let left = inner.receivers.len();
    assert_eq!(left, 0, "all calls were closed with what waited for them");
}

#[test]
fn many_streams_are_read_at_once_and_none_runs_ahead() {
    let forest = Forest::new();
    let root = forest.grow(None, &[Grant::Router]);
    let (parts, count) = (5u32, 300u64);
    let arguments = postcard::to_allocvec(&(parts, count)).unwrap();
    let sum: u64 = value(forest.call(root, "sum", &arguments).wait());
    assert_eq!(sum, u64::from(parts) * (count * (count - 1) / 2));
    // The end of a stream is no message, and does not wait for credit.
    assert!(forest.lock().most_held <= CREDIT + 1);
}

#[test]
fn a_stream_without_a_grant_ends_when_nobody_listens() {
    let forest = Forest::new();
    let context = forest.grow(None, &[]);
    let handle = forest.listen(context);
    let sender = SenderAddress::<u64>::new(context, handle);
    let arguments = postcard::to_allocvec(&(sender, 1000u64)).unwrap();
    let call = forest.call(context, "numbers", &arguments);
    while forest.lock().take(context, &[handle]).is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    forest.close(context, handle);
    let Completion::Error(error) = call.wait() else {
        panic!("it cannot send");
    };
    assert!(
        error.message.ends_with("of 1000 numbers were sent"),
        "{error:?}"
    );
    assert_eq!(error.causes, ["there is no such receiver"]);
    assert_eq!(error.type_name, "offshoot_guest::ChannelError");
}

#[test]
fn s011_a_plugin_made_with_the_sdk_is_refused_without_the_grant() {
    let forest = Forest::new();
    let context = forest.grow(None, &[]);
    let arguments = postcard::to_allocvec(&(1u32, 1u32)).unwrap();
    let Completion::Error(error) = forest.call(context, "fan_out", &arguments).wait() else {
        panic!("it may not make contexts");
    };
    assert!(error.message.contains("not granted `router`"), "{error:?}");
    assert_eq!(forest.lock().contexts.len(), 1);
}

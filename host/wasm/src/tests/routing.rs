//! Guests that reach for the router: what they may, what they may not, and how their waits end.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use offshoot_abi::router::{
    Body, Call, Connect, Listen, Receive, Received, Request, RequestError, Response,
};
use offshoot_abi::{Blob, CallError, ContextAddress, GuestError, SenderAddress};

use super::*;

/// `ask` passes its arguments on as a request and returns the answer. `send` sends what comes
/// after the first sixteen bytes of its arguments to the address that they are.
const REACH: &str = r#"
    (import "offshoot/v1" "exchange" (func $exchange (param i32 i32) (result i32)))
    (import "offshoot/v1" "take" (func $take (param i32 i32) (result i32)))
    (import "offshoot/v1" "send" (func $send (param i32 i64 i32 i32) (result i32)))
    (func $answer (param $length i32) (result i64)
        (if (local.get $length)
            (then (drop (call $take (i32.const 100001) (local.get $length)))))
        (i32.store8 (i32.const 100000) (i32.const 0))
        (call $packed (i32.const 100000) (i32.add (local.get $length) (i32.const 1))))
    (func (export "offshoot.call.ask") (param $len i32) (result i64)
        (call $answer (call $exchange (i32.const 1024) (local.get $len))))
    (func (export "offshoot.call.send") (param $len i32) (result i64)
        (call $answer (call $send
            (i32.load (i32.const 1024)) (i64.load (i32.const 1028))
            (i32.const 1040) (i32.sub (local.get $len) (i32.const 16)))))
"#;

const BOTH: &[(&str, u8)] = &[("ask", 0), ("send", 0)];

/// One argument of a type that has no schema.
const OPAQUE: &[u8] = b"\x01\x01a\x1a\x06Sender";
/// One argument of text.
const TEXT: &[u8] = b"\x01\x01a\x0f";

/// Stands for a tree: answers some requests, and is for ever busy with others.
#[derive(Default)]
struct Tree {
    opened: AtomicUsize,
    dropped: AtomicUsize,
    /// Waits that were taken back.
    abandoned: AtomicUsize,
    /// What was sent, as `handle of context: bytes`.
    sent: Mutex<Vec<String>>,
    /// Messages that may still be sent, and who waits for more.
    credit: Mutex<(usize, Option<Waker>)>,
    threads: Mutex<Vec<thread::ThreadId>>,
}

impl Tree {
    fn new() -> Arc<Self> {
        let tree = Self::default();
        tree.credit.lock().unwrap().0 = 100;
        Arc::new(tree)
    }

    fn count(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::SeqCst)
    }
}

struct Open(Arc<Tree>);

impl PluginRouters for Open {
    fn open(&self) -> Arc<dyn PluginRouter> {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        Arc::new(Busy(self.0.clone()))
    }
}

struct Busy(Arc<Tree>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts a wait that did not end by itself.
struct Wait(Arc<Tree>);

impl Drop for Wait {
    fn drop(&mut self) {
        self.0.abandoned.fetch_add(1, Ordering::SeqCst);
    }
}

impl PluginRouter for Busy {
    fn exchange(&self, request: Request) -> Exchange {
        let tree = self.0.clone();
        tree.threads.lock().unwrap().push(thread::current().id());
        Box::pin(async move {
            match request {
                Request::Waiting { receiver } => Ok(Response::Count(receiver)),
                Request::Receive(receive) if receive.timeout_us == Some(0) => {
                    Ok(Response::Received(Received {
                        receiver: receive.receivers[0],
                        src: 3,
                        reply_to: 0,
                        body: Body::Value(Blob(vec![7; 2 << 20])),
                    }))
                }
                Request::Receive(_) => {
                    let _wait = Wait(tree);
                    pending().await
                }
                Request::Connect(_) => Ok(Response::Context(ContextAddress {
                    id: 9,
                    name: "local.9".to_owned(),
                    target: "x".to_owned(),
                })),
                Request::Call(call) => Err(RequestError::Call(Box::new(CallError {
                    context: format!("context {}", call.context),
                    function: call.function,
                    failure: GuestError::default().into(),
                }))),
                Request::Shutdown { .. } => panic!("a bug of the tree's"),
                _ => Ok(Response::Done),
            }
        })
    }

    fn may_send(&self, _: u32) -> Result<(), RequestError> {
        Ok(())
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        context: u32,
        handle: u64,
        data: &[u8],
    ) -> Poll<Result<(), RequestError>> {
        self.0.threads.lock().unwrap().push(thread::current().id());
        let mut credit = self.0.credit.lock().unwrap();
        if credit.0 == 0 {
            credit.1 = Some(cx.waker().clone());
            return Poll::Pending;
        }
        credit.0 -= 1;
        let text = format!("{handle} of {context}: {data:?}");
        self.0.sent.lock().unwrap().push(text);
        Poll::Ready(Ok(()))
    }
}

struct World {
    tree: Arc<Tree>,
    plugin: Arc<Plugin>,
}

impl World {
    fn new(grants: &[Grant], arguments: &[u8], functions: &[(&str, u8)], body: &str) -> Self {
        let tree = Tree::new();
        let mut loader = Loader {
            grants: grants.to_vec(),
            sessions: Some(Arc::new(Open(tree.clone()))),
            ..Loader::default()
        };
        // Room for a request of many receivers in the answer to a test.
        loader.limits.result = 1 << 10;
        let plugin = loader
            .load(&module_taking(arguments, functions, body))
            .unwrap();
        Self { tree, plugin }
    }

    fn granted() -> Self {
        Self::new(&[Grant::Router], &[0], BOTH, REACH)
    }

    fn handed() -> Self {
        Self::new(&[], OPAQUE, BOTH, REACH)
    }

    #[track_caller]
    fn ask(&self, request: &Request) -> Result<Response, RequestError> {
        self.ask_raw(&postcard::to_allocvec(request).unwrap())
    }

    #[track_caller]
    fn ask_raw(&self, request: &[u8]) -> Result<Response, RequestError> {
        match call(&self.plugin, "ask", request) {
            Completion::Value(answer) => postcard::from_bytes(&answer).unwrap(),
            other => panic!("it is answered, not {other:?}"),
        }
    }

    /// Sends to the address in the first bytes of `arguments`.
    #[track_caller]
    fn send(&self, arguments: &[u8]) -> Result<(), RequestError> {
        match call(&self.plugin, "send", arguments) {
            Completion::Value(answer) if answer.is_empty() => Ok(()),
            Completion::Value(answer) => Err(postcard::from_bytes(&answer).unwrap()),
            other => panic!("it is answered, not {other:?}"),
        }
    }

    fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.tree.sent.lock().unwrap())
    }
}

fn address(context: u32, handle: u64) -> Vec<u8> {
    SenderAddress::<u8>::new(context, handle)
        .to_bytes()
        .to_vec()
}

fn call_of(arguments: usize) -> Request {
    Request::Call(Call {
        context: 9,
        plugin: "demo".to_owned(),
        function: "f".to_owned(),
        signature: 0,
        concurrent: false,
        timeout_us: None,
        chain: 0,
        no_reply: false,
        arguments: Blob(vec![0; arguments]),
    })
}

fn receive(receivers: usize, timeout_us: Option<u64>) -> Request {
    Request::Receive(Receive {
        receivers: vec![1; receivers],
        timeout_us,
    })
}

const WAITING: Request = Request::Waiting { receiver: 5 };

#[test]
fn s011_without_the_grant_nothing_is_reached() {
    let world = World::new(&[], OPAQUE, BOTH, REACH);
    let (context, handle) = (1, 2);
    let requests = [
        Request::Connect(Connect::default()),
        call_of(0),
        Request::Listen(Listen {
            handle: None,
            persist: true,
            respondent: None,
        }),
        receive(1, None),
        WAITING,
        Request::Post {
            context,
            handle,
            reply_to: 0,
            data: Blob::default(),
        },
        Request::SendDead { context, handle },
        Request::Close { receiver: 1 },
        Request::Shutdown {
            context,
            wait: false,
        },
        Request::ResetChain { context, chain: 1 },
    ];
    for request in requests {
        let refused = world.ask(&request);
        assert!(
            matches!(refused, Err(RequestError::NotGranted(_))),
            "{request:?}: {refused:?}"
        );
    }
    let refused = world.send(&[0; 20]);
    assert!(
        matches!(refused, Err(RequestError::NotGranted(_))),
        "{refused:?}"
    );
    assert_eq!(Tree::count(&world.tree.opened), 0);
}

#[test]
fn a_granted_plugin_is_answered_and_never_in_the_starters_thread() {
    let world = World::granted();
    assert_eq!(world.ask(&WAITING), Ok(Response::Count(5)));
    let Ok(Response::Context(child)) = world.ask(&Request::Connect(Connect::default())) else {
        panic!("it is a context");
    };
    assert_eq!(child.name, "local.9");
    let failed = world.ask(&call_of(3)).unwrap_err();
    assert!(matches!(failed, RequestError::Call(error) if error.context == "context 9"));
    let mut sent = vec![0; 16];
    sent[0] = 9;
    sent.push(42);
    world.send(&sent).unwrap();
    assert_eq!(world.sent(), ["0 of 9: [42]"]);
    assert_eq!(
        Tree::count(&world.tree.opened),
        1,
        "one session for the instance"
    );
    let threads = world.tree.threads.lock().unwrap();
    assert_eq!(threads.len(), 4);
    assert!(!threads.contains(&thread::current().id()));
}

#[test]
fn b029_a_sender_that_was_handed_over_needs_no_grant() {
    let world = World::handed();
    let mut arguments = address(3, 1000);
    arguments.push(7);
    world.send(&arguments).unwrap();
    let end = Request::SendDead {
        context: 3,
        handle: 1000,
    };
    assert_eq!(
        world.ask(&end),
        Ok(Response::Done),
        "a later call remembers it"
    );
    // The same address, this time not as what it is.
    let mut arguments = address(3, 1000);
    arguments[15] = 0;
    world.send(&arguments).unwrap();
    assert_eq!(world.sent(), ["1000 of 3: [7]", "1000 of 3: []"]);
    let other = Request::SendDead {
        context: 3,
        handle: 1001,
    };
    assert!(matches!(
        world.ask(&other),
        Err(RequestError::NotGranted(_))
    ));
}

#[test]
fn a_forged_sender_is_refused() {
    let world = World::handed();
    // The guest reads the first sixteen bytes as an address. What it was handed comes after them.
    let mut arguments = address(3, 1001);
    arguments[12..].fill(0);
    arguments.extend(address(3, 1000));
    let refused = world.send(&arguments);
    assert!(
        matches!(refused, Err(RequestError::NotGranted(_))),
        "{refused:?}"
    );
    assert!(world.sent().is_empty());
}

#[test]
fn bytes_in_text_are_no_sender() {
    let world = World::new(&[], TEXT, BOTH, REACH);
    let refused = world.send(&address(3, 1000));
    assert!(
        matches!(refused, Err(RequestError::NotGranted(_))),
        "{refused:?}"
    );
}

#[test]
fn a_fresh_instance_was_handed_nothing() {
    let functions = [("ask", 0), ("send", record::FLAG_CONCURRENT)];
    let world = World::new(&[], OPAQUE, &functions, REACH);
    world.send(&address(3, 1000)).unwrap();
    let mut arguments = address(3, 1000);
    arguments[15] = 0;
    let refused = world.send(&arguments);
    assert!(
        matches!(refused, Err(RequestError::NotGranted(_))),
        "{refused:?}"
    );
    let tree = &world.tree;
    assert_eq!(
        (Tree::count(&tree.opened), Tree::count(&tree.dropped)),
        (1, 1)
    );
}

#[test]
fn a_guest_that_waits_is_cancelled_and_its_session_closed() {
    let world = World::granted();
    let request = postcard::to_allocvec(&receive(1, None)).unwrap();
    let waiting = start(&world.plugin, "ask", &request, None);
    assert_eq!(call(&world.plugin, "send", &[0; 16]), Completion::Busy);
    // Long enough for the worker to have gone to sleep.
    thread::sleep(Duration::from_millis(30));
    assert_eq!(Tree::count(&world.tree.abandoned), 0);
    waiting.cancel.cancel();
    assert_eq!(waiting.wait(), Completion::Cancelled);
    assert_eq!(Tree::count(&world.tree.abandoned), 1);
    assert_eq!(Tree::count(&world.tree.dropped), 1);
    assert_eq!(
        world.ask(&WAITING),
        Ok(Response::Count(5)),
        "the plugin lives on"
    );
}

#[test]
fn a_bug_behind_the_session_ends_the_call_and_nothing_else() {
    let world = World::granted();
    let request = Request::Shutdown {
        context: 1,
        wait: true,
    };
    let request = postcard::to_allocvec(&request).unwrap();
    let finish = call(&world.plugin, "ask", &request);
    assert!(
        matches!(&finish, Completion::Limit(text) if text.contains("bug")),
        "{finish:?}"
    );
    assert_eq!(
        world.ask(&WAITING),
        Ok(Response::Count(5)),
        "the plugin lives on"
    );
}

#[test]
fn a_guest_that_waits_meets_its_deadline() {
    let world = World::granted();
    let request = postcard::to_allocvec(&receive(1, None)).unwrap();
    let began = Instant::now();
    let timeout = Duration::from_millis(60);
    let waiting = start(&world.plugin, "ask", &request, Some(timeout));
    assert_eq!(waiting.wait(), Completion::DeadlineExceeded);
    assert!(began.elapsed() >= timeout);
    assert_eq!(Tree::count(&world.tree.abandoned), 1);
}

#[test]
fn a_guest_that_waits_for_credit_is_cancelled() {
    let world = World::granted();
    world.tree.credit.lock().unwrap().0 = 0;
    let waiting = start(&world.plugin, "send", &[0; 16], None);
    thread::sleep(Duration::from_millis(30));
    waiting.cancel.cancel();
    assert_eq!(waiting.wait(), Completion::Cancelled);
    assert!(world.sent().is_empty());
}

#[test]
fn a_guest_that_waits_for_credit_goes_on_when_there_is_some() {
    let world = World::granted();
    world.tree.credit.lock().unwrap().0 = 0;
    let waiting = start(&world.plugin, "send", &[0; 17], None);
    let waker = loop {
        if let Some(waker) = world.tree.credit.lock().unwrap().1.take() {
            break waker;
        }
        thread::sleep(Duration::from_millis(1));
    };
    assert!(world.sent().is_empty());
    world.tree.credit.lock().unwrap().0 = 1;
    waker.wake();
    assert_eq!(waiting.wait(), Completion::Value(Vec::new()));
    assert_eq!(world.sent(), ["0 of 0: [0]"]);
}

#[test]
fn an_answer_larger_than_the_buffer_stays_until_there_is_room() {
    let body = REACH.replace(
        "(if (local.get $length)",
        r#"(if (i32.ne (call $take (i32.const 100001) (i32.const 1)) (local.get $length))
            (then (unreachable)))
        (if (i32.load8_u (i32.const 100001)) (then (unreachable)))
        (if (local.get $length)"#,
    );
    let world = World::new(&[Grant::Router], &[0], BOTH, &body);
    assert_eq!(world.ask(&WAITING), Ok(Response::Count(5)));
}

#[track_caller]
fn check_usage(answer: Result<Response, RequestError>, want: &str) {
    match answer {
        Err(RequestError::Usage(text)) => assert!(text.contains(want), "{text}"),
        other => panic!("it cannot work, not {other:?}"),
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let world = World::granted();
    check_usage(
        world.ask(&call_of(1025)),
        "a message of 1025 bytes is too large (max 1024)",
    );
    let post = Request::Post {
        context: 1,
        handle: 2,
        reply_to: 0,
        data: Blob(vec![0; 1025]),
    };
    check_usage(world.ask(&post), "a message of 1025 bytes");
    check_usage(
        world.send(&[0; 16 + 1025]).map(|()| Response::Done),
        "a message of 1025 bytes",
    );
    check_usage(world.ask(&receive(1 << 16, Some(0))), "an answer of 2097");
    check_usage(
        world.ask(&receive((1 << 16) + 1, None)),
        "65537 receivers are too many",
    );
    check_usage(world.ask(&receive(0, None)), "nothing is waited for");
    let long = Request::Connect(Connect {
        name: Some("x".repeat(5000)),
        ..Connect::default()
    });
    check_usage(world.ask(&long), "5000 bytes is too long");
    assert!(world.sent().is_empty());
}

#[test]
fn a_request_without_end_is_refused() {
    let body = r#"
        (import "offshoot/v1" "exchange" (func $exchange (param i32 i32) (result i32)))
        (func (export "offshoot.call.f") (param i32) (result i64)
            (drop (memory.grow (i32.const 20)))
            (i32.store8 (i32.const 2000) (i32.const 0))
            (drop (call $exchange (i32.const 0) (i32.const 1200000)))
            (call $packed (i32.const 2000) (i32.const 1)))
    "#;
    let world = World::new(&[Grant::Router], &[0], &[("f", 0)], body);
    assert_eq!(call(&world.plugin, "f", b""), Completion::Value(Vec::new()));
    assert_eq!(Tree::count(&world.tree.opened), 0);
}

#[test]
fn what_is_no_request_is_refused() {
    let world = World::granted();
    let mut longer = postcard::to_allocvec(&WAITING).unwrap();
    longer.push(0);
    for bytes in [&b""[..], b"\xff", b"\x63", &longer] {
        check_usage(world.ask_raw(bytes), "does not understand");
    }
    assert_eq!(Tree::count(&world.tree.opened), 0);
}

#[test]
fn pointers_outside_the_memory_end_the_call() {
    for body in [
        "(drop (call $exchange (i32.const -8) (i32.const 16)))",
        "(drop (call $exchange (i32.const 131072) (i32.const 1)))",
        "(drop (call $send (i32.const 1) (i64.const 1) (i32.const 131071) (i32.const 2)))",
        "(drop (call $exchange (i32.const 0) (i32.const 1)))
         (drop (call $take (i32.const 131071) (i32.const 2)))",
        // There is nothing to fetch, or not any more.
        "(drop (call $take (i32.const 0) (i32.const 100)))",
        "(drop (call $exchange (i32.const 0) (i32.const 1)))
         (drop (call $take (i32.const 0) (i32.const 1000)))
         (drop (call $take (i32.const 0) (i32.const 1000)))",
    ] {
        let text = format!(
            r#"{REACH} (func (export "offshoot.call.f") (param i32) (result i64)
                {body} (i64.const 0))"#
        );
        let world = World::new(&[Grant::Router], &[0], &[("f", 0)], &text);
        let finish = call(&world.plugin, "f", b"");
        assert!(
            matches!(finish, Completion::BadGuest(_)),
            "{body}: {finish:?}"
        );
    }
}

#[test]
fn a_trap_closes_the_session() {
    let body = format!(
        r#"{REACH} (func (export "offshoot.call.f") (param $len i32) (result i64)
            (drop (call $exchange (i32.const 1024) (local.get $len)))
            (unreachable))"#
    );
    let world = World::new(&[Grant::Router], &[0], &[("f", 0)], &body);
    let request = postcard::to_allocvec(&WAITING).unwrap();
    let finish = call(&world.plugin, "f", &request);
    assert!(matches!(finish, Completion::Trapped { .. }), "{finish:?}");
    assert_eq!(Tree::count(&world.tree.dropped), 1);
}

#[test]
fn where_there_is_no_router_a_granted_plugin_is_told() {
    let loader = Loader {
        grants: vec![Grant::Router],
        ..Loader::default()
    };
    let plugin = loader.load(&module(BOTH, REACH)).unwrap();
    let tree = Tree::new();
    check_usage(World { tree, plugin }.ask(&WAITING), "no router");
}

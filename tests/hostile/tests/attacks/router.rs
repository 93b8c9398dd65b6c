//! Plugins with the grant `router` that try to order what plugins may not.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use e2e::with_router;
use e2e_plugin as guest;
use offshoot::{Context, Error, Grant, Message, Plugin, Router, Sender};
use offshoot_abi::record::{FunctionRecord, function, function_len};
use offshoot_abi::router::{Call, Connect, Listen, Receive, Request, RequestError, Response};
use offshoot_abi::{ABI_VERSION, Blob, Field, SECTION, SenderAddress, Shape};
use offshoot_proto::control::{self, Method, Su, Traces};
use offshoot_proto::{ContextId, Handle};

/// A guest that is whatever its caller wants: `ask` hands its arguments to the host as a request,
/// byte for byte, and returns the answer. `send` sends what is behind the first sixteen bytes of
/// its arguments to the address that they are. `hold` takes a sender.
const PUPPET: &str = r#"
    (import "offshoot/v1" "exchange" (func $exchange (param i32 i32) (result i32)))
    (import "offshoot/v1" "take" (func $take (param i32 i32) (result i32)))
    (import "offshoot/v1" "send" (func $send (param i32 i64 i32 i32) (result i32)))
    (memory (export "memory") 4)
    (func (export "offshoot.arguments") (param i32) (result i32) (i32.const 1024))
    (func $answer (param $length i32) (result i64)
        (if (local.get $length)
            (then (drop (call $take (i32.const 100001) (local.get $length)))))
        (i32.store8 (i32.const 100000) (i32.const 0))
        (i64.or (i64.shl (i64.const 100000) (i64.const 32))
            (i64.extend_i32_u (i32.add (local.get $length) (i32.const 1)))))
    (func (export "offshoot.call.ask") (param $len i32) (result i64)
        (call $answer (call $exchange (i32.const 1024) (local.get $len))))
    (func (export "offshoot.call.send") (param $len i32) (result i64)
        (call $answer (call $send
            (i32.load (i32.const 1024)) (i64.load (i32.const 1028))
            (i32.const 1040) (i32.sub (local.get $len) (i32.const 16)))))
    (func (export "offshoot.call.hold") (param $len i32) (result i64)
        (call $answer (i32.const 0)))
"#;

const fn record(name: &'static str) -> FunctionRecord {
    FunctionRecord {
        abi: ABI_VERSION,
        sdk: "0.1.0",
        plugin: "puppet",
        version: "1.0.0",
        name,
        docs: "",
        flags: 0,
        arguments: &[Field {
            name: "a",
            shape: Shape::Opaque("Sender"),
        }],
        result: Shape::Unit,
        error: "",
    }
}

const ASK: FunctionRecord = record("ask");
const SEND: FunctionRecord = record("send");
const HOLD: FunctionRecord = record("hold");
const ASK_BYTES: [u8; function_len(&ASK)] = function(&ASK);
const SEND_BYTES: [u8; function_len(&SEND)] = function(&SEND);
const HOLD_BYTES: [u8; function_len(&HOLD)] = function(&HOLD);

fn puppet() -> Plugin {
    let mut wasm = wat::parse_str(format!("(module {PUPPET})")).expect("the test's own text");
    let manifest = [&ASK_BYTES[..], &SEND_BYTES, &HOLD_BYTES].concat();
    let name = SECTION.as_bytes();
    wasm.push(0);
    leb128(&mut wasm, 1 + name.len() + manifest.len());
    leb128(&mut wasm, name.len());
    wasm.extend_from_slice(name);
    wasm.extend_from_slice(&manifest);
    let plugin = Plugin::from_bytes("puppet.wasm", wasm).expect("it keeps to the contract so far");
    plugin.grant(Grant::Router)
}

fn leb128(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A context in which the puppet runs.
struct Puppet {
    context: Context,
    plugin: Plugin,
}

impl Puppet {
    /// What the host answers to `request`.
    async fn ask(&self, request: &Request) -> Result<Response, RequestError> {
        self.ask_bytes(&postcard::to_allocvec(request).unwrap())
            .await
    }

    async fn ask_bytes(&self, request: &[u8]) -> Result<Response, RequestError> {
        postcard::from_bytes(&self.call("ask", request).await).expect("an answer")
    }

    /// Sends by the import for streams.
    async fn send(&self, context: u32, handle: u64) -> Result<(), RequestError> {
        let address = (context.to_le_bytes(), handle.to_le_bytes(), [0_u8; 4]);
        let arguments = postcard::to_allocvec(&address).unwrap();
        match &*self.call("send", &arguments).await {
            [] => Ok(()),
            failure => Err(postcard::from_bytes(failure).expect("a failure")),
        }
    }

    async fn call(&self, function: &str, arguments: &[u8]) -> Vec<u8> {
        let value = self.context.call_raw(&self.plugin, function, arguments);
        value.await.expect("the puppet itself lives").to_vec()
    }

    /// Hands it a sender of each reserved handle, so that nothing else keeps it from sending.
    async fn take_reserved(&self, context: u32) {
        let sender = |handle| SenderAddress::<()>::new(context, handle).to_bytes();
        let senders: Vec<_> = (0..Handle::FIRST_FREE).map(sender).collect();
        self.call("hold", &senders.concat()).await;
    }

    async fn make(&self, via: Option<u32>) -> Result<u32, RequestError> {
        let connect = Connect {
            via,
            ..Connect::default()
        };
        match self.ask(&Request::Connect(connect)).await? {
            Response::Context(address) => Ok(address.id),
            other => panic!("{other:?}"),
        }
    }
}

/// A tree with one of each kind of relative:
///
/// ```text
/// 0 controller
/// ├── puppet           the plugin runs here
/// │   ├── made         by the plugin
/// │   └── below        by the controller
/// └── beside           by the controller
/// ```
struct Family {
    puppet: Puppet,
    made: u32,
    below: Context,
    beside: Context,
}

impl Family {
    async fn new(router: &Router) -> Self {
        let puppet = Puppet {
            context: router.local().await.unwrap(),
            plugin: puppet(),
        };
        let below = router.local().via(&puppet.context).await.unwrap();
        let beside = router.local().await.unwrap();
        let made = puppet.make(None).await.unwrap();
        Self {
            puppet,
            made,
            below,
            beside,
        }
    }

    /// Contexts in each direction, by id.
    fn directions(&self) -> [(&'static str, u32); 5] {
        [
            ("up", 0),
            ("itself", self.puppet.context.id()),
            ("down, its own", self.made),
            ("down, the controller's", self.below.id()),
            ("aside", self.beside.id()),
        ]
    }

    /// Whether all are there and work.
    async fn check(&self, router: &Router) {
        for context in [&self.puppet.context, &self.below, &self.beside] {
            let sum = context.call::<guest::add>((1, 2)).await;
            assert_eq!(sum.unwrap(), 3, "{}", context.name());
        }
        let made = router.context_by_id(self.made).unwrap();
        assert_eq!(made.call::<guest::add>((1, 2)).await.unwrap(), 3);
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, RequestError>, wanted: &str, what: &str) {
    match result {
        Err(RequestError::Usage(text) | RequestError::NotGranted(text))
            if text.contains(wanted) => {}
        other => panic!("{what}: {other:?}"),
    }
}

/// A program that leaves a file behind when it runs; its path, and the file's.
fn trap(directory: &Path) -> (String, PathBuf) {
    let (program, proof) = (directory.join("program"), directory.join("proof"));
    std::fs::write(&program, format!("#!/bin/sh\n: > {}\n", proof.display())).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    (program.to_str().unwrap().to_owned(), proof)
}

#[test]
fn no_message_of_a_plugin_reaches_a_reserved_handle() {
    with_router(async |router| {
        let family = Family::new(&router).await;
        let puppet = &family.puppet;
        for (direction, context) in family.directions() {
            puppet.take_reserved(context).await;
            for handle in 0..Handle::FIRST_FREE {
                let what = format!("handle {handle}, {direction}");
                let post = Request::Post {
                    context,
                    handle,
                    reply_to: 0,
                    data: Blob(vec![0]),
                };
                refused(puppet.ask(&post).await, "reserved", &what);
                let end = Request::SendDead { context, handle };
                refused(puppet.ask(&end).await, "reserved", &what);
                refused(puppet.send(context, handle).await, "reserved", &what);
            }
        }
        family.check(&router).await;
    });
}

#[test]
fn a_plugin_has_no_other_context_run_a_program() {
    with_router(async |router| {
        let directory = tempfile::tempdir().unwrap();
        let (script, proof) = trap(directory.path());
        let family = Family::new(&router).await;
        for (direction, context) in family.directions() {
            family.puppet.take_reserved(context).await;
            let su = Method::Su(Box::new(Su {
                su_path: Some(script.clone()),
                ..Su::default()
            }));
            let connect = control::Connect {
                id: ContextId(4_000_000),
                method: su,
                options: control::ConnectOptions {
                    name: None,
                    log_level: 0,
                    traces: Traces::default(),
                    timeout: std::time::Duration::from_millis(1000),
                },
                wants_progress: false,
            };
            let post = Request::Post {
                context,
                handle: Handle::CONNECT.0,
                reply_to: 0,
                data: Blob(control::encode(&connect).to_vec()),
            };
            refused(family.puppet.ask(&post).await, "reserved", direction);
        }
        family.check(&router).await;
        assert!(!proof.exists(), "a program of the plugin's choice ran");
    });
}

#[test]
fn a_plugin_acts_only_on_contexts_that_plugins_of_its_own_context_made() {
    with_router(async |router| {
        let family = Family::new(&router).await;
        let puppet = &family.puppet;
        let call = |context| {
            Request::Call(Call {
                context,
                plugin: "puppet".to_owned(),
                function: "hold".to_owned(),
                signature: 0,
                concurrent: false,
                timeout_us: None,
                chain: 0,
                no_reply: true,
                arguments: Blob(Vec::new()),
            })
        };
        for (direction, context) in family.directions() {
            if [family.made, puppet.context.id()].contains(&context) {
                continue;
            }
            let wanted = "did not make";
            refused(puppet.make(Some(context)).await, wanted, direction);
            refused(puppet.ask(&call(context)).await, wanted, direction);
            let wait = false;
            let end = Request::Shutdown { context, wait };
            refused(puppet.ask(&end).await, wanted, direction);
            let chain = 1;
            let reset = Request::ResetChain { context, chain };
            refused(puppet.ask(&reset).await, wanted, direction);
        }
        family.check(&router).await;
        // What it made is its own, by whatever way.
        let context = family.made;
        let grandchild = puppet.make(Some(context)).await.unwrap();
        for context in [grandchild, context] {
            assert_eq!(puppet.ask(&call(context)).await, Ok(Response::Done));
            let end = Request::Shutdown {
                context,
                wait: true,
            };
            assert_eq!(puppet.ask(&end).await, Ok(Response::Done));
        }
    });
}

#[test]
fn a_plugin_borrows_no_grants_of_another_that_were_not_given_for_its_name() {
    with_router(async |router| {
        let family = Family::new(&router).await;
        let puppet = &family.puppet;
        let plugin = e2e::plugin();
        let call = Request::Call(Call {
            context: family.made,
            plugin: plugin.name().to_owned(),
            function: "add".to_owned(),
            signature: 0,
            concurrent: false,
            timeout_us: None,
            chain: 0,
            no_reply: true,
            arguments: Blob(postcard::to_allocvec(&(1_u64, 2_u64)).unwrap()),
        });
        let sum = puppet.context.call::<guest::add>((1, 2)).await;
        assert_eq!(sum.unwrap(), 3);
        assert_eq!(puppet.ask(&call).await, Ok(Response::Done));

        // Someone reads a directory by the same plugin in the same context.
        let strong = plugin.grant(Grant::Read("/etc".to_owned()));
        let arguments = postcard::to_allocvec(&"/etc/hostname").unwrap();
        let read = puppet.context.call_raw(&strong, "read", &arguments).await;
        read.expect("it was granted");
        match puppet.ask(&call).await {
            Err(RequestError::Plugin(text)) if text.contains("different grants") => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_plugin_sends_to_what_others_made_below_only_by_senders_that_it_was_handed() {
    with_router(async |router| {
        let family = Family::new(&router).await;
        let listener = Puppet {
            context: family.below.clone(),
            plugin: puppet(),
        };
        let (context, handle) = (family.below.id(), 300);
        let listen = Request::Listen(Listen {
            handle: Some(handle),
            persist: true,
            respondent: None,
        });
        assert_eq!(
            listener.ask(&listen).await,
            Ok(Response::Receiver { handle })
        );
        let puppet = &family.puppet;
        let post = Request::Post {
            context,
            handle,
            reply_to: 0,
            data: Blob(vec![1]),
        };
        let end = Request::SendDead { context, handle };
        let wanted = "did not make";
        refused(puppet.ask(&post).await, wanted, "post");
        refused(puppet.ask(&end).await, wanted, "end");
        refused(puppet.send(context, handle).await, wanted, "send");

        let sender = SenderAddress::<()>::new(context, handle).to_bytes();
        puppet.call("hold", &sender).await;
        assert_eq!(puppet.ask(&post).await, Ok(Response::Done));
        assert_eq!(puppet.send(context, handle).await, Ok(()));
        let receive = Request::Receive(Receive {
            receivers: vec![handle],
            timeout_us: None,
        });
        for _ in 0..2 {
            let received = listener.ask(&receive).await;
            let Ok(Response::Received(received)) = received else {
                panic!("{received:?}");
            };
            assert_eq!(received.src, puppet.context.id());
        }
        // Another handle of the same context was not handed to it.
        let other = puppet.send(context, handle + 1).await;
        refused(other, wanted, "another handle");
    });
}

#[test]
fn no_program_of_a_plugins_choice_is_run_as_a_child() {
    with_router(async |router| {
        let directory = tempfile::tempdir().unwrap();
        let (script, proof) = trap(directory.path());
        let family = Family::new(&router).await;
        for via in [None, Some(family.made)] {
            // As it was once written: `Connect` by `Local`, without a name, with a `child_path`.
            let mut request = vec![0];
            request.extend(postcard::to_allocvec(&via).unwrap());
            request.extend(postcard::to_allocvec(&(None::<&str>, 0_u8)).unwrap());
            request.extend(postcard::to_allocvec(&(None::<&str>, Some(&*script))).unwrap());
            request.extend(postcard::to_allocvec(&(None::<u32>, false)).unwrap());
            let answer = family.puppet.ask_bytes(&request).await;
            refused(answer, "does not understand", "a path of a program");
        }
        assert!(!proof.exists(), "a program of the plugin's choice ran");
    });
}

#[test]
fn no_message_of_the_controllers_own_program_goes_to_a_reserved_handle() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        for handle in 1..Handle::FIRST_FREE {
            let message = || Message::new(handle, &0_u8).unwrap();
            let sender = Sender::<u8>::new(&context, handle);
            // The answer would be an order to the controller itself.
            let asking = Message::new(500, &0_u8).unwrap().with_reply_to(handle);
            let attempts = [
                context.send(message()),
                context.send(Message::end(handle, "over")),
                router.route(context.id(), message()),
                sender.put(&0).await,
                sender.close(),
                context.send(asking),
            ];
            for attempt in attempts {
                match attempt {
                    Err(Error::Usage(text)) if text.contains("reserved") => {}
                    other => panic!("handle {handle}: {other:?}"),
                }
            }
        }
        assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

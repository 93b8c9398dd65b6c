//! The line to a server, and what is at its end: networks that fail, servers that die, other makes
//! of them, and every login shell, by each client.

use std::net::TcpListener;
use std::sync::mpsc::{self, TryRecvError};
use std::time::Duration;

use e2e::with_router;
use e2e_plugin as guest;
use offshoot::ConnectError;
use offshoot_bed::{LOGIN_SHELLS, Machine, SshdOptions, User, Weather};

use crate::world::{
    Client, Door, is_empty, kind, no_litter, over_both, refused, start, take_turn, uid, with_bob,
    works,
};

/// What a login shell prints before it runs anything.
const NOISE: &str = "echo noise; echo complaint >&2; printf 'no newline'\n";

#[test]
fn f39_every_login_shell_runs_the_child_whatever_it_prints() {
    let mut builder = Machine::builder().sshd(SshdOptions::default());
    for (name, path) in LOGIN_SHELLS {
        let mut user = User::new(&format!("u-{name}")).shell(path);
        for file in [
            ".bashrc",
            ".profile",
            ".zshenv",
            ".mkshrc",
            ".cshrc",
            ".config/fish/config.fish",
        ] {
            // The last shell of these has another syntax.
            let noise = match file {
                ".cshrc" => "echo noise\nprintf 'no newline'\n",
                _ => NOISE,
            };
            user = user.file(file, noise);
        }
        builder = builder.user(user);
    }
    let machine = start(&builder);
    over_both(|client| {
        let door = Door::by(client, &machine);
        with_router(async |router| {
            for (name, _) in LOGIN_SHELLS {
                let context = door.ssh(&router, &format!("u-{name}")).await;
                works(&context.unwrap_or_else(|error| panic!("{name}: {error}"))).await;
            }
        });
        is_empty(&machine);
        no_litter(&machine);
    });
}

#[test]
fn s091_a_server_of_another_make_does_as_well() {
    let machine = start(
        &Machine::builder()
            .user(User::new("bob").password("dr0pped"))
            .dropbear(),
    );
    let addr = machine.dropbear_addr();
    let known = format!(
        "[{}]:{} {}\n",
        addr.ip(),
        addr.port(),
        machine.dropbear_host_key()
    );
    over_both(|client| {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("known"), &known).unwrap();
        let config = format!(
            "UserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null\nIdentityAgent none\n",
            path("known").display()
        );
        std::fs::write(path("config"), config).unwrap();
        with_router(async |router| {
            let ssh = || {
                client
                    .with(router.ssh("127.0.0.1"))
                    .config_file(path("config").to_str().unwrap())
                    .port(addr.port())
                    .username("bob")
            };
            let identity = machine.identity();
            let bob = ssh()
                .identity_file(identity.to_str().unwrap())
                .await
                .unwrap();
            works(&bob).await;
            assert_eq!(uid(&bob).await, 1000);
            works(&ssh().password("dr0pped").await.unwrap()).await;
            let error = refused(ssh().password("wrong").await);
            assert_eq!(kind(&error), "Password Incorrect", "{error}");
            let error = refused(ssh().identities_only(true).await);
            assert_eq!(kind(&error), "Password Required", "{error}");
        });
        is_empty(&machine);
    });
}

#[test]
fn f5_a_server_that_dies_ends_the_call() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        with_router(async |router| {
            let bob = door.ssh(&router, "bob").await.unwrap();
            works(&bob).await;
            let call = bob.call_async::<guest::sleep>((60_000,)).await.unwrap();
            machine.sh("until pgrep -u bob offshoot >/dev/null; do sleep 0.02; done; pkill -KILL -f '^sshd: bob'");
            let error = tokio::time::timeout(Duration::from_secs(10), call.get()).await;
            let error = error.expect("the call ends").unwrap_err().to_string();
            assert!(error.contains("ssh.127.0.0.1"), "{error}");
        });
        is_empty(&machine);
    });
}

#[test]
fn f5_a_line_that_is_cut_ends_the_call() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        let line = machine.ssh_through(Weather::default());
        trust(&door, line.addr().port());
        with_router(async |router| {
            let bob = door
                .ssh(&router, "bob")
                .port(line.addr().port())
                .await
                .unwrap();
            works(&bob).await;
            let call = bob.call_async::<guest::sleep>((60_000,)).await.unwrap();
            line.cut();
            let ended = tokio::time::timeout(Duration::from_secs(10), call.get()).await;
            ended.expect("the call ends").unwrap_err();
        });
        is_empty(&machine);
    });
}

#[test]
fn f50_who_cannot_be_reached_is_told_from_who_refuses() {
    take_turn();
    over_both(|client| {
        with_router(async |router| {
            let to = |host: &str| client.with(router.ssh(host)).config_file("none");
            let error = refused(to("127.0.0.1").port(1).await);
            assert_eq!(kind(&error), "Network Refused", "{error}");
            let error = refused(to("no-such-host.invalid").await);
            assert_eq!(kind(&error), "Network NameResolution", "{error}");
            // An address for examples, to which no machine has a way.
            let error = refused(
                to("2001:db8::1")
                    .connect_timeout(Duration::from_secs(5))
                    .await,
            );
            assert_eq!(kind(&error), "Network Unreachable", "{error}");
        });
    });
}

#[test]
fn f50_what_hangs_up_or_is_no_server_is_told() {
    take_turn();
    over_both(|client| {
        for says in ["", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let (until, is_over) = mpsc::channel::<()>();
            let server = std::thread::spawn(move || {
                use std::io::Write as _;
                // Some clients try again.
                listener.set_nonblocking(true).unwrap();
                while is_over.try_recv() == Err(TryRecvError::Empty) {
                    if let Ok((mut stream, _)) = listener.accept() {
                        let _ = stream.write_all(says.as_bytes());
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            with_router(async |router| {
                let ssh = client
                    .with(router.ssh("127.0.0.1"))
                    .config_file("none")
                    .port(port);
                let error = refused(ssh.connect_timeout(Duration::from_secs(2)).await);
                let kind = kind(&error);
                assert!(
                    ["Network Dropped", "Timeout"].contains(&&*kind),
                    "{says}: {error}"
                );
            });
            drop(until);
            server.join().unwrap();
        }
    });
}

#[test]
fn b011_a_login_that_hangs_is_named() {
    let options = SshdOptions::default()
        .line("AuthorizedKeysCommand /bin/sleep 60")
        .line("AuthorizedKeysCommandUser nobody")
        .line("AuthorizedKeysFile none");
    let machine = start(&Machine::builder().sshd(options).user(User::new("bob")));
    over_both(|client| {
        let door = Door::by(client, &machine);
        with_router(async |router| {
            let patience = Duration::from_millis(1500);
            let error = refused(door.ssh(&router, "bob").connect_timeout(patience).await);
            let ConnectError::Timeout { after, .. } = &error else {
                panic!("{error:?}");
            };
            assert_eq!(*after, patience);
            // A program does not tell how far it has come.
            let stage = match client {
                Client::Inside => "(it was authenticating)",
                Client::Program => "(it was connecting)",
            };
            assert!(error.to_string().contains(stage), "{error}");
            machine.sh("pkill -x sleep");
        });
    });
}

#[test]
fn b011_a_server_that_says_nothing_is_given_up() {
    take_turn();
    over_both(|client| {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        with_router(async |router| {
            let patience = Duration::from_millis(1200);
            let ssh = client
                .with(router.ssh("127.0.0.1"))
                .config_file("none")
                .port(port);
            let error = refused(ssh.connect_timeout(patience).await);
            let stage = match client {
                Client::Inside => "(it was exchanging keys)",
                Client::Program => "(it was connecting)",
            };
            assert!(error.to_string().contains(stage), "{error}");
        });
    });
}

#[test]
fn s093_a_program_that_is_named_is_used_and_one_that_is_not_there_is_missed() {
    let machine = start(&with_bob());
    let door = Door::to(&machine);
    let log = door.path("log");
    let program = door.path("my-ssh");
    let text = format!(
        "#!/bin/sh\necho \"$@\" >{}\nexec ssh \"$@\"\n",
        log.display()
    );
    std::fs::write(&program, text).unwrap();
    let made = std::process::Command::new("chmod")
        .arg("755")
        .arg(&program)
        .status();
    assert!(made.unwrap().success());
    with_router(async |router| {
        let ssh = || door.ssh(&router, "bob");
        works(&ssh().ssh_path(program.to_str().unwrap()).await.unwrap()).await;
        assert!(std::fs::read_to_string(&log).unwrap().contains("127.0.0.1"));
        std::fs::remove_file(&log).unwrap();
        works(&ssh().await.unwrap()).await;
        assert!(!log.exists(), "without a name, no program is started");
        let error = refused(ssh().ssh_path("/no/such/ssh").await);
        assert!(
            matches!(&error, ConnectError::ToolMissing { tool, .. } if tool == "/no/such/ssh"),
            "{error:?}"
        );
        // Arguments are for a program.
        let error = refused(ssh().ssh_args(["-o", "Port=1", "-p", "1"]).port(1).await);
        assert_eq!(kind(&error), "Network Refused", "{error}");
        // So is how much it tells of itself.
        let error = refused(ssh().ssh_debug_level(1).port(1).await).to_string();
        assert!(error.contains("debug1: "), "{error}");
    });
    is_empty(&machine);
}

#[test]
fn b001_what_is_sent_is_compressed_if_that_is_wanted() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        // The child is there from now on, and is not sent again.
        with_router(async |router| drop(door.ssh(&router, "bob").await.unwrap()));
        let mut went = Vec::new();
        for compression in [false, true] {
            let line = machine.ssh_through(Weather::default());
            trust(&door, line.addr().port());
            with_router(async |router| {
                let ssh = door.ssh(&router, "bob").port(line.addr().port());
                let bob = ssh.compression(compression).await.unwrap();
                let zeros = vec![0_u8; 8 << 20];
                let back = bob.call::<guest::echo>((zeros.clone(),)).await.unwrap();
                assert!(back == zeros);
            });
            went.push(line.bytes_up() + line.bytes_down());
        }
        assert!(went[0] > 16 << 20, "{went:?}");
        assert!(went[1] < went[0] / 4, "{went:?}");
    });
    is_empty(&machine);
}

#[test]
fn b001_a_server_that_falls_silent_is_given_up() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        let line = machine.ssh_through(Weather::default());
        trust(&door, line.addr().port());
        with_router(async |router| {
            let ssh = door.ssh(&router, "bob").port(line.addr().port());
            let bob = ssh.keepalive(Duration::from_secs(1), 2).await.unwrap();
            let call = bob.call_async::<guest::sleep>((60_000,)).await.unwrap();
            line.freeze();
            let ended = tokio::time::timeout(Duration::from_secs(12), call.get()).await;
            ended.expect("the call ends").unwrap_err();
            // The other end, and what carries the line here, hear of it now.
            line.cut();
            line.thaw();
        });
        is_empty(&machine);
    });
}

/// Knows the machine's key under another port, too.
fn trust(door: &Door<'_>, port: u16) {
    let key = door.machine.host_key();
    let known = std::fs::read_to_string(door.known_hosts()).unwrap();
    std::fs::write(
        door.known_hosts(),
        format!("{known}[127.0.0.1]:{port} {key}\n"),
    )
    .unwrap();
}

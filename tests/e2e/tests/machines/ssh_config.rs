//! What `ssh_config` says, and what each client makes of it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use e2e::with_router;
use offshoot_bed::{Machine, SshdOptions, User};

use crate::world::{
    Client, Door, PASSWORD, is_empty, kind, over_both, refused, start, uid, with_bob, works,
};

/// Lines for a host that is this machine.
fn block(name: &str, machine: &Machine, more: &str) -> String {
    let port = machine.ssh_addr().port();
    let identity = machine.identity();
    format!(
        "Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  User bob\n  IdentityFile {}\n{more}\n",
        identity.display()
    )
}

#[test]
fn s094_a_host_is_what_its_block_says() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        door.configure(&block("web? !web9", &machine, ""));
        with_router(async |router| {
            let web1 = door.to_host(&router, "web1").await.unwrap();
            assert_eq!(web1.name(), "ssh.web1");
            assert_eq!(uid(&web1).await, 1000);
            let error = refused(door.to_host(&router, "web9").port(1).await);
            assert!(kind(&error).starts_with("Network"), "{error}");
            // What the builder says beats the file.
            let root = door
                .to_host(&router, "web1")
                .username("root")
                .await
                .unwrap();
            assert_eq!(uid(&root).await, 0);
            let error = refused(door.to_host(&router, "web1").port(1).await);
            assert_eq!(kind(&error), "Network Refused", "{error}");
        });
        is_empty(&machine);
    });
}

#[test]
fn b001_files_are_included_and_hosts_and_users_matched() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        std::fs::write(door.path("more"), block("web1", &machine, "")).unwrap();
        let identity = machine.identity();
        door.configure(&format!(
            "Include {}\nMatch host db*\n  HostName 127.0.0.1\n  Port {}\n\
             Match user bob\n  IdentityFile {}\nMatch all\n",
            door.path("more").display(),
            machine.ssh_addr().port(),
            identity.display(),
        ));
        with_router(async |router| {
            works(&door.to_host(&router, "web1").await.unwrap()).await;
            works(&door.to_host(&router, "db1").username("bob").await.unwrap()).await;
            // That block, with the key, is not for everybody.
            let made = door
                .to_host(&router, "db1")
                .username("root")
                .identities_only(true);
            let error = refused(made.await);
            assert_eq!(kind(&error), "Password Required", "{error}");
        });
    });
}

#[test]
fn b001_other_files_may_know_the_keys_of_hosts() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        std::fs::rename(door.known_hosts(), door.path("elsewhere")).unwrap();
        let file = format!("UserKnownHostsFile {}", door.path("elsewhere").display());
        door.configure(&block("web1", &machine, &file));
        with_router(async |router| {
            works(&door.to_host(&router, "web1").await.unwrap()).await;
            door.configure(&block("web1", &machine, ""));
            let error = refused(door.to_host(&router, "web1").await);
            assert_eq!(kind(&error), "HostKey Unknown", "{error}");
        });
    });
}

#[test]
fn b001_a_command_can_be_the_connection() {
    let machine = start(&with_bob());
    let port = machine.ssh_addr().port();
    over_both(|client| {
        let door = Door::by(client, &machine);
        let by = |command: &str| {
            let config = block("web1", &machine, &format!("ProxyCommand {command}"));
            door.configure(&config);
        };
        with_router(async |router| {
            // It gets the real host and port in place of the marks.
            by("busybox nc %h %p");
            works(&door.to_host(&router, "web1").port(port).await.unwrap()).await;
            by("sh -c 'echo no way there >&2; exit 3'");
            let error = refused(door.to_host(&router, "web1").await);
            assert_eq!(kind(&error), "Network Dropped", "{error}");
            assert!(error.to_string().contains("no way there"), "{error}");
        });
    });
    is_empty(&machine);
}

#[test]
fn b001_a_server_that_says_nothing_is_left_after_the_configured_time() {
    let machine = start(&with_bob());
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    over_both(|client| {
        let door = Door::by(client, &machine);
        door.configure("ConnectTimeout 1");
        with_router(async |router| {
            let began = Instant::now();
            let error = refused(door.to_host(&router, "127.0.0.1").port(port).await);
            assert_eq!(kind(&error), "Network TimedOut", "{error}");
            assert!(began.elapsed() < Duration::from_secs(20), "not after 30 s");
        });
    });
}

#[test]
fn b001_what_makes_no_sense_is_named_with_its_line() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        door.configure("Nonsense yes");
        with_router(async |router| {
            let error = refused(door.ssh(&router, "bob").await);
            assert_eq!(kind(&error), "Access Configuration", "{error}");
            let text = error.to_string().to_lowercase();
            assert!(
                text.contains("nonsense") && text.contains("line 1"),
                "{error}"
            );
            let missing = door.path("missing");
            let made = door
                .ssh(&router, "bob")
                .config_file(missing.to_str().unwrap());
            let error = refused(made.await).to_string();
            assert!(error.contains("missing` cannot be read"), "{error}");
        });
    });
}

#[test]
fn d5_what_only_a_program_can_do_is_refused_by_name_and_done_by_the_program() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        door.configure(&block("web1", &machine, "RevokedHostKeys /dev/null"));
        with_router(async |router| {
            let made = door.to_host(&router, "web1").await;
            if client == Client::Program {
                return works(&made.unwrap()).await;
            }
            let error = refused(made);
            assert_eq!(kind(&error), "Access Configuration", "{error}");
            let text = error.to_string();
            for part in ["`revokedhostkeys`", "line 6", "`ssh_path`"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        });
    });
}

/// Two gates, one behind the other, and a machine behind both.
struct Row {
    machines: [Machine; 3],
    addresses: [std::net::Ipv4Addr; 2],
}

fn row() -> Row {
    let amy = User::new("amy").password(PASSWORD);
    let inner = Machine::builder().sshd(SshdOptions::default()).user(amy);
    let machines = [start(&with_bob()), start(&with_bob()), start(&inner)];
    let (_, second) = machines[0].cable(&machines[1]);
    let (_, third) = machines[1].cable(&machines[2]);
    Row {
        machines,
        addresses: [second, third],
    }
}

impl Row {
    /// A door that knows all three by name: `one`, `two`, and `three` of amy's.
    fn door(&self, client: Client, more: &str) -> Door<'_> {
        let [one, two, three] = &self.machines;
        let [second, third] = self.addresses;
        let door = Door::by(client, one);
        let mut known = one.known_hosts_line();
        let _ = writeln!(
            known,
            "{second} {}\n{third} {}",
            two.host_key(),
            three.host_key()
        );
        std::fs::write(door.known_hosts(), known).unwrap();
        let mut config = block("one", one, "");
        for (name, user, address, machine) in
            [("two", "bob", second, two), ("three", "amy", third, three)]
        {
            let identity = machine.identity();
            let _ = writeln!(
                config,
                "Host {name}\n  HostName {address}\n  User {user}\n  IdentityFile {}",
                identity.display()
            );
        }
        door.configure(&format!("{config}{more}"));
        door
    }

    fn are_empty(&self) {
        self.machines.iter().for_each(is_empty);
    }
}

#[test]
fn b001_machines_on_the_way_are_gone_through_and_see_nothing() {
    let row = row();
    over_both(|client| {
        let door = row.door(client, "");
        with_router(async |router| {
            let amy = door
                .to_host(&router, "three")
                .jump("one,two")
                .await
                .unwrap();
            works(&amy).await;
            assert_eq!(uid(&amy).await, 1000);
            drop(amy);
            // The password is for the last one alone.
            let ssh = || {
                door.to_host(&router, "three")
                    .jump("one,two")
                    .identities_only(true)
            };
            door.configure(
                &std::fs::read_to_string(door.config())
                    .unwrap()
                    .replace("User amy\n", "User amy\n  PubkeyAuthentication no\n"),
            );
            works(&ssh().password(PASSWORD).await.unwrap()).await;
            let error = refused(ssh().password("wrong").await);
            assert_eq!(kind(&error), "Password Incorrect", "{error}");
        });
        row.are_empty();
    });
    for gate in &row.machines[..2] {
        let log = gate.sh("grep -c -i 'password' /var/log/sshd.log || :");
        assert_eq!(log, "0", "no gate was shown a password");
        assert_eq!(
            gate.sh(
                "find /home /root /tmp /var/tmp /dev/shm -name 'offshoot*' -path '*cache*' | wc -l"
            ),
            "0"
        );
    }
}

#[test]
fn b001_a_configured_way_is_taken() {
    let row = row();
    over_both(|client| {
        let door = row.door(
            client,
            "Host three\n  ProxyJump two\nHost two\n  ProxyJump one\n",
        );
        with_router(async |router| {
            works(&door.to_host(&router, "three").await.unwrap()).await;
            let error = refused(door.to_host(&router, "three").jump("nobody@one").await);
            let text = error.to_string();
            assert!(
                kind(&error).starts_with("Password") || kind(&error).starts_with("Access"),
                "{text}"
            );
        });
        row.are_empty();
    });
}

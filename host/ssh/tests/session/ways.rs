//! Through other machines, by commands, and to a server by somebody else.

use offshoot_bed::{Machine, SshdOptions, User};
use offshoot_ssh::config::Hop;
use offshoot_ssh::{Ended, SshError};

use crate::bench::{Bench, run, secret};

/// A gate that can be reached, and a machine behind it, known as 10.231.n.2.
struct Two {
    gate: Bench,
    inner: Machine,
    addr: std::net::Ipv4Addr,
}

fn two() -> Two {
    let gate = Bench::new(SshdOptions::default());
    let inner = Machine::builder()
        .user(User::new("carl").password("carl's secret"))
        .sshd(SshdOptions::default())
        .start()
        .unwrap();
    let (_, addr) = gate.machine.cable(&inner);
    let known = format!(
        "{}{addr} {}\n",
        gate.machine.known_hosts_line(),
        inner.host_key()
    );
    gate.knows(&known);
    Two { gate, inner, addr }
}

impl Two {
    fn lines(&self) -> String {
        format!(
            "Host inner\n HostName {}\n User carl\n IdentityFile {}\n",
            self.addr,
            self.inner.identity().display()
        )
    }
}

#[tokio::test]
async fn b001_proxy_jump_goes_through_and_the_gate_sees_no_password() {
    let two = two();
    let lines = format!("{} ProxyJump target\n", two.lines());
    let mut request = two.gate.request("ann", "id -un; cat", &lines);
    request.host = "inner".to_owned();
    let ran = run(request.clone()).await.unwrap();
    assert_eq!((ran.output.as_str(), ran.ended), ("carl\n", Ended::Exit(0)));
    // By password, which is for the inner one alone.
    request.overrides.identity_file = Some(two.gate.key("none", &["-t", "ed25519", "-N", ""]));
    request.password = secret("carl's secret");
    assert_eq!(run(request).await.unwrap().output, "carl\n");
    let log = two.gate.machine.sh("cat /var/log/sshd.log");
    assert!(!log.contains("password"), "{log}");
}

#[tokio::test]
async fn b001_a_way_that_is_said_beats_the_configured_one() {
    let two = two();
    // On the gate, its own loopback leads to itself.
    let again = "Host again\n HostName 127.0.0.1\n Port 22\n";
    let known = format!(
        "{}127.0.0.1 {}\n",
        two.gate.known(),
        two.gate.machine.host_key()
    );
    two.gate.knows(&known);
    let lines = format!("{again}{} ProxyJump nowhere.invalid\n", two.lines());
    let mut request = two.gate.request("ann", "id -un", &lines);
    request.host = "inner".to_owned();
    let hop = |user: &str, host: &str| Hop {
        user: Some(user.to_owned()),
        host: host.to_owned(),
        port: None,
    };
    request.overrides.jump = Some(vec![
        hop("ann", "target"),
        hop("root", "again"),
        hop("ann", "again"),
    ]);
    assert_eq!(run(request).await.unwrap().output, "carl\n");
}

#[tokio::test]
async fn f50_an_error_on_the_way_names_the_hop() {
    let two = two();
    let lines = format!("{} ProxyJump bob@target\n", two.lines());
    let mut request = two.gate.request("ann", "true", &lines);
    request.host = "inner".to_owned();
    let error = run(request.clone()).await.unwrap_err();
    match &error {
        SshError::Jump { hop, source } => {
            assert_eq!(hop, "target");
            assert!(
                matches!(**source, SshError::PasswordRequired { .. }),
                "{source:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    // The gate cannot reach what is asked of it.
    let lines = "Host inner\n HostName 127.0.0.1\n Port 1\n ProxyJump target\n";
    let mut request = two.gate.request("ann", "true", lines);
    request.host = "inner".to_owned();
    let error = run(request).await.unwrap_err().to_string();
    assert!(
        error.contains("target") && error.contains("127.0.0.1:1"),
        "{error}"
    );
    // An unknown key behind the gate is the inner host's problem.
    two.gate.knows(&two.gate.machine.known_hosts_line());
    let lines = format!("{} ProxyJump target\n", two.lines());
    let mut request = two.gate.request("ann", "true", &lines);
    request.host = "inner".to_owned();
    assert!(matches!(
        run(request).await.unwrap_err(),
        SshError::HostKey { .. }
    ));
}

#[tokio::test]
async fn b001_jumps_do_not_go_round_in_circles() {
    let bench = Bench::new(SshdOptions::default());
    let lines = "Host a\n ProxyJump b\nHost b\n ProxyJump a\n";
    let mut request = bench.request("ann", "true", lines);
    request.host = "a".to_owned();
    let error = run(request).await.unwrap_err();
    assert!(matches!(error, SshError::TooManyHops { .. }), "{error:?}");
    // A rule for all is not for the gate itself.
    let mut request = bench.request("ann", "true", "ProxyJump target\n");
    request.host = "127.0.0.1".to_owned();
    let error = run(request).await.unwrap_err();
    assert!(!matches!(error, SshError::TooManyHops { .. }), "{error:?}");
}

#[tokio::test]
async fn b001_proxy_command_carries_and_its_last_words_are_told() {
    let bench = Bench::new(SshdOptions::default());
    let by_command = "ProxyCommand bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'";
    let ran = run(bench.request("ann", "id -un", by_command))
        .await
        .unwrap();
    assert_eq!(ran.output, "ann\n");
    let fails = "ProxyCommand sh -c 'echo no way to %h >&2; exit 3'";
    let error = run(bench.request("ann", "true", fails)).await.unwrap_err();
    assert!(matches!(error, SshError::ProxyCommand { .. }), "{error:?}");
    assert!(error.to_string().contains("no way to 127.0.0.1"), "{error}");
}

#[tokio::test]
async fn b001_a_directive_that_cannot_be_honoured_stops_before_anything_is_sent() {
    let bench = Bench::new(SshdOptions::default());
    let error = run(bench.request("ann", "true", "RevokedHostKeys /etc/ssh/revoked"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("revokedhostkeys") && error.to_string().contains("ssh_path"),
        "{error}"
    );
    assert!(
        !bench
            .machine
            .sh("cat /var/log/sshd.log")
            .contains("Connection from")
    );
}

#[tokio::test]
async fn s091_dropbear_is_a_server_as_well() {
    let bench = Bench::with(Machine::builder().sshd(SshdOptions::default()).dropbear());
    let addr = bench.machine.dropbear_addr();
    bench.knows(&format!(
        "[{}]:{} {}\n",
        addr.ip(),
        addr.port(),
        bench.machine.dropbear_host_key()
    ));
    let ran = run(bench.request_to(addr, "ann", "id -un; echo oops >&2; exit 7", ""))
        .await
        .unwrap();
    assert_eq!(
        (ran.output.as_str(), ran.errors.as_str()),
        ("ann\n", "oops\n")
    );
    assert_eq!(ran.ended, Ended::Exit(7));
    let mut request = bench.request_to(addr, "bob", "id -un", "");
    request.password = secret("bob's secret");
    assert_eq!(run(request).await.unwrap().output, "bob\n");
    let mut request = bench.request_to(addr, "bob", "id -un", "");
    request.password = secret("not it");
    let error = run(request).await.unwrap_err();
    assert!(
        matches!(error, SshError::PasswordIncorrect { .. }),
        "{error:?}"
    );
    bench.knows("");
    let error = run(bench.request_to(addr, "ann", "id -un", ""))
        .await
        .unwrap_err();
    assert!(matches!(error, SshError::HostKey { .. }), "{error:?}");
}

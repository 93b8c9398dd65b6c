//! Which servers are trusted: the verdict is the installed client's, case by case.

use std::fs;
use std::process::Command;

use offshoot_bed::SshdOptions;
use offshoot_ssh::config::Hop;
use offshoot_ssh::{HostKeyPolicy, HostKeyProblem, SshError};

use crate::bench::{Bench, run, secret};

/// Whether OpenSSH's client gets in with what is known, and what it says if not.
fn theirs(bench: &Bench, strict: &str) -> Result<(), String> {
    let addr = bench.machine.ssh_addr();
    let output = Command::new("ssh")
        .args(["-F", "none", "-T", "-p", &addr.port().to_string(), "-i"])
        .arg(bench.machine.identity())
        .arg("-o")
        .arg(format!(
            "UserKnownHostsFile={}",
            bench.path("known").display()
        ))
        .args(["-o", &format!("StrictHostKeyChecking={strict}")])
        .args([
            "-o",
            "GlobalKnownHostsFile=/dev/null",
            "-o",
            "UpdateHostKeys=no",
        ])
        .args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"])
        .arg(format!("ann@{}", addr.ip()))
        .arg("true")
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

async fn ours(bench: &Bench, mode: HostKeyPolicy) -> Result<(), SshError> {
    let mut request = bench.request("ann", "true", "");
    request.host_keys = Some(mode);
    run(request).await.map(|_| ())
}

fn name_of(error: &SshError) -> &'static str {
    match error {
        SshError::HostKey { problem, .. } => match problem {
            HostKeyProblem::Unknown { .. } => "unknown",
            HostKeyProblem::Changed { .. } => "changed",
            HostKeyProblem::Revoked { .. } => "revoked",
            HostKeyProblem::Certificate(_) => "certificate",
            HostKeyProblem::Short { .. } => "short",
        },
        _ => "other",
    }
}

/// Tries a state of known_hosts with both clients and both modes.
async fn check(
    bench: &Bench,
    case: &str,
    lines: &str,
    enforce: Result<(), &str>,
    accept: Result<(), &str>,
) {
    for (mode, strict, want) in [
        (HostKeyPolicy::Enforce, "yes", enforce),
        (HostKeyPolicy::Accept, "accept-new", accept),
    ] {
        bench.knows(lines);
        let theirs = theirs(bench, strict);
        bench.knows(lines);
        let ours = ours(bench, mode).await;
        assert_eq!(
            ours.is_ok(),
            theirs.is_ok(),
            "{case}, {strict}: {ours:?} {theirs:?}"
        );
        assert_eq!(
            ours.as_ref().copied().map_err(name_of),
            want,
            "{case}, {strict}: {ours:?}"
        );
    }
}

#[tokio::test]
async fn t12_both_clients_judge_alike() {
    let bench = Bench::new(SshdOptions::default().host_keys(&["ed25519", "ecdsa"]));
    let addr = bench.machine.ssh_addr();
    let host = format!("[{}]:{}", addr.ip(), addr.port());
    let keys = bench.machine.host_keys().to_vec();
    let (ed, ecdsa) = (&keys[0], &keys[1]);
    let other = fs::read_to_string(
        bench
            .key("other", &["-t", "ed25519", "-N", ""])
            .with_extension("pub"),
    )
    .unwrap();
    let other = other.trim();
    let rsa = fs::read_to_string(
        bench
            .key("rsa", &["-t", "rsa", "-b", "2048", "-N", ""])
            .with_extension("pub"),
    )
    .unwrap();
    let rsa = rsa.trim();
    let ok = Ok(());
    check(&bench, "nothing known", "", Err("unknown"), ok).await;
    check(&bench, "known", &format!("{host} {ed}\n"), ok, ok).await;
    check(
        &bench,
        "the second key known",
        &format!("{host} {ecdsa}\n"),
        ok,
        ok,
    )
    .await;
    check(
        &bench,
        "changed",
        &format!("{host} {other}\n"),
        Err("changed"),
        Err("changed"),
    )
    .await;
    check(
        &bench,
        "known under another type",
        &format!("{host} {rsa}\n"),
        Err("changed"),
        Err("changed"),
    )
    .await;
    check(
        &bench,
        "two, one right",
        &format!("{host} {other}\n{host} {ed}\n"),
        ok,
        ok,
    )
    .await;
    check(
        &bench,
        "revoked",
        &format!("{host} {ed}\n@revoked * {ed}\n"),
        Err("revoked"),
        Err("revoked"),
    )
    .await;
    check(&bench, "wildcard", &format!("[127.*]:* {ed}\n"), ok, ok).await;
    check(
        &bench,
        "negated",
        &format!("[127.*]:*,!{host} {ed}\n"),
        Err("unknown"),
        ok,
    )
    .await;
    check(
        &bench,
        "without the port",
        &format!("127.0.0.1 {ed}\n"),
        ok,
        ok,
    )
    .await;
    check(
        &bench,
        "another without the port",
        &format!("127.0.0.1 {other}\n"),
        Err("unknown"),
        ok,
    )
    .await;
    check(
        &bench,
        "another host",
        &format!("elsewhere {other}\n"),
        Err("unknown"),
        ok,
    )
    .await;
    check(
        &bench,
        "nonsense",
        "x\n# y\n|1|a|b ssh-rsa x\n",
        Err("unknown"),
        ok,
    )
    .await;
    bench.knows(&format!("{host} {ed}\n"));
    let hashed = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(bench.path("known"))
        .output()
        .unwrap();
    assert!(hashed.status.success());
    let lines = bench.known();
    assert!(!lines.contains("127"));
    check(&bench, "hashed", &lines, ok, ok).await;
}

#[tokio::test]
async fn t12_host_certificates() {
    let bench = Bench::new(SshdOptions::default());
    let addr = bench.machine.ssh_addr();
    let host = format!("[{}]:{}", addr.ip(), addr.port());
    let authority = bench.key("authority", &["-t", "ed25519", "-N", ""]);
    let stranger = bench.key("stranger", &["-t", "ed25519", "-N", ""]);
    let public = |key: &std::path::Path| {
        fs::read_to_string(key.with_extension("pub"))
            .unwrap()
            .trim()
            .to_owned()
    };
    let (known, unknown) = (public(&authority), public(&stranger));
    let present = |more: &[&str]| {
        fs::write(bench.path("host.pub"), bench.machine.host_key()).unwrap();
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(&authority)
            .args(["-I", "host", "-h"])
            .args(more)
            .arg(bench.path("host.pub"))
            .output()
            .unwrap();
        assert!(signed.status.success(), "{signed:?}");
        let certificate = fs::read(bench.path("host-cert.pub")).unwrap();
        bench
            .machine
            .write("/etc/ssh/host-cert.pub", &certificate, "644");
        bench.machine.sh("grep -q host-cert /etc/ssh/bed_config || sed -i '1i HostCertificate /etc/ssh/host-cert.pub' /etc/ssh/bed_config; kill -HUP $(cat /run/sshd.pid); sleep 0.4");
    };
    let ok = Ok(());
    let by_authority = format!("@cert-authority {host} {known}\n");
    present(&["-n", "127.0.0.1"]);
    check(&bench, "a certificate", &by_authority, ok, ok).await;
    let only = "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com";
    run(bench.request("ann", "true", only)).await.unwrap();
    // Who vouches may have to sign in another way.
    let request = bench.request("ann", "true", "CASignatureAlgorithms rsa-sha2-512");
    let error = run(request).await.unwrap_err();
    assert_eq!(name_of(&error), "certificate", "{error}");
    let request = bench.request("ann", "true", "CASignatureAlgorithms ^ssh-ed25519");
    run(request).await.unwrap();
    check(
        &bench,
        "by nobody known",
        &format!("@cert-authority {host} {unknown}\n"),
        Err("unknown"),
        ok,
    )
    .await;
    check(
        &bench,
        "for other hosts",
        &format!("@cert-authority elsewhere {known}\n"),
        Err("unknown"),
        ok,
    )
    .await;
    check(
        &bench,
        "a revoked authority",
        &format!("{by_authority}@revoked * {known}\n"),
        Err("revoked"),
        Err("revoked"),
    )
    .await;
    let plain = format!("{by_authority}{host} {}\n", bench.machine.host_key());
    present(&["-n", "elsewhere"]);
    check(&bench, "another name, the key known", &plain, ok, ok).await;
    let error = {
        bench.knows(&by_authority);
        ours(&bench, HostKeyPolicy::Enforce).await.unwrap_err()
    };
    assert_eq!(name_of(&error), "certificate", "{error}");
    assert!(error.to_string().contains("elsewhere"), "{error}");
    assert!(theirs(&bench, "yes").is_err());
    present(&["-n", "127.0.0.1", "-V", "20200101:20200102"]);
    bench.knows(&by_authority);
    assert_eq!(
        name_of(&ours(&bench, HostKeyPolicy::Enforce).await.unwrap_err()),
        "certificate"
    );
    assert!(theirs(&bench, "yes").is_err());
}

/// A line that knows another key of the machine.
fn another_key(bench: &Bench) -> String {
    let key = bench.key("another", &["-t", "ed25519", "-N", ""]);
    let key = fs::read_to_string(key.with_extension("pub")).unwrap();
    let addr = bench.machine.ssh_addr();
    format!("[{}]:{} {key}", addr.ip(), addr.port())
}

#[tokio::test]
async fn b002_accept_and_ignore_learn_once() {
    let bench = Bench::new(SshdOptions::default());
    for mode in [HostKeyPolicy::Accept, HostKeyPolicy::Ignore] {
        bench.knows("");
        for _ in 0..2 {
            ours(&bench, mode).await.unwrap();
            assert_eq!(bench.known(), bench.machine.known_hosts_line());
        }
    }
    ours(&bench, HostKeyPolicy::Enforce).await.unwrap();
    theirs(&bench, "yes").unwrap();
    // A changed key is refused by accept, and passes with ignore, for who has a key.
    let line = another_key(&bench);
    bench.knows(&line);
    assert_eq!(
        name_of(&ours(&bench, HostKeyPolicy::Accept).await.unwrap_err()),
        "changed"
    );
    ours(&bench, HostKeyPolicy::Ignore).await.unwrap();
    theirs(&bench, "no").unwrap();
    assert_eq!(bench.known(), line);
}

#[tokio::test]
async fn t12_no_password_is_shown_to_a_host_whose_key_has_changed_or_is_revoked() {
    let questions = SshdOptions::default().line("KbdInteractiveAuthentication yes");
    let bench = Bench::new(questions);
    let revoked = format!("@revoked {}", bench.machine.known_hosts_line());
    let states = [(another_key(&bench), "changed"), (revoked, "revoked")];
    for (lines, why) in &states {
        bench.knows(lines);
        for said in [None, Some(HostKeyPolicy::Ignore)] {
            let mut request = bench.request("bob", "true", "StrictHostKeyChecking no");
            request.host_keys = said;
            request.password = secret("bob's secret");
            let error = run(request).await.unwrap_err();
            let SshError::Withheld { doubt, refusal } = &error else {
                panic!("{why}: {error:?}");
            };
            assert_eq!(name_of(doubt), *why);
            assert!(
                matches!(**refusal, SshError::AuthRefused { .. }),
                "{refusal:?}"
            );
        }
        // A key gets in, and the user is told.
        let request = bench.request("ann", "true", "StrictHostKeyChecking no");
        let session = offshoot_ssh::open(request).await.unwrap();
        let [warning] = &session.warnings[..] else {
            panic!("{why}: {:?}", session.warnings);
        };
        assert!(warning.contains("without passwords"), "{warning}");
        session.connection.closed().await;
    }
    let log = bench.machine.sh("cat /var/log/sshd.log");
    assert!(!log.contains("password for"), "{log}");
    assert!(!log.contains("keyboard-interactive for"), "{log}");
    // It is not the password that is wrong.
    bench.knows("");
    let mut request = bench.request("bob", "true", "StrictHostKeyChecking no");
    request.password = secret("bob's secret");
    run(request).await.unwrap();
}

#[tokio::test]
async fn t12_what_is_said_of_a_host_is_not_said_of_those_on_the_way_to_it() {
    let bench = Bench::new(SshdOptions::default());
    bench.knows(&another_key(&bench));
    let addr = bench.machine.ssh_addr();
    for mode in [HostKeyPolicy::Accept, HostKeyPolicy::Ignore] {
        let mut request = bench.request("ann", "true", "");
        request.host_keys = Some(mode);
        request.overrides.jump = Some(Hop::list(&format!("ann@{addr}")).unwrap());
        let error = run(request).await.unwrap_err();
        let SshError::Jump { source, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(name_of(source), "changed", "{error}");
    }
}

#[tokio::test]
async fn b002_a_key_that_cannot_be_written_down_is_a_warning() {
    let bench = Bench::new(SshdOptions::default());
    // There is no folder to make it in, for root neither.
    let lines = "UserKnownHostsFile /proc/none/known_hosts\nStrictHostKeyChecking accept-new";
    let session = offshoot_ssh::open(bench.request("ann", "true", lines))
        .await
        .unwrap();
    let [warning] = &session.warnings[..] else {
        panic!("{:?}", session.warnings);
    };
    assert!(
        warning.contains("cannot write /proc/none/known_hosts"),
        "{warning}"
    );
    session.connection.closed().await;
}

#[tokio::test]
async fn t12_of_many_connections_at_once_one_learns_and_the_others_judge_by_that() {
    let options = SshdOptions::default().host_keys(&["ed25519", "ecdsa"]);
    let bench = Bench::new(options);
    for _ in 0..4 {
        bench.knows("");
        // Somebody in between would show another key to some of them.
        let request = |number: usize, kind: &str| {
            let lines = format!("HostKeyAlgorithms {kind}\nStrictHostKeyChecking accept-new");
            let mut request = bench.request("ann", "true", &lines);
            let own = bench.path(&format!("config-{number}"));
            fs::rename(bench.path("config"), &own).unwrap();
            request.env.user_config = Some(own);
            run(request)
        };
        let (ed, ec) = ("ssh-ed25519", "ecdsa-sha2-nistp256");
        let (a, b, c, d) = tokio::join!(
            request(0, ed),
            request(1, ec),
            request(2, ed),
            request(3, ec)
        );
        let ran = [a, b, c, d];
        let known = bench.known();
        assert_eq!(known.lines().count(), 1, "{known}");
        for result in ran {
            match result {
                Ok(_) => {}
                Err(error) => assert_eq!(name_of(&error), "changed", "{error}"),
            }
        }
    }
}

#[tokio::test]
async fn b002_what_is_learnt_is_hashed_if_configured_and_found_again_by_the_real_client() {
    let bench = Bench::new(SshdOptions::default());
    bench.knows("");
    let request = bench.request(
        "ann",
        "true",
        "HashKnownHosts yes\nStrictHostKeyChecking accept-new",
    );
    run(request).await.unwrap();
    assert!(bench.known().starts_with("|1|"), "{}", bench.known());
    theirs(&bench, "yes").unwrap();
}

#[tokio::test]
async fn f40_the_error_names_the_fingerprint_and_the_line() {
    let bench = Bench::new(SshdOptions::default());
    let fingerprint = {
        fs::write(bench.path("k"), bench.machine.host_key()).unwrap();
        let shown = Command::new("ssh-keygen")
            .args(["-l", "-f"])
            .arg(bench.path("k"))
            .output()
            .unwrap();
        String::from_utf8_lossy(&shown.stdout)
            .split(' ')
            .nth(1)
            .unwrap()
            .to_owned()
    };
    bench.knows("# nothing\n");
    let error = ours(&bench, HostKeyPolicy::Enforce)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&fingerprint), "{error} {fingerprint}");
    let other = fs::read_to_string(
        bench
            .key("o", &["-t", "ed25519", "-N", ""])
            .with_extension("pub"),
    )
    .unwrap();
    let addr = bench.machine.ssh_addr();
    bench.knows(&format!(
        "# nothing\n[{}]:{} {other}",
        addr.ip(),
        addr.port()
    ));
    match ours(&bench, HostKeyPolicy::Enforce).await.unwrap_err() {
        SshError::HostKey {
            problem: HostKeyProblem::Changed { line, file, .. },
            ..
        } => {
            assert_eq!((line, file), (2, bench.path("known")));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn t12_a_known_hosts_that_cannot_be_read_is_no_empty_one() {
    let bench = Bench::new(SshdOptions::default());
    fs::remove_file(bench.path("known")).unwrap();
    fs::create_dir(bench.path("known")).unwrap();
    for mode in [HostKeyPolicy::Enforce, HostKeyPolicy::Accept] {
        assert!(matches!(
            ours(&bench, mode).await.unwrap_err(),
            SshError::KnownHosts(_)
        ));
    }
}

#[tokio::test]
async fn t12_a_host_key_alias_names_the_key() {
    let bench = Bench::new(SshdOptions::default());
    bench.knows(&format!("web {}\n", bench.machine.host_key()));
    run(bench.request("ann", "true", "HostKeyAlias web"))
        .await
        .unwrap();
    let error = run(bench.request("ann", "true", "")).await.unwrap_err();
    assert_eq!(name_of(&error), "unknown");
}

#[tokio::test]
async fn m16_a_known_hosts_command_matters_only_where_the_files_do_not_know_the_host() {
    let bench = Bench::new(SshdOptions::default());
    let line = "KnownHostsCommand /bin/false\nCheckHostIP yes\nHostbasedAuthentication yes";
    run(bench.request("ann", "true", line)).await.unwrap();
    bench.knows("");
    for policy in [HostKeyPolicy::Enforce, HostKeyPolicy::Accept] {
        let mut request = bench.request("ann", "true", line);
        request.host_keys = Some(policy);
        let error = run(request).await.unwrap_err();
        assert!(error.to_string().contains("`knownhostscommand`"), "{error}");
        assert_eq!(bench.known(), "", "nothing is learnt");
    }
}

//! Who gets in, and what is said to who does not.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use offshoot_bed::SshdOptions;
use offshoot_ssh::config::Overrides;
use offshoot_ssh::{Ended, IdentityProblem, SshError};

use crate::bench::{Bench, chmod, run, secret};

const BY_QUESTIONS: &str = "KbdInteractiveAuthentication yes";

fn plain() -> Bench {
    Bench::new(SshdOptions::default())
}

#[tokio::test]
async fn s091_a_command_runs_with_its_output_errors_and_status() {
    let bench = plain();
    let ran = run(bench.request("ann", "id -un; echo oops >&2; exit 7", ""))
        .await
        .unwrap();
    assert_eq!(
        (ran.output.as_str(), ran.errors.as_str()),
        ("ann\n", "oops\n")
    );
    assert_eq!(ran.ended, Ended::Exit(7));
    let ran = run(bench.request("ann", "kill -TERM $$", ""))
        .await
        .unwrap();
    assert_eq!(ran.ended, Ended::Signal("TERM".to_owned()));
}

#[tokio::test]
async fn s092_the_configured_user_is_used_unless_another_is_named() {
    let bench = plain();
    let mut request = bench.request("bob", "id -un", "");
    request.overrides.user = Some("ann".to_owned());
    assert_eq!(run(request).await.unwrap().output, "ann\n");
}

#[tokio::test]
async fn s096_a_password_is_used_where_it_is_asked_for() {
    for (line, left) in [("", "password"), (BY_QUESTIONS, "questions")] {
        let options = SshdOptions::default().line(line);
        let options = match left {
            "questions" => options.line("PasswordAuthentication no"),
            _ => options,
        };
        let bench = Bench::new(options);
        let with = |password: Option<&str>| {
            let mut request = bench.request("bob", "id -un", "");
            request.password = password.and_then(secret);
            request
        };
        let ran = run(with(Some("bob's secret"))).await.unwrap();
        assert_eq!(ran.output, "bob\n");
        let wrong = run(with(Some("not it"))).await.unwrap_err();
        assert!(
            matches!(wrong, SshError::PasswordIncorrect { .. }),
            "{left}: {wrong:?}"
        );
        assert!(!wrong.to_string().contains("not it"));
        let began = Instant::now();
        let none = run(with(None)).await.unwrap_err();
        assert!(
            matches!(none, SshError::PasswordRequired { .. }),
            "{left}: {none:?}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "F43: it says so at once"
        );
    }
}

#[tokio::test]
async fn f41_a_wrong_password_is_sent_once() {
    let bench = Bench::new(SshdOptions::default().line(BY_QUESTIONS));
    let mut request = bench.request("bob", "true", "IdentityFile none");
    request.password = secret("not it");
    run(request).await.unwrap_err();
    let log = bench.machine.sh("cat /var/log/sshd.log");
    let tried =
        |line: &&str| line.contains("Authentication failure") || line.contains("Failed password");
    assert_eq!(log.lines().filter(tried).count(), 1, "{log}");
}

#[tokio::test]
async fn f42_a_password_that_is_not_asked_for_is_not_sent() {
    let bench = plain();
    let mut request = bench.request("ann", "id -un", "");
    request.password = secret("unused");
    assert_eq!(run(request).await.unwrap().output, "ann\n");
    let log = bench.machine.sh("cat /var/log/sshd.log");
    assert!(!log.contains("password"), "{log}");
}

#[tokio::test]
async fn f41_who_is_refused_hears_what_is_left() {
    let bench = Bench::new(SshdOptions::default().line("PasswordAuthentication no"));
    let mut request = bench.request("bob", "true", "");
    request.password = secret("x");
    match run(request).await.unwrap_err() {
        SshError::AuthRefused { user, methods, .. } => {
            assert_eq!(
                (user.as_str(), methods),
                ("bob", vec!["publickey".to_owned()])
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn s097_keys_with_passphrases() {
    let bench = plain();
    for (name, arguments) in [
        ("new", &["-t", "ed25519", "-N", "open sesame"][..]),
        ("ecdsa", &["-t", "ecdsa", "-N", "open sesame"]),
        (
            "pkcs8",
            &["-t", "ecdsa", "-m", "PKCS8", "-N", "open sesame"],
        ),
    ] {
        let key = bench.key(name, arguments);
        bench.let_in("bob", &key);
        let with = |passphrase: Option<&str>| {
            let mut request = bench.request("bob", "id -un", "");
            request.overrides.identity_file = Some(key.clone());
            request.passphrase = passphrase.and_then(secret);
            request
        };
        let ran = run(with(Some("open sesame"))).await;
        assert_eq!(ran.unwrap().output, "bob\n", "{name}");
        let none = run(with(None)).await.unwrap_err();
        assert!(
            matches!(&none, SshError::PassphraseRequired { path } if *path == key),
            "{none:?}"
        );
        let wrong = run(with(Some("closed"))).await.unwrap_err();
        assert!(
            matches!(&wrong, SshError::PassphraseIncorrect { path } if *path == key),
            "{wrong:?}"
        );
        // A password goes on where the key does not.
        let mut request = with(None);
        request.password = secret("bob's secret");
        assert_eq!(run(request).await.unwrap().output, "bob\n");
    }
}

#[tokio::test]
async fn s097_rsa_keys_of_both_forms() {
    let bench = plain();
    for (name, arguments) in [
        ("new", &["-t", "rsa", "-b", "2048", "-N", ""][..]),
        ("pem", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""]),
    ] {
        let key = bench.key(name, arguments);
        bench.let_in("bob", &key);
        let mut request = bench.request("bob", "id -un", "");
        request.overrides.identity_file = Some(key);
        assert_eq!(run(request).await.unwrap().output, "bob\n", "{name}");
    }
}

#[tokio::test]
async fn s097_an_identity_that_is_of_no_use_is_named_with_the_reason() {
    let bench = plain();
    let open = bench.key("open", &["-t", "ed25519", "-N", ""]);
    chmod(&open, 0o644);
    std::fs::write(bench.path("text"), "hello\n").unwrap();
    for (name, want) in [
        ("missing", "no such file"),
        ("open", "chmod 600"),
        ("text", "no private key"),
    ] {
        let path = bench.path(name);
        let mut request = bench.request("bob", "true", "");
        request.overrides = Overrides {
            identity_file: Some(path.clone()),
            ..Overrides::default()
        };
        let error = run(request).await.unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert!(matches!(error, SshError::IdentityFile { path: named, .. } if named == path));
        let _: Option<IdentityProblem> = None;
    }
}

struct Agent(Child, String);

impl Agent {
    fn with(bench: &Bench, keys: &[&std::path::Path]) -> Self {
        let socket = bench.path("agent").display().to_string();
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", &socket])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !std::path::Path::new(&socket).exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        for key in keys {
            let added = Command::new("ssh-add")
                .arg("-q")
                .arg(key)
                .env("SSH_AUTH_SOCK", &socket)
                .status();
            assert!(added.unwrap().success());
        }
        Self(child, socket)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn s097_an_agent_signs_unless_only_configured_keys_are_wanted() {
    let bench = plain();
    let key = bench.key("k", &["-t", "ed25519", "-N", ""]);
    let rsa = bench.key("r", &["-t", "rsa", "-b", "2048", "-N", ""]);
    let agent = Agent::with(&bench, &[&key, &rsa]);
    for held in [&key, &rsa] {
        bench.let_in("bob", held);
        let with = |lines: &str| {
            let mut request = bench.request("bob", "id -un", lines);
            request.env.variables = vec![("SSH_AUTH_SOCK".to_owned(), agent.1.clone())];
            request
        };
        assert_eq!(run(with("")).await.unwrap().output, "bob\n");
        let by_line = with(&format!("IdentityAgent {}", agent.1));
        assert_eq!(run(by_line).await.unwrap().output, "bob\n");
        for without in ["IdentityAgent none", "IdentitiesOnly yes"] {
            let error = run(with(without)).await.unwrap_err();
            assert!(
                matches!(error, SshError::PasswordRequired { .. }),
                "{without}: {error:?}"
            );
        }
        // The public half alone names a key of the agent's.
        let public = format!("IdentitiesOnly yes\nIdentityFile {}.pub", held.display());
        assert_eq!(run(with(&public)).await.unwrap().output, "bob\n");
    }
}

#[tokio::test]
async fn s097_a_key_of_the_agent_with_an_odd_comment_hides_no_other() {
    use std::os::unix::ffi::OsStrExt as _;

    let bench = plain();
    let odd = bench.path("odd");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&odd)
        .arg("-C")
        .arg(std::ffi::OsStr::from_bytes(b"b\xfcro\x1b[2J"))
        .status();
    assert!(made.unwrap().success());
    let good = bench.key("good", &["-t", "ed25519", "-N", ""]);
    let agent = Agent::with(&bench, &[&odd, &good]);
    for key in [&odd, &good] {
        bench.let_in("bob", key);
        let mut request = bench.request("bob", "id -un", "");
        request.env.variables = vec![("SSH_AUTH_SOCK".to_owned(), agent.1.clone())];
        assert_eq!(run(request).await.unwrap().output, "bob\n");
    }
}

#[tokio::test]
async fn f49_words_that_are_not_utf8_are_named_with_the_way_around() {
    let bench = Bench::new(SshdOptions::default().line("Banner /etc/banner"));
    bench
        .machine
        .write("/etc/banner", b"Zugang nur f\xfcr Befugte\n", "644");
    let error = run(bench.request("ann", "true", "")).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("not UTF-8") && text.contains("ssh_path"),
        "{error:?}"
    );
}

#[tokio::test]
async fn s097_an_agent_signs_with_a_named_key_that_the_file_does_not_have_open() {
    let bench = plain();
    let named = bench.key("named", &["-t", "ed25519", "-N", ""]);
    let other = bench.key("other", &["-t", "ed25519", "-N", ""]);
    let agent = Agent::with(&bench, &[&other, &named]);
    bench.let_in("bob", &named);
    let with = |file: std::path::PathBuf, agent: &str| {
        let mut request = bench.request("bob", "id -un", "");
        request.overrides.identity_file = Some(file);
        request.env.variables = vec![("SSH_AUTH_SOCK".to_owned(), agent.to_owned())];
        request
    };
    let public = named.with_extension("pub");
    // The public half alone; then the name of a private one that is not there; then a locked one.
    assert_eq!(
        run(with(public.clone(), &agent.1)).await.unwrap().output,
        "bob\n"
    );
    let error = run(with(public.clone(), "")).await.unwrap_err();
    assert!(error.to_string().contains("public half"), "{error}");
    let away = bench.path("away");
    std::fs::rename(&named, &away).unwrap();
    assert_eq!(
        run(with(named.clone(), &agent.1)).await.unwrap().output,
        "bob\n"
    );
    let locked = Command::new("ssh-keygen")
        .args(["-q", "-p", "-N", "open sesame", "-f"])
        .arg(&away)
        .output();
    assert!(locked.unwrap().status.success());
    std::fs::rename(&away, &named).unwrap();
    assert_eq!(
        run(with(named.clone(), &agent.1)).await.unwrap().output,
        "bob\n"
    );
    let error = run(with(named.clone(), "")).await.unwrap_err();
    assert!(
        matches!(error, SshError::PassphraseRequired { .. }),
        "{error:?}"
    );
    // The agent's other keys are left alone.
    bench.let_in("bob", &other);
    let error = run(with(public, &agent.1)).await.unwrap_err();
    assert!(
        matches!(error, SshError::PasswordRequired { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn b001_no_password_is_given_where_none_is_to_be_asked_for() {
    let bench = Bench::new(SshdOptions::default().line(BY_QUESTIONS));
    let mut request = bench.request("bob", "true", "NumberOfPasswordPrompts 0");
    request.password = secret("bob's secret");
    let error = run(request).await.unwrap_err();
    assert!(matches!(error, SshError::AuthRefused { .. }), "{error:?}");
    let log = bench.machine.sh("cat /var/log/sshd.log");
    assert!(!log.contains("assword for bob"), "{log}");
}

/// Has an authority, which the machine trusts, certify that a key is Bob's, and gives the file.
fn certify(bench: &Bench, key: &std::path::Path) -> std::path::PathBuf {
    let authority = bench.key("authority", &["-t", "ed25519", "-N", ""]);
    let signed = Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(&authority)
        .args(["-I", "me", "-n", "bob"])
        .arg(key.with_extension("pub"))
        .status();
    assert!(signed.unwrap().success());
    let public = std::fs::read(authority.with_extension("pub")).unwrap();
    bench.machine.write("/etc/ssh/users_ca", &public, "644");
    bench.machine.sh("sed -i '1i TrustedUserCAKeys /etc/ssh/users_ca' /etc/ssh/bed_config; kill -HUP $(cat /run/sshd.pid); sleep 0.3");
    key.with_file_name(format!("{}-cert.pub", key.file_name().unwrap().display()))
}

#[tokio::test]
async fn s097_a_certificate_beside_the_key_lets_in() {
    let bench = plain();
    let key = bench.key("k", &["-t", "ed25519", "-N", ""]);
    certify(&bench, &key);
    let mut request = bench.request("bob", "id -un", "");
    request.overrides.identity_file = Some(key);
    assert_eq!(run(request).await.unwrap().output, "bob\n");
}

#[tokio::test]
async fn m13_a_certificate_whose_key_the_agent_holds_lets_in() {
    let bench = plain();
    let key = bench.key("k", &["-t", "ed25519", "-N", ""]);
    let agent = Agent::with(&bench, &[&key]);
    let beside = certify(&bench, &key);
    // Apart from the key, so that it is found by its name only.
    let certificate = bench.path("elsewhere.pub");
    std::fs::rename(beside, &certificate).unwrap();
    std::fs::remove_file(&key).unwrap();
    let named = format!("CertificateFile {}", certificate.display());
    for (lines, gets_in) in [
        (format!("{named}\nIdentityFile {}.pub", key.display()), true),
        (
            format!(
                "{named}\nIdentitiesOnly yes\nIdentityFile {}.pub",
                key.display()
            ),
            true,
        ),
        (named.clone(), true),
        (format!("{named}\nIdentitiesOnly yes"), false),
    ] {
        let mut request = bench.request("bob", "id -un", &lines);
        request.env.variables = vec![("SSH_AUTH_SOCK".to_owned(), agent.1.clone())];
        let ran = run(request).await;
        assert_eq!(ran.is_ok(), gets_in, "{lines}: {ran:?}");
    }
}

#[tokio::test]
async fn f41_two_factors_are_given_one_after_the_other() {
    let bench = Bench::new(SshdOptions::default().line("AuthenticationMethods publickey,password"));
    bench
        .machine
        .sh("echo 'ann:both' | chpasswd -c SHA512 -s 1000");
    let mut request = bench.request("ann", "id -un", "");
    request.password = secret("both");
    assert_eq!(run(request).await.unwrap().output, "ann\n");
    let error = run(bench.request("ann", "id -un", "")).await.unwrap_err();
    assert!(
        matches!(error, SshError::PasswordRequired { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn b001_gssapi_matters_only_where_nothing_else_gets_in() {
    let options = SshdOptions::default()
        .line("GSSAPIAuthentication yes")
        .line("PasswordAuthentication no");
    let bench = Bench::new(options);
    let line = "GSSAPIAuthentication yes\nPKCS11Provider /nowhere.so";
    assert_eq!(
        run(bench.request("ann", "id -un", line))
            .await
            .unwrap()
            .output,
        "ann\n"
    );
    let error = run(bench.request("bob", "id -un", line)).await.unwrap_err();
    assert!(
        matches!(error, SshError::UnsupportedDirective(_)),
        "{error:?}"
    );
    assert!(error.to_string().contains("ssh_path"), "{error}");
}

#[tokio::test]
async fn f49_a_banner_is_told_and_not_taken_for_a_question() {
    let bench = Bench::new(SshdOptions::default().line("Banner /etc/banner"));
    bench
        .machine
        .write("/etc/banner", b"Enter your password:\npassword: ", "644");
    let mut request = bench.request("ann", "true", "");
    request.password = secret("unused");
    let session = offshoot_ssh::open(request).await.unwrap();
    assert!(
        session.banner.contains("Enter your password:"),
        "{:?}",
        session.banner
    );
}

#[tokio::test]
async fn f38_an_account_that_may_not_run_commands_says_so() {
    let bench = plain();
    bench.machine.sh("usermod -s /usr/sbin/nologin ann");
    let ran = run(bench.request("ann", "id", "")).await.unwrap();
    assert_eq!(ran.ended, Ended::Exit(1));
    assert!(ran.output.contains("not available"), "{ran:?}");
}

#[tokio::test]
async fn b001_variables_go_along_as_configured() {
    let bench = Bench::new(SshdOptions::default().line("AcceptEnv MINE"));
    let ran = run(bench.request("ann", "echo $MINE", "SetEnv MINE=yes"))
        .await
        .unwrap();
    assert_eq!(ran.output, "yes\n");
}

#[tokio::test]
async fn s096_a_question_that_nobody_can_answer_fails_fast_with_its_text() {
    let options = SshdOptions::default();
    let bench = Bench::new(options.line(BY_QUESTIONS).line("PasswordAuthentication no"));
    // After the right password the server wants a new one.
    bench.machine.sh("chage -d 0 bob");
    let mut request = bench.request("bob", "true", "");
    request.password = secret("bob's secret");
    match run(request).await.unwrap_err() {
        SshError::Prompt { prompt, .. } => assert!(prompt.contains("password"), "{prompt}"),
        other => panic!("{other:?}"),
    }
}

/// Keeps all that any library logs.
struct Log(std::sync::Mutex<String>);

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        use std::fmt::Write as _;
        let _ = writeln!(self.0.lock().unwrap(), "{}", record.args());
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn t14_no_log_of_any_level_has_a_secret() {
    static LOG: Log = Log(std::sync::Mutex::new(String::new()));
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let bench = Bench::new(SshdOptions::default().line(BY_QUESTIONS));
    let key = bench.key("k", &["-t", "ed25519", "-N", "open sesame"]);
    bench.let_in("ann", &key);
    let mut request = bench.request("ann", "true", "");
    request.overrides.identity_file = Some(key);
    request.passphrase = secret("open sesame");
    run(request).await.unwrap();
    for (password, line) in [
        ("bob's secret", ""),
        ("bob's secret", "KbdInteractiveAuthentication no"),
        ("wr0ng secret", ""),
    ] {
        let mut request = bench.request("bob", "true", line);
        request.password = secret(password);
        let _ = run(request).await;
    }
    log::set_max_level(log::LevelFilter::Off);
    let all = LOG.0.lock().unwrap().clone();
    assert!(all.contains("userauth_success"), "the library logs here");
    // Also as the list of numbers that a slice of bytes is printed as.
    for secret in ["bob's secret", "wr0ng secret", "open sesame"] {
        let numbers: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
        for form in [secret.to_owned(), numbers.join(", ")] {
            assert!(!all.contains(&form), "{secret} is logged");
        }
    }
}

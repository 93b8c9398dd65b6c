//! Another machine, by each of the two clients: what works, and what does not, is the same.

use std::time::{Duration, Instant};

use e2e::with_router;
use offshoot::{
    AccessError, CheckHostKeys, ConnectError, HostKeyError, NetworkError, PasswordError,
};
use offshoot_bed::{Machine, SshdOptions, User};

use crate::world::{
    Client, Door, PASSWORD, is_empty, no_litter, over_both, refused, start, take_turn, uid,
    with_bob, works,
};

#[test]
fn s091_ssh_makes_a_context_cold_and_warm_and_leaves_nothing() {
    over_both(ssh_makes_a_context_cold_and_warm_and_leaves_nothing);
}

fn ssh_makes_a_context_cold_and_warm_and_leaves_nothing(client: Client) {
    let machine = start(&with_bob());
    let door = Door::by(client, &machine);
    with_router(async |router| {
        for _ in ["cold", "warm"] {
            let bob = door.ssh(&router, "bob").await.unwrap();
            let port = machine.ssh_addr().port();
            assert_eq!(bob.name(), format!("ssh.127.0.0.1:{port}"));
            works(&bob).await;
            assert_eq!(uid(&bob).await, 1000);
            let cached = machine.sh("ls /home/bob/.cache/offshoot | wc -l");
            assert_eq!(cached, "1");
        }
    });
    is_empty(&machine);
    no_litter(&machine);
}

#[test]
fn s081_process_listings_show_whose_child_it_is() {
    over_both(process_listings_show_whose_child_it_is);
}

fn process_listings_show_whose_child_it_is(client: Client) {
    let machine = start(&with_bob());
    let door = Door::by(client, &machine);
    with_router(async |router| {
        let _named = door
            .ssh(&router, "bob")
            .remote_name("build-7")
            .await
            .unwrap();
        let list = machine.sh("ps -u bob -o args");
        assert!(list.contains("offshoot:build-7 serve"), "{list}");
        let _default = door.ssh(&router, "bob").await.unwrap();
        let list = machine.sh("ps -u bob -o args");
        let suffix = format!(":{} serve", std::process::id());
        assert!(list.contains(&suffix), "{list}");
    });
}

#[test]
fn s096_a_password_lets_one_in_and_a_wrong_one_does_not() {
    over_both(a_password_lets_one_in_and_a_wrong_one_does_not);
}

fn a_password_lets_one_in_and_a_wrong_one_does_not(client: Client) {
    let machine = start(&with_bob());
    let door = Door::by(client, &machine);
    with_router(async |router| {
        let bob = door.knock(&router, "bob").password(PASSWORD).await.unwrap();
        works(&bob).await;
        let error = refused(door.knock(&router, "bob").password("wrong").await);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Incorrect(_))),
            "{error:?}"
        );
        let began = Instant::now();
        let error = refused(door.knock(&router, "bob").await);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Required(_))),
            "{error:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(3), "it fails at once");
        let tried = machine.sh("grep -c 'Failed password' /var/log/sshd.log || :");
        assert_eq!(tried, "1", "a wrong password is tried once");
    });
    is_empty(&machine);
}

#[test]
fn s096_keyboard_interactive_is_answered_like_a_password() {
    over_both(keyboard_interactive_is_answered_like_a_password);
}

fn keyboard_interactive_is_answered_like_a_password(client: Client) {
    let options = SshdOptions::default()
        .line("PasswordAuthentication no")
        .line("KbdInteractiveAuthentication yes");
    let bob = User::new("bob").password(PASSWORD);
    let machine = start(&Machine::builder().sshd(options).user(bob));
    let door = Door::by(client, &machine);
    with_router(async |router| {
        let bob = door.knock(&router, "bob").password(PASSWORD).await.unwrap();
        works(&bob).await;
        let error = refused(door.knock(&router, "bob").password("wrong").await);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Incorrect(_))),
            "{error:?}"
        );
    });
}

#[test]
fn f41_refused_credentials_name_the_methods() {
    over_both(refused_credentials_name_the_methods);
}

fn refused_credentials_name_the_methods(client: Client) {
    let options = SshdOptions::default().line("PasswordAuthentication no");
    let user = User::new("bob").without_key();
    let machine = start(&Machine::builder().sshd(options).user(user));
    let door = Door::by(client, &machine);
    with_router(async |router| {
        let error = refused(door.ssh(&router, "bob").password("unused").await);
        let ConnectError::Access(AccessError::AuthenticationRefused { methods, .. }) = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(methods, &["publickey"]);
    });
}

#[test]
fn s097_an_encrypted_identity_wants_its_passphrase() {
    over_both(an_encrypted_identity_wants_its_passphrase);
}

fn an_encrypted_identity_wants_its_passphrase(client: Client) {
    let machine = start(&with_bob());
    let door = Door::by(client, &machine);
    machine.sh("cp /run/bed/id /run/bed/enc; ssh-keygen -q -p -f /run/bed/enc -N opensesame");
    let identity = machine.identity().with_file_name("enc");
    let identity = identity.to_str().unwrap();
    with_router(async |router| {
        let ssh = || door.knock(&router, "bob").identity_file(identity);
        works(&ssh().passphrase("opensesame").await.unwrap()).await;
        door.configure("PasswordAuthentication no");
        let no_password = ssh;
        let error = refused(no_password().await);
        assert!(
            matches!(&error, ConnectError::Password(PasswordError::PassphraseRequired { key, .. }) if key == identity),
            "{error:?}"
        );
        let error = refused(no_password().passphrase("wrong").await);
        assert!(
            matches!(
                error,
                ConnectError::Password(PasswordError::PassphraseIncorrect { .. })
            ),
            "{error:?}"
        );
        let error = refused(ssh().identity_file("/no/such/key").await).to_string();
        assert!(error.contains("`/no/such/key` cannot be read"), "{error}");
    });
}

#[test]
fn b002_host_keys_are_judged_in_each_mode() {
    over_both(host_keys_are_judged_in_each_mode);
}

fn host_keys_are_judged_in_each_mode(client: Client) {
    let options = SshdOptions::default().host_keys(&["ed25519", "ecdsa"]);
    let machine = start(&Machine::builder().sshd(options).user(User::new("bob")));
    let door = Door::by(client, &machine);
    let other = start(&with_bob());
    let addr = machine.ssh_addr();
    let changed = format!("[{}]:{} {}\n", addr.ip(), addr.port(), other.host_key());
    let revoked = format!("@revoked {}", machine.known_hosts_line());
    let known = machine.known_hosts_line();
    let file = door.known_hosts();
    with_router(async |router| {
        let connect = async |check, content: &str| {
            std::fs::write(&file, content).unwrap();
            let made = door.ssh(&router, "bob").check_host_keys(check).await;
            (made, std::fs::read_to_string(&file).unwrap())
        };
        use CheckHostKeys::{Accept, Enforce, Ignore};
        let (made, after) = connect(Enforce, "").await;
        let error = refused(made);
        assert!(
            matches!(error, ConnectError::HostKey(HostKeyError::Unknown(_))),
            "{error:?}"
        );
        assert_eq!(after, "");
        let (made, after) = connect(Accept, "").await;
        made.unwrap();
        assert!(after.contains("ssh-ed25519"), "it is learnt: {after}");
        for check in [Enforce, Accept] {
            let (made, after) = connect(check, &changed).await;
            let error = refused(made);
            assert!(
                matches!(error, ConnectError::HostKey(HostKeyError::Changed(_))),
                "{error:?}"
            );
            assert_eq!(after, changed);
            let (made, _) = connect(check, &revoked).await;
            let error = refused(made);
            assert!(
                matches!(error, ConnectError::HostKey(HostKeyError::Revoked(_))),
                "{error:?}"
            );
            let (made, _) = connect(check, &known).await;
            made.unwrap();
        }
        for content in [&*changed, &*revoked] {
            let (made, after) = connect(Ignore, content).await;
            made.unwrap();
            assert_eq!(after, content, "what is known stays");
        }
        let (made, after) = connect(Ignore, "").await;
        made.unwrap();
        assert!(after.contains("ssh-ed25519"), "it is learnt: {after}");
    });
}

#[test]
fn f50_a_network_that_fails_is_named() {
    take_turn();
    over_both(network_that_fails);
}

fn network_that_fails(client: Client) {
    with_router(async |router| {
        let to = |host: &str| {
            let ssh = client.with(router.ssh(host)).config_file("none");
            ssh.connect_timeout(Duration::from_secs(5))
        };
        let error = refused(to("127.0.0.1").port(1).await);
        assert!(
            matches!(error, ConnectError::Network(NetworkError::Refused(_))),
            "{error:?}"
        );
        let error = refused(to("no-such-host.invalid").await);
        assert!(
            matches!(
                error,
                ConnectError::Network(NetworkError::NameResolution(_))
            ),
            "{error:?}"
        );
        let error = refused(to("web1").ssh_path("/no/such/ssh").await);
        assert!(
            matches!(&error, ConnectError::ToolMissing { tool, .. } if tool == "/no/such/ssh"),
            "{error:?}"
        );
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let began = Instant::now();
        let patience = Duration::from_millis(1500);
        let error = refused(to("127.0.0.1").port(port).connect_timeout(patience).await);
        assert!(began.elapsed() < Duration::from_secs(4));
        assert!(
            matches!(
                error,
                ConnectError::Timeout { .. } | ConnectError::Network(NetworkError::TimedOut(_))
            ),
            "{error:?}"
        );
    });
}

#[test]
fn f38_a_shell_that_refuses_is_quoted() {
    let options = SshdOptions::default().last("Match User jim\n  ForceCommand echo backups only");
    let user = |name: &str, shell: &str| User::new(name).shell(shell);
    let builder = Machine::builder()
        .sshd(options)
        .user(user("eve", "/usr/sbin/nologin"))
        .user(user("ann", "/bin/false"))
        .user(User::new("jim"));
    let machine = start(&builder);
    over_both(|client| {
        let door = Door::by(client, &machine);
        with_router(async |router| {
            for (name, words) in [
                ("eve", "This account is currently not available"),
                ("ann", ""),
                ("jim", "backups only"),
            ] {
                let error = refused(door.ssh(&router, name).await);
                let ConnectError::Access(AccessError::ShellRefused { said, status }) = &error
                else {
                    panic!("{name}: {error:?}");
                };
                assert!(said.words.contains(words), "{said:?}");
                assert!(status.contains("exited with return code"), "{status}");
            }
        });
    });
    is_empty(&machine);
}

#[test]
fn f49_a_banner_that_says_password_is_no_prompt() {
    over_both(a_banner_that_says_password_is_no_prompt);
}

fn a_banner_that_says_password_is_no_prompt(client: Client) {
    let options = SshdOptions::default().line("Banner /etc/issue.bed");
    let builder = Machine::builder()
        .sshd(options)
        .user(User::new("bob").password(PASSWORD).file(
            ".bashrc",
            "echo 'Password: '; echo -n 'bob@127.0.0.1s password: ' >&2; \
             echo 'Permission denied (publickey).' >&2\n",
        ))
        .run("echo 'enter your password: ' >/etc/issue.bed");
    let machine = start(&builder);
    let door = Door::by(client, &machine);
    with_router(async |router| {
        works(
            &door
                .ssh(&router, "bob")
                .password("never sent")
                .await
                .unwrap(),
        )
        .await;
    });
    let log = machine.sh("grep -c password /var/log/sshd.log || :");
    assert_eq!(log, "0", "no password was tried");
}

#[test]
fn s083_a_child_that_is_there_already_is_not_sent() {
    over_both(a_child_that_is_there_already_is_not_sent);
}

fn a_child_that_is_there_already_is_not_sent(client: Client) {
    let machine = start(&with_bob());
    let door = Door::by(client, &machine);
    with_router(async |router| {
        let _cold = door.ssh(&router, "bob").await.unwrap();
        machine.sh("mv /home/bob/.cache/offshoot/* /opt/child; chmod 755 /opt/child");
        let there = door
            .ssh(&router, "bob")
            .child_path("/opt/child")
            .await
            .unwrap();
        works(&there).await;
        assert_eq!(machine.sh("ls /home/bob/.cache/offshoot"), "");
        let error = refused(door.ssh(&router, "bob").child_path("/opt/none").await).to_string();
        assert!(error.contains("/opt/none"), "{error}");
    });
}

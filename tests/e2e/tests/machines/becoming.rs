//! Other users, by `sudo`, `su` and `doas`, from a context of bob's.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use e2e::with_router;
use offshoot::{AccessError, ConnectError, Context, Error, PasswordError, Router};
use offshoot_bed::{Builder, User};

use crate::world::{
    Door, PASSWORD, is_empty, no_litter, refused, start, uid, with_bob, with_stand_in, works,
};

/// Runs a test with a context of bob's on the machine.
fn as_bob(builder: &Builder, test: impl AsyncFnOnce(&Router, &Context)) {
    let machine = start(builder);
    let door = Door::to(&machine);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        test(&router, &bob).await;
    });
    is_empty(&machine);
    no_litter(&machine);
}

async fn is_root(made: Result<Context, Error>) {
    let root = made.unwrap_or_else(|error| panic!("{error}"));
    works(&root).await;
    assert_eq!(uid(&root).await, 0);
}

#[test]
fn s087_sudo_makes_a_context_cold_and_warm() {
    let builder = with_bob().sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL");
    as_bob(&builder, async |router, bob| {
        for _ in ["cold", "warm"] {
            let root = router.sudo().via(bob).await.unwrap();
            assert_eq!(root.name(), format!("{}.sudo.root", bob.name()));
            works(&root).await;
            assert_eq!(uid(&root).await, 0);
        }
        // A password that nobody asks for is not sent.
        is_root(router.sudo().password("unused").via(bob).await).await;
    });
}

#[test]
fn f45_sudo_asks_for_a_password_however_it_is_set_up() {
    for defaults in [
        "Defaults lecture=always",
        "Defaults requiretty",
        "Defaults use_pty",
        "Defaults log_output, log_input",
        "Defaults pwfeedback",
        "Defaults passprompt_override, passprompt=\"Kennwort: \"",
        "Defaults !use_pty, requiretty, log_output",
    ] {
        let builder = with_bob()
            .sudoers("bob ALL=(ALL:ALL) ALL")
            .sudoers(defaults);
        as_bob(&builder, async |router, bob| {
            let root = router.sudo().password(PASSWORD).via(bob).await;
            is_root(root.map_err(|error| panic!("{defaults}: {error}"))).await;
        });
    }
}

#[test]
fn s088_sudo_without_a_password_says_that_it_is_required() {
    let builder = with_bob().sudoers("bob ALL=(ALL:ALL) ALL");
    as_bob(&builder, async |router, bob| {
        let began = Instant::now();
        let error = router.sudo().via(bob).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(1), "it fails at once");
        let text = error.to_string();
        assert!(text.contains("sudo password is required"), "{text}");
        assert!(text.contains(bob.name()), "it names the hop: {text}");
        let error = refused(Err(error));
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Required(_))),
            "{error:?}"
        );
    });
}

#[test]
fn s089_a_wrong_password_is_tried_once() {
    let builder = with_bob()
        .sudoers("bob ALL=(ALL:ALL) ALL")
        .sudoers("Defaults badpass_message=once-more");
    let machine = start(&builder);
    let door = Door::to(&machine);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        let error = refused(router.sudo().password("wr0ng").via(&bob).await);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Incorrect(_))),
            "{error:?}"
        );
        let text = format!("{error} {error:?}");
        assert!(!text.contains("wr0ng"), "{text}");
        let text = error.to_string();
        assert_eq!(text.matches("once-more").count(), 1, "{text}");
        works(&bob).await;
    });
    is_empty(&machine);
}

#[test]
fn f46_what_sudo_does_not_permit_is_named() {
    let builder = with_bob()
        .user(User::new("www"))
        .sudoers("bob ALL=(www) NOPASSWD: ALL");
    as_bob(&builder, async |router, bob| {
        let www = router.sudo().username("www").via(bob).await.unwrap();
        assert_eq!(uid(&www).await, 1001);
        let error = refused(router.sudo().password(PASSWORD).via(bob).await);
        assert!(
            matches!(error, ConnectError::Access(AccessError::NotPermitted(_))),
            "{error:?}"
        );
        let error = refused(router.sudo().username("nosuch").via(bob).await);
        assert!(
            matches!(error, ConnectError::Access(AccessError::NoSuchUser(_))),
            "{error:?}"
        );
        let error = refused(router.sudo().sudo_path("/no/sudo").via(bob).await);
        assert!(matches!(&error, ConnectError::ToolMissing { tool, .. } if tool == "/no/sudo"));
    });
    as_bob(&with_bob(), async |router, bob| {
        let error = refused(router.sudo().password(PASSWORD).via(bob).await);
        let ConnectError::Access(AccessError::NotPermitted(said)) = &error else {
            panic!("{error:?}");
        };
        assert!(
            said.words.contains("bob is not in the sudoers file"),
            "{said:?}"
        );
    });
}

#[test]
fn b003_sudos_options_reach_it() {
    let builder = with_bob()
        .sudoers("bob ALL=(ALL:ALL) NOPASSWD:SETENV: ALL")
        .sudoers("Defaults !always_set_home, !set_home, env_keep += HOME")
        .run("echo 'cd /etc; export LOGIN_SHELL=$0' >>/root/.profile; echo ok >/root/.hushlogin");
    let machine = start(&builder);
    let door = Door::to(&machine);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        let environment = |name: &str| {
            machine.sh(&format!(
                "for p in $(pgrep -u root -f offshoot:{name}); do tr '\\0' '\\n' </proc/$p/environ; done"
            ))
        };
        let sudo = |name: &str| router.sudo().remote_name(name).via(&bob);
        let _plain = sudo("plain").await.unwrap();
        assert!(
            environment("plain").contains("HOME=/home/bob"),
            "{}",
            environment("plain")
        );
        let _home = sudo("home").set_home(true).await.unwrap();
        assert!(
            environment("home").contains("HOME=/root"),
            "{}",
            environment("home")
        );
        let kept = sudo("kept").preserve_env(true).await.unwrap();
        assert!(
            environment("kept").contains("SSH_CONNECTION="),
            "{}",
            environment("kept")
        );
        works(&kept).await;
        let login = sudo("login").login(true).await.unwrap();
        works(&login).await;
        assert!(
            environment("login").contains("LOGIN_SHELL="),
            "{}",
            environment("login")
        );
        let words = router.sudo().sudo_args(["-H", "-u", "root"]).unwrap();
        is_root(words.via(&bob).await).await;
        let error = router.sudo().sudo_args(["--derps"]).err().unwrap();
        assert_eq!(error.to_string(), "sudo: no such option: --derps");
    });
}

#[test]
fn f48_sudos_prompt_is_found_in_the_form_of_sudo_rs() {
    as_bob(&with_stand_in("sudo-rs"), async |router, bob| {
        let sudo = || router.sudo().sudo_path("sudo-rs").via(bob);
        works(&sudo().password(PASSWORD).await.unwrap()).await;
        let error = refused(sudo().password("wrong").await);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Incorrect(_))),
            "{error:?}"
        );
    });
}

#[test]
fn f48_sudo_rs_itself_is_as_good() {
    let program = std::env::current_exe().unwrap().with_file_name("sudo-rs");
    let Ok(program) = std::fs::read(&program) else {
        eprintln!(
            "not tried: there is no {}; `cargo xtask test` makes it",
            program.display()
        );
        return;
    };
    let builder = with_bob()
        .user(User::new("eve").password(PASSWORD))
        .sudoers("bob ALL=(ALL:ALL) ALL");
    let machine = start(&builder);
    let mut install = machine.command(&[
        "sh",
        "-c",
        "cat >/usr/local/bin/sudo-rs && chmod 4755 /usr/local/bin/sudo-rs",
    ]);
    let mut install = install.stdin(Stdio::piped()).spawn().unwrap();
    install.stdin.take().unwrap().write_all(&program).unwrap();
    assert!(install.wait().unwrap().success());
    let door = Door::to(&machine);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        let sudo = || router.sudo().sudo_path("sudo-rs");
        for _ in ["cold", "warm"] {
            is_root(sudo().password(PASSWORD).via(&bob).await).await;
        }
        let eve = sudo().username("eve").password(PASSWORD).via(&bob).await;
        assert_eq!(uid(&eve.unwrap()).await, 1001);
        let error = refused(sudo().password("wrong").via(&bob).await);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Incorrect(_))),
            "{error:?}"
        );
        let error = refused(sudo().via(&bob).await);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Required(_))),
            "{error:?}"
        );
        let nobody = sudo().username("nosuch").password(PASSWORD);
        let error = refused(nobody.via(&bob).await);
        assert!(
            matches!(error, ConnectError::Access(AccessError::NoSuchUser(_))),
            "{error:?}"
        );
        let eve = door.ssh(&router, "eve").await.unwrap();
        let error = refused(sudo().password(PASSWORD).via(&eve).await);
        assert!(
            matches!(error, ConnectError::Access(AccessError::NotPermitted(_))),
            "{error:?}"
        );
    });
    is_empty(&machine);
    no_litter(&machine);
}

#[test]
fn t13_a_fake_prompt_never_gets_the_password() {
    let fake = "#!/bin/bash\nexec 3<>/dev/tty\n\
        printf '[sudo] password for bob: ' >&3; printf 'Password: ' >&2; printf 'Password: '\n\
        (timeout 1 cat <&3; timeout 1 cat) >/tmp/stolen 2>/dev/null\nexit 1\n";
    let builder = with_bob().sudoers("bob ALL=(ALL:ALL) ALL").run(&format!(
        "cat >/usr/local/bin/fake <<'E'\n{fake}\nE\nchmod 755 /usr/local/bin/fake"
    ));
    let machine = start(&builder);
    let door = Door::to(&machine);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        refused(
            router
                .sudo()
                .sudo_path("fake")
                .password(PASSWORD)
                .via(&bob)
                .await,
        );
        assert_eq!(machine.sh("cat /tmp/stolen"), "");
    });
}

#[test]
fn b004_su_makes_a_context_and_names_what_goes_wrong() {
    let builder = with_bob().user(User::new("amy").password("amys-own"));
    as_bob(&builder, async |router, bob| {
        for _ in ["cold", "warm"] {
            let amy = router.su().username("amy").password("amys-own").via(bob);
            let amy = amy.await.unwrap();
            assert_eq!(amy.name(), format!("{}.su.amy", bob.name()));
            works(&amy).await;
            assert_eq!(uid(&amy).await, 1001);
        }
        let began = Instant::now();
        let error = refused(router.su().username("amy").via(bob).await);
        assert!(began.elapsed() < Duration::from_secs(1), "it fails at once");
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Required(_))),
            "{error:?}"
        );
        let error = refused(router.su().username("amy").password("wrong").via(bob).await);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Incorrect(_))),
            "{error:?}"
        );
        let error = refused(router.su().username("nosuch").via(bob).await);
        assert!(
            matches!(error, ConnectError::Access(AccessError::NoSuchUser(_))),
            "{error:?}"
        );
    });
}

#[test]
fn f69_a_su_that_wants_a_terminal_gets_one_and_every_byte_passes() {
    let builder = with_bob().user(User::new("amy").password("amys-own")).run(
        "cat >/usr/local/bin/old-su <<'E'\n#!/bin/sh\n[ -t 0 ] || { \
             echo 'su: must be run from a terminal' >&2; exit 1; }\nexec su \"$@\"\nE\n\
             chmod 755 /usr/local/bin/old-su",
    );
    as_bob(&builder, async |router, bob| {
        let su = || router.su().su_path("old-su").username("amy").via(bob);
        for _ in ["cold", "warm"] {
            let amy = su().password("amys-own").await.unwrap();
            works(&amy).await;
            assert_eq!(uid(&amy).await, 1001);
        }
        let error = refused(su().password("wrong").await);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Incorrect(_))),
            "{error:?}"
        );
    });
}

#[test]
fn b005_doas_makes_a_context_and_names_what_goes_wrong() {
    as_bob(
        &with_bob().doas("permit bob as root"),
        async |router, bob| {
            for _ in ["cold", "warm"] {
                let root = router.doas().password(PASSWORD).via(bob).await.unwrap();
                assert_eq!(root.name(), format!("{}.doas.root", bob.name()));
                works(&root).await;
                assert_eq!(uid(&root).await, 0);
            }
            let error = refused(router.doas().via(bob).await);
            assert!(
                matches!(error, ConnectError::Password(PasswordError::Required(_))),
                "{error:?}"
            );
            let error = refused(router.doas().password("wrong").via(bob).await);
            assert!(
                matches!(error, ConnectError::Password(PasswordError::Incorrect(_))),
                "{error:?}"
            );
        },
    );
    as_bob(
        &with_bob().doas("permit nopass bob as root"),
        async |router, bob| {
            is_root(router.doas().via(bob).await).await;
            is_root(router.doas().password("unused").via(bob).await).await;
        },
    );
    as_bob(
        &with_bob().doas("permit root as root"),
        async |router, bob| {
            let error = refused(router.doas().password(PASSWORD).via(bob).await);
            assert!(
                matches!(error, ConnectError::Access(AccessError::NotPermitted(_))),
                "{error:?}"
            );
        },
    );
}

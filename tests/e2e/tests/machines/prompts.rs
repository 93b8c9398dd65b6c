//! Whom `sudo`, `su` and `doas` let in and whom not, in the words of whichever language, and where
//! the password goes: to the tool that asks for it, once, and to nobody else.

use e2e::with_router;
use offshoot::{AccessError, ConnectError, Context, Error, PasswordError, Router};
use offshoot_bed::{Builder, Machine, User};

use crate::world::{
    Door, PASSWORD, is_empty, no_litter, refused, start, uid, with_bob, with_stand_in, works,
};

/// Runs a test with a context of bob's on the machine.
fn as_bob(builder: &Builder, test: impl AsyncFnOnce(&Router, &Context, &Machine)) {
    let machine = start(builder);
    let door = Door::to(&machine);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        test(&router, &bob, &machine).await;
        works(&bob).await;
    });
    is_empty(&machine);
    no_litter(&machine);
}

fn with_sudo() -> Builder {
    with_bob().sudoers("bob ALL=(ALL:ALL) ALL")
}

async fn is(made: Result<Context, Error>, user: u32) {
    let context = made.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(uid(&context).await, user);
}

/// Why one is refused, in one word. The error must name the hop.
#[track_caller]
fn kind(made: Result<Context, Error>, hop: &str) -> &'static str {
    let error = made.map(|context| context.name().to_owned()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("in {hop}: ")), "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
    println!("{text}");
    let error = refused(Err(error));
    match &error {
        ConnectError::Password(PasswordError::Required(_)) => "required",
        ConnectError::Password(PasswordError::Incorrect(_)) => "incorrect",
        ConnectError::Password(PasswordError::UnknownPrompt { .. }) => "unknown prompt",
        ConnectError::Password(PasswordError::Withheld { .. }) => "withheld",
        ConnectError::Access(AccessError::NotPermitted(_)) => "not permitted",
        ConnectError::Access(AccessError::NoSuchUser(_)) => "no such user",
        ConnectError::Access(AccessError::AccountLocked(_)) => "locked",
        ConnectError::Access(AccessError::AccountExpired(_)) => "expired",
        ConnectError::Access(AccessError::BrokenTool(_)) => "broken",
        ConnectError::Access(AccessError::RequireTty(_)) => "wants a terminal",
        ConnectError::Access(AccessError::ShellRefused { .. }) => "shell",
        other => panic!("{other:?}"),
    }
}

#[test]
fn s090_a_password_that_is_not_asked_for_is_not_sent() {
    // What is typed on a terminal and not read is still there for whoever reads it next: here for
    // a program that sudo lets in at once.
    let nosy = "#!/bin/bash\nexec 3<>/dev/tty\n(timeout 2 cat <&3 >/tmp/typed; : >/tmp/done) &\n\
        while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"\n";
    let builder = with_bob()
        .sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL")
        .doas("permit nopass bob as root")
        .run(&format!(
            "cat >/usr/local/bin/nosy <<'E'\n{nosy}\nE\nchmod 755 /usr/local/bin/nosy"
        ));
    as_bob(&builder, async |router, bob, machine| {
        is(router.sudo().password(PASSWORD).via(bob).await, 0).await;
        is(router.doas().password(PASSWORD).via(bob).await, 0).await;
        let root = router.sudo().via(bob).await.unwrap();
        let by_root = router.su().username("bob").password(PASSWORD).via(&root);
        is(by_root.await, 1000).await;
        let nosy = router.sudo().sudo_path("nosy").password(PASSWORD).via(bob);
        is(nosy.await, 1000).await;
        machine.sh("until [ -e /tmp/done ]; do sleep 0.05; done");
        assert_eq!(machine.sh("cat /tmp/typed"), "");
    });
}

#[test]
fn t13_a_prompt_that_comes_late_gets_nothing() {
    // It asks in sudo's own words and is answered; then it lets one in and asks again.
    let builder = with_stand_in("sudo-twice");
    as_bob(&builder, async |router, bob, machine| {
        let made = router.sudo().sudo_path("sudo-twice").password(PASSWORD);
        let context = made.via(bob).await.unwrap();
        works(&context).await;
        machine.sh("until [ -e /tmp/done ]; do sleep 0.05; done");
        assert_eq!(machine.sh("cat /tmp/first"), PASSWORD);
        assert_eq!(machine.sh("cat /tmp/second"), "", "that was one too many");
    });
}

#[test]
fn a_prompt_is_answered_once_the_terminal_shows_nothing_of_the_answer() {
    as_bob(&with_stand_in("sudo-slow"), async |router, bob, machine| {
        let made = router.sudo().sudo_path("sudo-slow").password(PASSWORD);
        works(&made.via(bob).await.unwrap()).await;
        assert_eq!(machine.sh("ls /tmp | grep early || :"), "");
    });
}

#[test]
fn where_proc_hides_processes_sudos_own_prompt_is_answered_and_no_other() {
    let builder = with_sudo()
        .user(User::new("amy").password("amys-own"))
        .run("mount -o remount,hidepid=2 /proc");
    as_bob(&builder, async |router, bob, _| {
        is(router.sudo().password(PASSWORD).via(bob).await, 0).await;
        let made = router.su().username("amy").password("amys-own").via(bob);
        assert_eq!(kind(made.await, bob.name()), "withheld");
    });
}

#[test]
fn f45_sudo_may_ask_for_the_password_of_others() {
    for (defaults, password) in [
        ("Defaults targetpw", "roots-own"),
        ("Defaults rootpw", "roots-own"),
        ("Defaults runaspw, runas_default=root", "roots-own"),
        ("Defaults timestamp_timeout=0", PASSWORD),
        ("Defaults timestamp_type=global", PASSWORD),
        ("Defaults insults, lecture=always, pwfeedback", PASSWORD),
        (
            "Defaults use_pty, log_input, log_output, requiretty",
            PASSWORD,
        ),
    ] {
        let builder = with_sudo()
            .sudoers(defaults)
            .run("echo root:roots-own | chpasswd -c SHA512 -s 1000");
        as_bob(&builder, async |router, bob, _| {
            // The second time sudo may remember the first one, and ask nothing.
            for _ in 0..2 {
                let made = router.sudo().password(password).via(bob).await;
                is(made.map_err(|error| panic!("{defaults}: {error}")), 0).await;
            }
            let wrong = router.sudo().password("wrong").via(bob);
            match wrong.await {
                Ok(_) => assert!(defaults.contains("global"), "{defaults}: it was asked for"),
                made => assert_eq!(kind(made, bob.name()), "incorrect", "{defaults}"),
            }
        });
    }
}

#[test]
fn f48_prompts_and_refusals_are_understood_in_a_foreign_language() {
    let builder = with_sudo()
        .user(User::new("amy").password("amys-own"))
        .doas("permit bob as root")
        .run("localedef -i de_DE -f UTF-8 /usr/lib/locale/de_DE.UTF-8")
        .run(
            "for v in LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8 LANGUAGE=de LC_MESSAGES=de_DE.UTF-8; do \
             echo $v >>/etc/environment; done",
        );
    as_bob(&builder, async |router, bob, machine| {
        let words = [
            "env",
            "LC_ALL=de_DE.UTF-8",
            "sudo",
            "-n",
            "-u",
            "nosuch",
            "true",
        ];
        let shown = machine.exec_as("bob", &words);
        let shown = String::from_utf8_lossy(&shown.stderr);
        if !shown.contains("Benutzer") {
            eprintln!("nothing is shown: sudo has no other language here ({shown})");
            return;
        }
        is(router.sudo().password(PASSWORD).via(bob).await, 0).await;
        is(router.doas().password(PASSWORD).via(bob).await, 0).await;
        let amy = || router.su().username("amy").via(bob);
        is(amy().password("amys-own").await, 1001).await;
        let hop = bob.name();
        assert_eq!(kind(router.sudo().via(bob).await, hop), "required");
        let made = router.sudo().password("wrong").via(bob).await;
        assert_eq!(kind(made, hop), "incorrect");
        let made = router.sudo().username("nosuch").password(PASSWORD).via(bob);
        assert_eq!(kind(made.await, hop), "no such user");
        assert_eq!(kind(amy().await, hop), "required");
        assert_eq!(kind(amy().password("wrong").await, hop), "incorrect");
        let made = router.su().username("nosuch").via(bob).await;
        assert_eq!(kind(made, hop), "no such user");
        let made = router.doas().password("wrong").via(bob).await;
        assert_eq!(kind(made, hop), "incorrect");
    });
}

#[test]
fn b048_a_machine_without_terminals_will_do_where_nothing_is_asked() {
    let builder = with_bob()
        .user(User::new("amy"))
        .sudoers("bob ALL=(root) NOPASSWD: ALL")
        .sudoers("bob ALL=(amy) ALL")
        .run("umount /dev/pts; rm /dev/ptmx");
    as_bob(&builder, async |router, bob, _| {
        is(router.sudo().via(bob).await, 0).await;
        is(router.sudo().password(PASSWORD).via(bob).await, 0).await;
        let amy = router.sudo().username("amy").password(PASSWORD).via(bob);
        assert_eq!(kind(amy.await, bob.name()), "wants a terminal");
    });
}

#[test]
fn f46_accounts_that_may_not_are_told_apart_by_sudo() {
    let builder = with_sudo()
        .user(User::new("svc").shell("/usr/sbin/nologin"))
        .user(User::new("none").shell("/bin/false"))
        .user(User::new("gone"))
        .sudoers("Defaults passwd_tries=1")
        .run("usermod -L gone; chage -E 1 gone");
    as_bob(&builder, async |router, bob, machine| {
        let hop = bob.name();
        let sudo = |user: &str| router.sudo().username(user).password(PASSWORD).via(bob);
        // What a shell forbids is nothing to sudo, unless it is to log in.
        is(sudo("svc").await, 1001).await;
        is(sudo("none").await, 1002).await;
        assert_eq!(kind(sudo("svc").login(true).await, hop), "shell");
        assert_eq!(kind(sudo("none").login(true).await, hop), "shell");
        // It is whoever asks whose account counts.
        machine.sh("chage -E 1 bob");
        // It is sudo who says so.
        assert_eq!(kind(sudo("root").await, hop), "locked");
        machine.sh("chage -E -1 bob; chage -d 0 bob");
        assert_eq!(kind(sudo("root").await, hop), "expired");
        machine.sh("chage -d 20000 bob; usermod -L bob");
        let locked = kind(sudo("root").await, hop);
        assert!(matches!(locked, "incorrect" | "locked"), "{locked}");
        machine.sh("usermod -U bob; chmod 755 /usr/bin/sudo");
        assert_eq!(kind(sudo("root").await, hop), "broken");
    });
}

#[test]
fn f47_accounts_that_may_not_are_told_apart_by_su() {
    let builder = with_bob()
        .user(User::new("svc").shell("/usr/sbin/nologin").password("pw"))
        .user(User::new("none").shell("/bin/false").password("pw"))
        .user(User::new("gone").password("pw"))
        .user(User::new("old").password("pw"))
        .user(User::new("shut").password("pw"))
        .run("chage -E 1 gone; chage -d 0 old; usermod -L shut");
    as_bob(&builder, async |router, bob, machine| {
        let hop = bob.name();
        let su = |user: &str| router.su().username(user).password("pw").via(bob);
        assert_eq!(kind(su("svc").await, hop), "shell");
        assert_eq!(kind(su("none").await, hop), "shell");
        assert_eq!(kind(su("gone").await, hop), "expired");
        assert_eq!(kind(su("old").await, hop), "expired");
        assert_eq!(kind(su("shut").await, hop), "incorrect");
        machine.sh("sed -i '1i auth requisite pam_wheel.so group=adm' /etc/pam.d/su");
        assert_eq!(kind(su("svc").await, hop), "not permitted");
        machine.sh("sed -i 1d /etc/pam.d/su; chmod 755 /usr/bin/su");
        let broken = kind(su("svc").await, hop);
        assert!(matches!(broken, "broken" | "withheld"), "{broken}");
    });
}

#[test]
fn f47_accounts_that_may_not_are_told_apart_by_doas() {
    let builder = with_bob()
        .user(User::new("svc").shell("/usr/sbin/nologin"))
        .doas("permit persist bob as root")
        .doas("permit nopass bob as svc")
        .doas("permit nopass bob as root cmd /bin/nosuch");
    as_bob(&builder, async |router, bob, machine| {
        let hop = bob.name();
        let doas = |user: &str| router.doas().username(user).password(PASSWORD).via(bob);
        is(doas("svc").await, 1001).await;
        assert_eq!(kind(doas("bob").await, hop), "not permitted");
        assert_eq!(kind(doas("nosuch").await, hop), "no such user");
        machine.sh("chage -E 1 bob");
        let made = kind(doas("root").await, hop);
        assert!(matches!(made, "incorrect" | "expired"), "{made}");
        machine.sh("chage -E -1 bob; rm /etc/doas.conf");
        let made = kind(doas("root").await, hop);
        assert!(matches!(made, "broken" | "not permitted"), "{made}");
        machine.sh("chmod 755 /usr/bin/doas");
        assert_eq!(kind(doas("root").await, hop), "broken");
    });
}

//! Plugins that try to replace code which another plugin, or another user, will run.
//!
//! The test's own process plays the machine: its children inherit `HOME`, and with it the places
//! that code is loaded from.

use std::path::Path;
use std::sync::OnceLock;

use e2e::with_router;
use offshoot::{Context, Grant};

use crate::guest::{Attempt, SUCCESS};

/// A home for this process and its children, so that no attempt that works hits the user's own.
fn home() -> String {
    static HOME: OnceLock<String> = OnceLock::new();
    let make = || {
        // It is compiled by programs that need the other home.
        e2e::plugin_file();
        let home = concat!(env!("CARGO_TARGET_TMPDIR"), "/hostile-home");
        std::fs::create_dir_all(home).unwrap();
        // SAFETY: all that reads the environment meanwhile is written in Rust, which has a lock
        // for it.
        unsafe {
            std::env::set_var("HOME", home);
            std::env::remove_var("XDG_CACHE_HOME");
            std::env::remove_var("XDG_STATE_HOME");
        }
        home.to_owned()
    };
    HOME.get_or_init(make).clone()
}

/// Runs a test in that home, where a plugin has been called: there are caches, and a secret.
fn at_home(test: impl AsyncFnOnce(Context, String)) {
    let home = home();
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let sum = context.call::<e2e_plugin::add>((1, 2)).await;
        assert_eq!(sum.unwrap(), 3);
        test(context, home).await;
    });
}

async fn check(context: &Context, attempt: Attempt<'_>, grants: &[Grant]) {
    let errno = attempt.run(context, grants).await;
    assert_ne!(errno, SUCCESS, "{attempt:?} with {grants:?}");
}

#[test]
fn no_write_grant_reaches_where_code_is_loaded_from() {
    at_home(async |context, home| {
        let cache = Path::new(&home).join(".cache/offshoot");
        let image = std::fs::read_dir(cache.join("images"))
            .expect("a cache of images")
            .flatten()
            .map(|entry| entry.file_name().into_string().unwrap())
            .next()
            .expect("an image");
        let before = std::fs::read(cache.join("images").join(&image)).unwrap();
        for (grant, below) in [
            (home.clone(), ".cache/offshoot/"),
            (format!("{home}/.cache"), "offshoot/"),
            (format!("{home}/.cache/offshoot"), ""),
            ("/".to_owned(), &format!("{home}/.cache/offshoot/")[1..]),
        ] {
            let grants = [Grant::Write(grant.clone())];
            let image = format!("{below}images/{image}");
            let new = format!("{below}images/new");
            let directory = format!("{below}images");
            let attempts = [
                Attempt::Write(&image),
                Attempt::Truncate(&image),
                Attempt::Create(&new),
                Attempt::MakeDirectory(&new),
                Attempt::Unlink(&image),
                Attempt::Touch(&image),
                Attempt::Symlink("elsewhere", &new),
                Attempt::Link(&image, &new),
                Attempt::Rename(&image, &new),
                Attempt::Rename(&directory, &new),
                Attempt::RemoveDirectory(&directory),
            ];
            for attempt in attempts {
                check(&context, attempt, &grants).await;
            }
        }
        let after = std::fs::read(cache.join("images").join(&image)).unwrap();
        assert_eq!(before, after);
    });
}

#[test]
fn what_leads_to_the_caches_keeps_its_name() {
    let outside = tempfile::tempdir().unwrap();
    let outside = Grant::Write(outside.path().to_str().unwrap().to_owned());
    at_home(async |context, home| {
        let home = Grant::Write(home);
        for name in [".cache", ".cache/offshoot", ".cache/offshoot/images"] {
            let away = format!("{name}.away");
            let rename = Attempt::Rename(name, &away);
            check(&context, rename, std::slice::from_ref(&home)).await;
            let there = Attempt::Rename(name, "there");
            check(&context, there, &[home.clone(), outside.clone()]).await;
        }
    });
}

#[test]
fn the_secret_that_seals_images_is_neither_read_nor_written() {
    at_home(async |context, home| {
        let secret = ".local/state/offshoot/image-key";
        assert!(Path::new(&home).join(secret).is_file());
        let grants = [Grant::Write(home.clone())];
        let renamed = format!("{secret}.new");
        for attempt in [
            Attempt::Read(secret),
            Attempt::Write(secret),
            Attempt::Unlink(secret),
            Attempt::Link(secret, "link"),
            Attempt::Rename(secret, &renamed),
            Attempt::Rename(".local/state", ".local/other"),
        ] {
            check(&context, attempt, &grants).await;
        }
        check(&context, Attempt::Read(secret), &[Grant::Read(home)]).await;
    });
}

#[test]
fn a_directory_of_code_that_is_not_there_yet_is_not_made() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let user = rustix::process::geteuid().as_raw();
        for shared in ["/tmp", "/var/tmp", "/dev/shm"] {
            let name = format!("offshoot-{user}");
            let grants = [Grant::Write(shared.to_owned())];
            if Path::new(shared).join(&name).exists() {
                continue;
            }
            check(&context, Attempt::MakeDirectory(&name), &grants).await;
            check(&context, Attempt::Symlink("elsewhere", &name), &grants).await;
            check(&context, Attempt::Create(&name), &grants).await;
        }
    });
}

#[test]
fn the_rest_of_a_granted_directory_is_written_as_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap().to_owned();
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let grants = [Grant::Write(path)];
        for attempt in [
            Attempt::MakeDirectory("a"),
            Attempt::Create("a/file"),
            Attempt::Write("a/file"),
            Attempt::Read("a/file"),
            Attempt::Touch("a/file"),
            Attempt::Link("a/file", "a/other"),
            Attempt::Symlink("file", "a/link"),
            Attempt::ReadLink("a/link"),
            Attempt::Read("a/link"),
            Attempt::Read("a/../a/link"),
            Attempt::Rename("a/other", "b"),
            Attempt::Truncate("b"),
            Attempt::Unlink("b"),
            Attempt::Unlink("a/link"),
            Attempt::Unlink("a/file"),
            Attempt::RemoveDirectory("a"),
        ] {
            let errno = attempt.run(&context, &grants).await;
            assert_eq!(errno, SUCCESS, "{attempt:?}");
        }
        check(&context, Attempt::Read("../x"), &grants).await;
        check(&context, Attempt::Read("/etc/passwd"), &grants).await;
        check(&context, Attempt::Symlink("/etc/passwd", "x"), &grants).await;
    });
}

//! What a plugin may touch: nothing, unless it was granted.

use e2e::{plugin, with_router};
use e2e_plugin as guest;
use offshoot::{Error, Grant};

#[test]
fn nothing_is_granted_by_default() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let error = context
            .call::<guest::read>(("/etc/hostname".into(),))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Call(_)), "{error:?}");
        assert_eq!(
            context
                .call::<guest::variable>(("PATH".into(),))
                .await
                .unwrap(),
            None
        );
    });
}

#[test]
fn a_granted_directory_can_be_read_and_not_written_and_not_left() {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap().to_owned();
    std::fs::write(directory.path().join("in"), "inside").unwrap();
    std::fs::write(outside.path().join("out"), "outside").unwrap();
    std::os::unix::fs::symlink(outside.path().join("out"), directory.path().join("link")).unwrap();
    with_router(async |router| {
        router.add_plugin(plugin().grant(Grant::Read(path.clone())));
        let context = router.local().await.unwrap();
        let read = async |name: &str| {
            context
                .call::<guest::read>((format!("{path}/{name}"),))
                .await
        };
        assert_eq!(read("in").await.unwrap(), "inside");
        assert!(read("link").await.is_err());
        assert!(read("../etc/hostname").await.is_err());
        let write = context
            .call::<guest::write>((format!("{path}/new"), "x".into()))
            .await;
        assert!(write.is_err());
        assert!(!directory.path().join("new").exists());
    });
}

#[test]
fn a_directory_granted_for_writing_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap().to_owned();
    with_router(async |router| {
        router.add_plugin(plugin().grant(Grant::Write(path.clone())));
        let context = router.local().await.unwrap();
        context
            .call::<guest::write>((format!("{path}/new"), "text".into()))
            .await
            .unwrap();
        let back = context
            .call::<guest::read>((format!("{path}/new"),))
            .await
            .unwrap();
        assert_eq!(back, "text");
    });
}

#[test]
fn a_grant_of_a_directory_that_is_not_there_is_named() {
    with_router(async |router| {
        router.add_plugin(plugin().grant(Grant::Read("/no/such/directory".to_owned())));
        let context = router.local().await.unwrap();
        // The second call must not wait for what the first one did not get either.
        for _ in 0..2 {
            let error = context.call::<guest::add>((1, 2)).await.unwrap_err();
            assert!(error.to_string().contains("/no/such/directory"), "{error}");
        }
    });
}

#[test]
fn a_plugin_stuck_in_a_system_call_delays_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let lease = e2e::Lease::on(&directory.path().join("leased"));
    let path = lease.path().to_str().unwrap().to_owned();
    with_router(async |router| {
        let grant = Grant::Read(directory.path().to_str().unwrap().to_owned());
        router.add_plugin(plugin().grant(grant));
        let context = router.local().await.unwrap();
        let below = router.local().via(&context).await.unwrap();
        let stuck = context.call_async::<guest::read>((path,)).await.unwrap();
        assert_eq!(below.call::<guest::add>((1, 2)).await.unwrap(), 3);
        drop(stuck);
    });
}

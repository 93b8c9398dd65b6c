//! Who this process is, and whole programs around one router.

use e2e::{Leftovers, alone, plugin, with_router};
use e2e_plugin as guest;
use offshoot::{Error, run_with_router};

#[test]
fn s002_s003_s004_s005_a_program_that_embeds_the_library_is_the_controller() {
    assert!(offshoot::is_controller());
    assert_eq!(offshoot::context_id(), 0);
    assert_eq!(offshoot::parent_id(), None);
    assert!(offshoot::parent_ids().is_empty());
}

#[test]
fn s003_s005_ids_are_never_used_twice_and_parents_come_nearest_first() {
    with_router(async |router| {
        let mut seen = std::collections::BTreeSet::from([0]);
        for _ in 0..3 {
            let first = router.local().await.unwrap();
            let second = router.local().via(&first).await.unwrap();
            assert!(seen.insert(first.id()) && seen.insert(second.id()));
            let who = second.call::<guest::identity>(()).await.unwrap();
            assert_eq!(who.id, second.id());
            assert_eq!(who.parents, [first.id(), 0]);
            assert!(!who.controller, "not even in a grandchild");
            first.shutdown_wait().await;
        }
    });
}

#[test]
fn b033_a_program_gives_what_its_main_gives_and_leaves_nothing() {
    let _alone = alone();
    let plugin = plugin();
    // The first child of a process leaves its program behind, for the next.
    run_with_router(async |router| drop(router.local().await.unwrap()));
    let before = Leftovers::now();
    let sum = run_with_router(async |router| {
        router.add_plugin(plugin.clone());
        let context = router.local().await?;
        context.call::<guest::add>((1, 2)).await
    });
    assert_eq!(sum.unwrap(), 3);
    before.assert_nothing_new();
    let failed: Result<(), Error> = run_with_router(async |router| {
        router.add_plugin(plugin.clone());
        let context = router.local().await?;
        context
            .call::<guest::crash>(("on purpose".to_owned(),))
            .await
    });
    let message = crate::call_error(failed).failure.error.message;
    assert!(message.ends_with(": on purpose"), "{message}");
    before.assert_nothing_new();
    let panicked = std::panic::catch_unwind(|| {
        run_with_router(async |router| -> Result<(), Error> {
            let _context = router.local().await?;
            panic!("on purpose");
        })
    });
    let panic = panicked.expect_err("it comes out unchanged");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    before.assert_nothing_new();
}

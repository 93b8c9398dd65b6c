//! What a call costs here, beside what it may cost: run with `--release -- --ignored --nocapture`.

use super::*;

#[test]
#[ignore = "measures, on a quiet machine and an optimized build"]
fn a_call_in_place() {
    const CALLS: u32 = 200_000;
    let plugin = Loader::default()
        .load(&module(&[("echo", 0)], ECHO))
        .unwrap();
    let arguments = Bytes::from_static(&[7; 64]);
    let run = |deadline| {
        let began = Instant::now();
        for _ in 0..CALLS {
            let invocation = Invocation {
                function: "echo",
                signature: 0,
                arguments: arguments.clone(),
                deadline,
            };
            let finish = plugin.start(invocation, CancelHandle::new(), |_| {});
            assert!(matches!(
                finish,
                None | Some(Completion::Value(_) | Completion::Busy)
            ));
        }
        began.elapsed() / CALLS
    };
    run(None);
    println!(
        "call {:?}, with a deadline {:?}",
        run(None),
        run(Some(Instant::now() + PATIENCE))
    );
}

#[test]
#[ignore = "measures, on a quiet machine and an optimized build"]
fn a_fresh_instance() {
    const CALLS: u32 = 20_000;
    let functions = [("echo", record::FLAG_CONCURRENT)];
    let plugin = Loader::default().load(&module(&functions, ECHO)).unwrap();
    let began = Instant::now();
    for _ in 0..CALLS {
        call(&plugin, "echo", b"hello");
    }
    println!("fresh instance and call {:?}", began.elapsed() / CALLS);
}

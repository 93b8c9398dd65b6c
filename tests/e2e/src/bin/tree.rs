//! A controller that starts a tree and then waits to be killed.
//!
//! `tree PLUGIN FIFO SCRIPT PLAN` prints the process ids of all contexts on one line. The plan is
//! `calls`, which leaves a call in each context that never ends, or `stalled`, which stops the
//! last context and sends it more than all pipes hold.

use std::io::Write;
use std::time::Duration;

use e2e_plugin as guest;
use offshoot::{Context, Grant, Plugin, Router};

/// Longer than any test runs.
const LONG: u64 = 600_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [plugin, fifo, script, plan] = &arguments[..] else {
        panic!("tree PLUGIN FIFO SCRIPT PLAN");
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let router = Router::new().unwrap();
        let plugin = Plugin::open(plugin).unwrap();
        router.add_plugin(plugin.clone().grant(Grant::Read(fifo.clone())));
        let chain = chain(&router).await;
        let beside = router.local().await.unwrap();
        let pids = chain
            .iter()
            .chain([&beside])
            .map(|context| e2e::pid_of(context).to_string());
        let line = pids.collect::<Vec<_>>().join(" ");
        match plan.as_str() {
            "calls" => leave_calls(&router, &chain, &beside, fifo, script).await,
            "stalled" => stall(&plugin, &chain).await,
            _ => panic!("no such plan: {plan}"),
        }
        println!("{line}");
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
    });
}

async fn chain(router: &Router) -> Vec<Context> {
    let mut chain = vec![router.local().await.unwrap()];
    for _ in 0..3 {
        let next = router.local().via(chain.last().unwrap()).await.unwrap();
        chain.push(next);
    }
    chain
}

/// A call that computes, one that sleeps, one that is stuck in a system call, and a context that
/// does not come up.
async fn leave_calls(
    router: &Router,
    chain: &[Context],
    beside: &Context,
    fifo: &str,
    script: &str,
) {
    for context in chain {
        std::mem::forget(context.call_async::<guest::busy>((LONG,)).await.unwrap());
    }
    let stuck = beside
        .call_async::<guest::read>((format!("{fifo}/fifo"),))
        .await
        .unwrap();
    std::mem::forget(stuck);
    let launch = router.local().via(&chain[1]).child_path(script);
    tokio::spawn(
        launch
            .connect_timeout(Duration::from_millis(LONG))
            .into_future(),
    );
    // Each context has its call when it answers a later one.
    for context in chain.iter().chain([beside]) {
        context.call::<guest::count_alone>(()).await.unwrap();
    }
}

async fn stall(plugin: &Plugin, chain: &[Context]) {
    let last = chain.last().unwrap();
    last.call::<guest::add>((1, 2)).await.unwrap();
    let pid = rustix::process::Pid::from_raw(e2e::pid_of(last)).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let (last, plugin) = (last.clone(), plugin.clone());
    tokio::spawn(async move {
        let bytes = vec![0_u8; 64 << 20];
        let _ = last.call_named::<Vec<u8>>(&plugin, "echo", &(bytes,)).await;
    });
    // Until every pipe on the way is full.
    tokio::time::sleep(Duration::from_secs(1)).await;
}

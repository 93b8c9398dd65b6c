//! A controller of contexts on a machine, which says `up` and then ends as it is told: bob, root by
//! sudo, a child of that, bob again by su, root by doas, and so on, each one through the one before.

use std::io::BufRead;
use std::process::ExitCode;
use std::time::Duration;

use offshoot::{Context, Error, Router};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [client, config, port, identity, depth, lost_after] = &arguments[..] else {
        return ExitCode::from(2);
    };
    let port = port.parse().expect("a port");
    let depth = depth.parse().expect("a number of contexts");
    let lost_after = Duration::from_millis(lost_after.parse().expect("milliseconds"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let up: Result<(Router, Vec<Context>), Error> = runtime.block_on(async {
        let router = Router::new()?;
        let mut bob = router.ssh("127.0.0.1");
        if client != "inside" {
            bob = bob.ssh_path(client);
        }
        let bob = bob
            .config_file(config)
            .port(port)
            .username("bob")
            .identity_file(identity)
            .lost_after(lost_after)
            .await?;
        let mut chain = vec![bob];
        while chain.len() < depth {
            let via = &chain[chain.len() - 1];
            let next = match chain.len() % 4 {
                1 => router.sudo().via(via).await?,
                2 => router.local().via(via).await?,
                3 => router.su().username("bob").via(via).await?,
                _ => router.doas().via(via).await?,
            };
            chain.push(next);
        }
        Ok((router, chain))
    });
    let (router, _chain) = match up {
        Ok(up) => up,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("up");
    // Links are served while it waits to be told.
    let told = runtime.block_on(tokio::task::spawn_blocking(|| {
        std::io::stdin().lock().lines().next()
    }));
    let told = told.ok().flatten().and_then(Result::ok);
    match told.as_deref() {
        Some("exit") => std::process::exit(3),
        Some("abort") => std::process::abort(),
        Some("panic") => panic!("it was told to"),
        Some("shutdown") => runtime.block_on(router.shutdown()),
        // It is over without a word to anyone.
        _ => {}
    }
    ExitCode::SUCCESS
}

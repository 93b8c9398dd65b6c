//! A controller of contexts on a machine, which waits to be killed: bob, root by sudo, a child of
//! that, and bob again by su.

use std::process::ExitCode;

use offshoot::{Error, Router};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, identity, known_hosts] = &arguments[..] else {
        return ExitCode::from(2);
    };
    let port = port.parse().expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let ended: Result<(), Error> = runtime.block_on(async {
        let router = Router::new()?;
        let known_hosts = format!("UserKnownHostsFile={known_hosts}");
        let bob = router
            .ssh("127.0.0.1")
            .ssh_path("ssh")
            .port(port)
            .username("bob")
            .identity_file(identity)
            .ssh_args(["-F", "none", "-o", &known_hosts])
            .await?;
        let root = router.sudo().via(&bob).await?;
        let below = router.local().via(&root).await?;
        let _again = router.su().username("bob").via(&below).await?;
        println!("up");
        std::future::pending::<()>().await;
        Ok(())
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

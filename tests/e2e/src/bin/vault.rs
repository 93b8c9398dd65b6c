//! A controller that is told a password on its standard input, uses it, says `up` or why not, and
//! waits to be looked into: bob by ssh, a child of his, and root by sudo from there.

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use offshoot::{Context, Error, Password, Router};

/// Reads it without a buffer that would keep it.
fn password() -> Password {
    let mut input = File::open("/dev/stdin").expect("there is an input");
    let mut text = String::with_capacity(256);
    let mut byte = [0];
    while let Ok(1) = input.read(&mut byte) {
        match byte[0] {
            b'\n' => break,
            byte => text.push(char::from(byte)),
        }
    }
    text.into()
}

async fn connect(router: &Router, arguments: &[String]) -> Result<Vec<Context>, Error> {
    let [client, config, port] = arguments else {
        return Err(Error::Usage("three arguments".to_owned()));
    };
    let password = password();
    let mut bob = router.ssh("127.0.0.1");
    if client != "inside" {
        bob = bob.ssh_path(client);
    }
    let bob = bob
        .config_file(config)
        .port(port.parse().expect("a port"))
        .username("bob")
        .password(password.clone())
        .await?;
    let below = router.local().via(&bob).await?;
    let root = router.sudo().password(password.clone()).via(&below).await?;
    let again = router.sudo().username("bob").via(&root).await?;
    let by_su = router.su().username("bob").password(password);
    let last = by_su.via(&again).await?;
    Ok(vec![bob, below, root, again, last])
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let ended = runtime.block_on(async {
        let router = Router::new()?;
        let _chain = match connect(&router, &arguments).await {
            Ok(chain) => {
                println!("up");
                chain
            }
            Err(error) => {
                println!("{error}");
                Vec::new()
            }
        };
        std::future::pending::<Result<(), Error>>().await
    });
    if let Err(error) = ended {
        println!("{error}");
    }
    ExitCode::FAILURE
}

//! A program as its users write it: starts as many contexts as its first argument says.

use std::error::Error;

use offshoot::Router;

#[offshoot::main]
async fn main(router: Router) -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().ok_or("how many contexts?")?;
    let count: usize = count.parse()?;
    if let Some(path) = arguments.next() {
        offshoot::log_to_file(Some(path.as_ref()), true, "none of the levels")?;
    }
    tracing::info!("hello from the program");
    tracing::debug!("nobody wants to know this");
    let mut contexts = Vec::new();
    for _ in 0..count {
        contexts.push(router.local().await?);
    }
    println!("{} contexts are up", contexts.len());
    Ok(())
}

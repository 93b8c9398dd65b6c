//! A whole program around one router.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use tokio::runtime;

use crate::error::Error;
use crate::router::Router;

/// Runs a program with a router of its own, which is shut down in the end, whatever that is: what
/// `main` gives, its error, and its panic come out unchanged once every context is gone (`B033`,
/// `S172`).
///
/// ```no_run
/// fn main() -> Result<(), offshoot::Error> {
///     offshoot::run_with_router(async |router| {
///         let context = router.local().await?;
///         println!("{} is up", context.name());
///         Ok(())
///     })
/// }
/// ```
///
/// Contexts run a program of their own, so nothing has to keep this one's `main` from running in
/// them.
///
/// # Errors
///
/// Those of `main`, and [`Error::Usage`] inside of a tokio runtime, or when the system gives no
/// event queue.
///
/// # Panics
///
/// When `main` panics.
pub fn run_with_router<T, E: From<Error>>(
    main: impl AsyncFnOnce(Router) -> Result<T, E>,
) -> Result<T, E> {
    if runtime::Handle::try_current().is_ok() {
        let inside = "cannot start another runtime in an async runtime: make a `Router` there";
        return Err(Error::Usage(inside.to_owned()).into());
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Error::Usage(format!("cannot start a runtime: {error}")))?;
    let ended = runtime.block_on(async {
        let router = Router::new()?;
        let ended = AssertUnwindSafe(main(router.clone())).catch_unwind().await;
        router.shutdown().await;
        Ok::<_, Error>(ended)
    })?;
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

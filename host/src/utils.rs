//! What most programs need once: a router around a function, and a log.

use std::fmt;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::error::Error;
use crate::router::Router;

/// Runs an async function with a router of its own, and gives what it gives.
///
/// The router is shut down when the function is done, also when it panics: no context is left
/// behind. The panic goes on then.
///
/// # Panics
///
/// Panics where the function does, and when the system gives no event queue, or in an async
/// runtime: await the function there.
///
/// ```no_run
/// let up = offshoot::run_with_router(async |router| {
///     router.local().await.is_ok()
/// });
/// assert!(up);
/// ```
pub fn run_with_router<T>(main: impl AsyncFnOnce(Router) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a program can have an event queue");
    runtime.block_on(async {
        let router = Router::new().expect("this is a runtime");
        let main = std::panic::AssertUnwindSafe(main(router.clone()));
        let result = main.catch_unwind().await;
        router.shutdown().await;
        match result {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Makes a function that needs a router one that brings its own: see
/// [`run_with_router`].
///
/// ```no_run
/// let is_up = offshoot::with_router(async |router: offshoot::Router| {
///     router.local().await.is_ok()
/// });
/// assert!(is_up());
/// ```
pub fn with_router<T>(function: impl AsyncFnOnce(Router) -> T) -> impl FnOnce() -> T {
    move || run_with_router(function)
}

/// Writes the program's log, and that of all contexts, to a file, or to standard error without
/// one. A line is `HH:MM:SS L name: message`, in UTC.
///
/// With `io` false, what the routers do to move bytes is left out. `level` is `ERROR`, `WARN`,
/// `INFO`, `DEBUG` or `TRACE`; anything else is `INFO`.
///
/// # Errors
///
/// [`Error::Usage`] when the file cannot be opened, or the program has a log already.
///
/// ```no_run
/// # fn example() -> Result<(), offshoot::Error> {
/// offshoot::log_to_file(Some("/var/tmp/program.log".as_ref()), true, "DEBUG")
/// # }
/// ```
pub fn log_to_file(path: Option<&Path>, io: bool, level: &str) -> Result<(), Error> {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{Layer as _, filter};

    let level = level.trim().parse().unwrap_or(Level::INFO);
    let wanted = filter::filter_fn(move |metadata| {
        *metadata.level() <= level
            && (io || !metadata.target().starts_with("offshoot_node::driver"))
    })
    .with_max_level_hint(level);
    let format = || tracing_subscriber::fmt::layer().event_format(Lines);
    let layer = match path {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.map_err(|error| {
                Error::Usage(format!(
                    "cannot write a log to `{}`: {error}",
                    path.display()
                ))
            })?;
            format()
                .with_ansi(false)
                .with_writer(std::sync::Mutex::new(file))
                .boxed()
        }
        None => format().with_writer(std::io::stderr).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(wanted));
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| Error::Usage("the program has a log already".to_owned()))
}

/// `HH:MM:SS L name: message`.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
        let level = event.metadata().level().as_str();
        let (letter, _) = level.split_at(1);
        let name = event.metadata().target();
        write!(
            writer,
            "{hours:02}:{minutes:02}:{:02} {letter} {name}: ",
            seconds % 60
        )?;
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

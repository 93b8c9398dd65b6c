//! The log of this process, and of all contexts below it, on standard error.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::report::use_colours;
use super::screen::Log;

/// Directives that replace the usual ones, in the syntax of `tracing`'s `EnvFilter`.
const FILTER_VARIABLE: &str = "OFFSHOOT_LOG";

/// Begins to log. `verbosity` is 0 as usual, more above, less below.
pub(super) fn start(verbosity: i16) {
    let usual = match verbosity {
        // What a plugin prints is meant for whoever called it.
        0 => "warn,offshoot::context=info",
        1 => "info,offshoot=debug",
        2.. => "trace",
        -1 => "error",
        _ => "off",
    };
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(directives) if !directives.is_empty() => EnvFilter::builder().parse_lossy(directives),
        _ => EnvFilter::new(usual),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Log)
        .event_format(Lines {
            colours: use_colours(std::io::stderr().is_terminal()),
        })
        .with_filter(filter);
    tracing_subscriber::registry().with(lines).init();
}

/// One record a line: `local#3: info: text`, with `offshoot` for this process.
struct Lines {
    colours: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut record = Record::default();
        event.record(&mut record);
        let (colour, level) = match *event.metadata().level() {
            Level::ERROR => ("\x1b[31m", "error"),
            Level::WARN => ("\x1b[33m", "warn"),
            Level::INFO => ("\x1b[32m", "info"),
            Level::DEBUG => ("\x1b[34m", "debug"),
            Level::TRACE => ("\x1b[35m", "trace"),
        };
        let (colour, plain) = match self.colours {
            true => (colour, "\x1b[0m"),
            false => ("", ""),
        };
        let context = record.context.as_deref().unwrap_or("offshoot");
        writeln!(
            out,
            "{context}: {colour}{level}{plain}: {}{}",
            record.message, record.fields
        )
    }
}

/// The parts of a record.
#[derive(Default)]
struct Record {
    context: Option<String>,
    message: String,
    fields: String,
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "context" => self.context = Some(value.to_owned()),
            // Where in the plugin it comes from matters only to the plugin's author.
            "logger" => {}
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        written.expect("a string takes any text");
    }
}

//! Sends the events of the `tracing` crate to the host.
//!
//! The host's log has no spans, so each record starts with those it happened in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{Debug, Write};

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, Level, Metadata, Subscriber, dispatcher};

use crate::imports;

/// Makes this the subscriber, unless the plugin has set its own.
pub(crate) fn install() {
    let _ = dispatcher::set_global_default(Dispatch::new(ToHost));
}

struct ToHost;

#[derive(Default)]
struct Spans {
    last: u64,
    open: HashMap<u64, Span>,
    entered: Vec<u64>,
}

struct Span {
    metadata: &'static Metadata<'static>,
    text: Text,
    holders: usize,
}

thread_local! {
    static SPANS: RefCell<Spans> = RefCell::default();
}

impl Subscriber for ToHost {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Who listens can change at any time, so the answer must not be kept.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        level(*metadata.level()) <= imports::log_level()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut text = Text::default();
        attributes.record(&mut text);
        SPANS.with_borrow_mut(|spans| {
            spans.last += 1;
            let span = Span {
                metadata: attributes.metadata(),
                text,
                holders: 1,
            };
            spans.open.insert(spans.last, span);
            Id::from_u64(spans.last)
        })
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        SPANS.with_borrow_mut(|spans| {
            if let Some(span) = spans.open.get_mut(&id.into_u64()) {
                values.record(&mut span.text);
            }
        });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let mut line = String::new();
        SPANS.with_borrow(|spans| {
            let entered = spans.entered.iter().filter_map(|id| spans.open.get(id));
            for span in entered {
                let _ = match span.text.fields.is_empty() {
                    true => write!(line, "{}: ", span.metadata.name()),
                    false => write!(line, "{}{{{}}}: ", span.metadata.name(), span.text.fields),
                };
            }
        });
        line.push_str(&text.message);
        if !text.fields.is_empty() {
            let gap = if text.message.is_empty() { "" } else { " " };
            let _ = write!(line, "{gap}{}", text.fields);
        }
        let metadata = event.metadata();
        imports::log(level(*metadata.level()), metadata.target(), &line);
    }

    fn enter(&self, id: &Id) {
        SPANS.with_borrow_mut(|spans| spans.entered.push(id.into_u64()));
    }

    fn exit(&self, id: &Id) {
        SPANS.with_borrow_mut(|spans| {
            let id = id.into_u64();
            if let Some(index) = spans.entered.iter().rposition(|&entered| entered == id) {
                spans.entered.remove(index);
            }
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        SPANS.with_borrow_mut(|spans| {
            if let Some(span) = spans.open.get_mut(&id.into_u64()) {
                span.holders += 1;
            }
        });
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        SPANS.with_borrow_mut(|spans| {
            let id = id.into_u64();
            let Some(span) = spans.open.get_mut(&id) else {
                return false;
            };
            span.holders -= 1;
            if span.holders > 0 {
                return false;
            }
            spans.open.remove(&id);
            true
        })
    }

    fn current_span(&self) -> Current {
        SPANS.with_borrow(|spans| {
            let current = spans.entered.last();
            match current.and_then(|id| Some((id, spans.open.get(id)?))) {
                Some((&id, span)) => Current::new(Id::from_u64(id), span.metadata),
                None => Current::none(),
            }
        })
    }
}

/// A message and `key=value` pairs.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => {
                let gap = if self.fields.is_empty() { "" } else { " " };
                write!(self.fields, "{gap}{name}={value:?}")
            }
        };
    }
}

/// The host's number for a level.
fn level(level: Level) -> u32 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

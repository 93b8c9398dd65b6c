//! A failed call, for people and for programs.

use serde_json::{Value, json};

use crate::{CallErrorKind, Error};

/// The error as a JSON object. `kind` and `message` are always there.
pub(super) fn to_json(error: &Error) -> Value {
    let mut object = json!({"kind": kind(error), "message": error.to_string()});
    match error {
        Error::Call(call) => {
            object["message"] = call.message.as_str().into();
            if !call.type_name.is_empty() {
                object["type"] = call.type_name.as_str().into();
            }
            if !call.causes.is_empty() {
                object["causes"] = json!(call.causes);
            }
            if let Some(location) = &call.location {
                object["location"] = location.as_str().into();
            }
            if !call.backtrace.is_empty() {
                object["backtrace"] = json!(call.backtrace);
            }
        }
        Error::Channel(channel) => object["may_have_run"] = channel.may_have_run.into(),
        _ => {}
    }
    object
}

/// The error as text; with its backtrace if `detailed`.
pub(super) fn to_text(error: &Error, detail: Detail) -> String {
    match (error, detail) {
        (Error::Call(call), Detail::Full) => format!("{call:#}"),
        _ => error.to_string(),
    }
}

/// How much to tell of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// What happened.
    Brief,
    /// Where, too.
    Full,
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Call(call) => match call.kind {
            CallErrorKind::Function => "function",
            CallErrorKind::BadArguments => "bad_arguments",
            CallErrorKind::UnknownFunction => "unknown_function",
            CallErrorKind::SignatureMismatch => "signature_mismatch",
            CallErrorKind::Trapped => "trapped",
            CallErrorKind::LimitExceeded => "limit_exceeded",
            CallErrorKind::Misbehaved => "misbehaved",
            CallErrorKind::CannotLoad => "cannot_load",
            CallErrorKind::Cancelled => "cancelled",
        },
        Error::Channel(_) => "channel",
        Error::Timeout { .. } => "timeout",
        Error::Stream(_) => "stream",
        Error::Plugin(_) => "plugin",
        Error::Malformed { .. } => "malformed",
        Error::Select(_) => "select",
        Error::Latch(_) => "latch",
        Error::Usage(_) => "usage",
    }
}

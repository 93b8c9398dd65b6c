//! A failed call, for people and for programs.

use serde_json::{Value, json};

use offshoot::Error;
use offshoot_node::launch::Seconds;

/// The error as a JSON object. `kind` and `message` are always there.
pub(super) fn to_json(error: &Error) -> Value {
    let mut object = json!({"kind": error.kind(), "message": error.to_string()});
    match error {
        Error::Call(call) => {
            let call = &call.failure.error;
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

/// The error without what differs from target to target, so that the same one can be told once.
pub(super) fn reason(error: &Error, target: &str) -> String {
    let text = match error {
        Error::Call(call) => {
            let mut text = call.failure.error.message.clone();
            for cause in &call.failure.error.causes {
                text.push_str(": ");
                text.push_str(cause);
            }
            text
        }
        Error::Channel(channel) => channel.reason.clone(),
        Error::Timeout { after, .. } => format!("no answer within {}", Seconds(*after)),
        Error::Connect(error) => error.root().to_string(),
        error => error.to_string(),
    };
    without(&without_processes(&text), target)
}

/// The text without the numbers of processes, which are never the same twice.
fn without_processes(text: &str) -> String {
    const WORD: &str = "process ";
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(WORD) {
        let (before, after) = (&rest[..at], &rest[at + WORD.len()..]);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        clean.push_str(before);
        match digits {
            0 => clean.push_str(WORD),
            _ => clean.push_str("it"),
        }
        rest = &after[digits..];
    }
    clean + rest
}

/// The text with a name taken out wherever it is a word of its own.
fn without(text: &str, name: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name).filter(|_| !name.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        clean.push_str(before);
        match before.ends_with(is_part) || after.starts_with(is_part) {
            true => clean.push_str(name),
            false => clean.push('…'),
        }
        rest = after;
    }
    clean + rest
}

/// How much to tell of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// What happened.
    Brief,
    /// Where, too.
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_does_not_name_the_target() {
        assert_eq!(
            without("connect to host web1 port 22: refused", "web1"),
            "connect to host … port 22: refused"
        );
        assert_eq!(without("web10 and web1", "web1"), "web10 and …");
        assert_eq!(without("my-web1", "web1"), "my-web1");
        assert_eq!(without("", ""), "");
    }

    #[test]
    fn a_reason_does_not_number_processes() {
        assert_eq!(
            without_processes("process 17 exited; a process died"),
            "it exited; a process died"
        );
    }

    #[test]
    fn reasons_of_many_targets_are_alike() {
        let late = |what: &str| Error::Timeout {
            what: what.to_owned(),
            after: std::time::Duration::from_millis(1500),
        };
        assert_eq!(reason(&late("web1"), "web1"), "no answer within 1.5 s");
        assert_eq!(reason(&late("web1"), "web1"), reason(&late("web2"), "web2"));
    }
}

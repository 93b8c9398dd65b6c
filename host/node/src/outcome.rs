//! How a call that has no value is explained to whoever made it.

use offshoot_abi::GuestError;
use offshoot_abi::router::CallErrorKind;
use offshoot_proto::control::CallFailure;

/// What kind of end it was, and what is said of it; `None` when time was up.
pub fn explain(failure: CallFailure) -> Option<(CallErrorKind, GuestError)> {
    let said = |message: String| GuestError {
        message,
        ..GuestError::default()
    };
    Some(match failure {
        CallFailure::Function(error) => (CallErrorKind::Function, error),
        CallFailure::Trapped { message, backtrace } => {
            let error = GuestError {
                message,
                backtrace,
                ..GuestError::default()
            };
            (CallErrorKind::Trapped, error)
        }
        CallFailure::BadArguments(reason) => (CallErrorKind::BadArguments, said(reason)),
        CallFailure::UnknownFunction(known) => (
            CallErrorKind::UnknownFunction,
            said(format!("the plugin has {}", known.join(", "))),
        ),
        CallFailure::SignatureMismatch => (
            CallErrorKind::SignatureMismatch,
            said("the function's types are not those that the caller knows".to_owned()),
        ),
        CallFailure::DeadlineExceeded => return None,
        CallFailure::Cancelled => (
            CallErrorKind::Cancelled,
            said("the call was taken back".to_owned()),
        ),
        CallFailure::LimitExceeded(what) => (CallErrorKind::LimitExceeded, said(what)),
        CallFailure::Misbehaved(what) => (
            CallErrorKind::Misbehaved,
            said(format!("the plugin broke its contract: {what}")),
        ),
        CallFailure::CannotLoad(reason) => (CallErrorKind::CannotLoad, said(reason)),
    })
}

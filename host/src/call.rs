//! A call that was made: how it ends, and what is said of it.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use offshoot_proto::Body;
use offshoot_proto::control::{CallFailure, CallOutcome};
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::{CallError, CallErrorKind, ChannelError, Error};
use crate::mailbox::Mail;
use crate::plugin::{Plugin, PluginError};
use crate::reply::Reply;

/// Receives the value of one call.
///
/// Dropping it before the value has come cancels the call.
pub struct Receiver<T> {
    pending: Pending,
    value: PhantomData<fn() -> T>,
}

impl<T> Receiver<T> {
    pub(crate) fn new(pending: Pending) -> Self {
        Self {
            pending,
            value: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// The call's value.
    ///
    /// # Errors
    ///
    /// As [`Context::call`].
    ///
    /// # Cancel safety
    ///
    /// When dropped, the call is cancelled.
    pub async fn get(mut self) -> Result<T, Error> {
        let value = self.pending.value().await?;
        let failed = |reason: String| PluginError::Decode {
            function: self.pending.callee.function_name(),
            reason,
        };
        match postcard::take_from_bytes(&value) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(failed(format!("{} bytes are left over", rest.len())).into()),
            Err(error) => Err(failed(error.to_string()).into()),
        }
    }

    /// The context that runs the call.
    pub fn context(&self) -> &Context {
        &self.pending.callee.context
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("context", &self.pending.callee.context)
            .field("function", &self.pending.callee.function_name())
            .finish_non_exhaustive()
    }
}

/// A call that was made, and what is needed to say how it ended.
pub(crate) struct Pending {
    pub(crate) reply: Reply,
    pub(crate) callee: Callee,
}

/// What was called, and where.
pub(crate) struct Callee {
    pub(crate) context: Context,
    pub(crate) plugin: Plugin,
    /// Its place in the manifest.
    pub(crate) function: usize,
    /// How long it may take.
    pub(crate) timeout: Option<Duration>,
}

impl Callee {
    fn function_name(&self) -> String {
        let manifest = self.plugin.manifest();
        let function = manifest.functions.get(self.function);
        let function = function.map_or("?", |function| &function.name);
        format!("{}::{function}", manifest.plugin)
    }
}

impl Pending {
    /// The call's value, in postcard.
    ///
    /// Cancel-safe: dropping the future loses nothing; dropping this cancels the call.
    pub(crate) async fn value(&mut self) -> Result<Bytes, Error> {
        let body = match self.reply.mail().await {
            Mail::Message(body) => body,
            Mail::Expired => return Err(self.timed_out()),
        };
        let context = &self.callee.context;
        let channel = |reason: String, may_have_run| {
            Error::Channel(ChannelError {
                context: context.name().to_owned(),
                reason,
                may_have_run,
            })
        };
        match body {
            Body::Dead(dead) => Err(channel(dead.reason.clone(), dead.may_have_run())),
            Body::Data(body) => match CallOutcome::parse(body) {
                Some(CallOutcome::Value(value)) => Ok(value),
                Some(CallOutcome::Failed(failure)) => Err(self.failed(failure)),
                None => Err(channel("its answer makes no sense".to_owned(), true)),
            },
        }
    }

    fn timed_out(&self) -> Error {
        Error::Timeout {
            what: format!(
                "{} in {}",
                self.callee.function_name(),
                self.callee.context.name()
            ),
            after: self.callee.timeout.unwrap_or_default(),
        }
    }

    fn failed(&self, failure: CallFailure) -> Error {
        let mut error = CallError {
            context: self.callee.context.name().to_owned(),
            function: self.callee.function_name(),
            kind: CallErrorKind::Function,
            type_name: String::new(),
            message: String::new(),
            causes: Vec::new(),
            location: None,
            backtrace: Vec::new(),
        };
        (error.kind, error.message) = match failure {
            CallFailure::Function(guest) => {
                error.type_name = guest.type_name;
                error.causes = guest.causes;
                error.location = guest.location;
                error.backtrace = guest.backtrace;
                (CallErrorKind::Function, guest.message)
            }
            CallFailure::Trapped { message, backtrace } => {
                error.backtrace = backtrace;
                (CallErrorKind::Trapped, message)
            }
            CallFailure::BadArguments(reason) => (CallErrorKind::BadArguments, reason),
            CallFailure::UnknownFunction(known) => (
                CallErrorKind::UnknownFunction,
                format!("the plugin has {}", known.join(", ")),
            ),
            CallFailure::SignatureMismatch => (
                CallErrorKind::SignatureMismatch,
                "the function's types are not those that the caller knows".to_owned(),
            ),
            CallFailure::DeadlineExceeded => return self.timed_out(),
            CallFailure::Cancelled => (
                CallErrorKind::Cancelled,
                "the call was taken back".to_owned(),
            ),
            CallFailure::LimitExceeded(what) => (CallErrorKind::LimitExceeded, what),
            CallFailure::Misbehaved(what) => (
                CallErrorKind::Misbehaved,
                format!("the plugin broke its contract: {what}"),
            ),
            CallFailure::CannotLoad(reason) => (CallErrorKind::CannotLoad, reason),
        };
        error.into()
    }
}

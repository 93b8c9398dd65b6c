//! A call that was made: how it ends, and what is said of it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use offshoot_abi::{CallError, CallErrorKind, CallFailure};
use offshoot_proto::Body;
use offshoot_proto::control::CallOutcome;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::{ChannelError, ChannelErrorKind, Error};
use crate::plugin::{Plugin, PluginError};
use offshoot_node::driver::Subscription;
use offshoot_node::mailbox::{Content, Received};

/// A call that was made, and what is needed to say how it ended. Dropping it cancels the call.
pub(crate) struct Pending {
    pub(crate) reply: Subscription,
    pub(crate) target_call: CallTarget,
}

impl Pending {
    /// The call's value, in postcard.
    ///
    /// Cancel-safe: dropping the future loses nothing; dropping this cancels the call.
    pub(crate) async fn value(&self) -> Result<Bytes, Error> {
        match self.reply.take().await {
            Received::QueuedMessage(mail) => match mail.content {
                Content::Body(body) => self.target_call.value(body),
                Content::Expired => Err(self.target_call.timed_out()),
            },
            Received::Over(reason) => Err(self.target_call.unanswered(&reason)),
        }
    }
}

/// What was called, and where.
pub(crate) struct CallTarget {
    pub(crate) context: Context,
    pub(crate) plugin: Plugin,
    /// Its place in the manifest.
    pub(crate) function: usize,
    /// How long it may take.
    pub(crate) timeout: Option<Duration>,
}

impl fmt::Display for CallTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.function_name(), self.context.name())
    }
}

impl CallTarget {
    fn function_name(&self) -> String {
        let manifest = self.plugin.manifest();
        let function = manifest.functions.get(self.function);
        let function = function.map_or("?", |function| &function.name);
        format!("{}::{function}", manifest.plugin)
    }

    /// The value in an answer.
    pub(crate) fn value(&self, body: Body) -> Result<Bytes, Error> {
        match body {
            Body::Dead(dead) => {
                let mut error = ChannelError::new(self.context.name(), &dead);
                error.may_have_run = dead.may_have_run();
                Err(Error::Channel(error))
            }
            Body::Data(body) => match CallOutcome::parse(body) {
                Some(CallOutcome::Value(value)) => Ok(value),
                Some(CallOutcome::Failed(failure)) => Err(self.failed(failure)),
                None => Err(Error::Channel(ChannelError {
                    context: self.context.name().to_owned(),
                    kind: ChannelErrorKind::Malformed,
                    reason: "its answer makes no sense".to_owned(),
                    may_have_run: true,
                })),
            },
        }
    }

    pub(crate) fn decode<T: DeserializeOwned>(&self, value: &Bytes) -> Result<T, Error> {
        let failed = |reason: String| PluginError::Decode {
            function: self.function_name(),
            reason,
        };
        match postcard::take_from_bytes(value) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(failed(format!("{} bytes are left over", rest.len())).into()),
            Err(error) => Err(failed(error.to_string()).into()),
        }
    }

    pub(crate) fn timed_out(&self) -> Error {
        Error::Timeout {
            what: self.to_string(),
            after: self.timeout.unwrap_or_default(),
        }
    }

    fn unanswered(&self, reason: &str) -> Error {
        Error::Channel(ChannelError {
            context: self.context.name().to_owned(),
            kind: ChannelErrorKind::Closed,
            reason: reason.to_owned(),
            may_have_run: true,
        })
    }

    fn failed(&self, failure: CallFailure) -> Error {
        if failure.kind == CallErrorKind::DeadlineExceeded {
            return self.timed_out();
        }
        CallError {
            context: self.context.name().to_owned(),
            function: self.function_name(),
            failure,
        }
        .into()
    }
}

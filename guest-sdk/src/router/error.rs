//! What can go wrong between contexts.

use std::fmt;
use std::time::Duration;

use offshoot_abi::CallError;
use offshoot_abi::router::{ChannelError, RequestError};

/// Why something between contexts did not happen, split by who must act.
///
/// `?` turns it into the SDK's [`Error`](crate::Error). An error that a function returned in
/// another context keeps its type's name on the way to whoever called this one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouterError {
    /// The function ran, or was about to, and has no value to give. Look at the function.
    Call(Box<CallError>),
    /// There will be no answer, or no further message. Look at the machines between.
    Channel(ChannelError),
    /// There was no answer in time.
    Timeout(TimeoutError),
    /// The select cannot do that.
    Select(SelectError),
    /// A context could not be made.
    Connect(String),
    /// The plugin that was to be called cannot be used as it is.
    Plugin(String),
    /// What arrived is not what was expected.
    Decode(String),
    /// This plugin was not granted the router. The text says what it tried.
    NotGranted(String),
    /// The plugin uses the router in a way that cannot work.
    Usage(String),
}

impl RouterError {
    /// How a report calls the error's type.
    pub(crate) fn type_name(&self) -> &str {
        match self {
            Self::Call(error) if !error.failure.error.type_name.is_empty() => {
                &error.failure.error.type_name
            }
            Self::Call(_) => "offshoot_guest::CallError",
            Self::Channel(_) => "offshoot_guest::ChannelError",
            Self::Timeout(_) => "offshoot_guest::TimeoutError",
            Self::Select(_) => "offshoot_guest::SelectError",
            _ => "offshoot_guest::RouterError",
        }
    }

    /// A wait that took `after`.
    pub(crate) fn timeout(what: &str, after: Duration) -> Self {
        Self::Timeout(TimeoutError(format!("{what} within {after:?}")))
    }
}

impl fmt::Display for RouterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Channel(error) => error.fmt(f),
            Self::Timeout(error) => error.fmt(f),
            Self::Select(error) => error.fmt(f),
            Self::NotGranted(what) => write!(
                f,
                "the plugin may not {what}: it was not granted `router`, which its user gives it \
                 with `--grant router` or `Grant::Router`"
            ),
            Self::Connect(text) | Self::Plugin(text) | Self::Decode(text) | Self::Usage(text) => {
                f.write_str(text)
            }
        }
    }
}

impl std::error::Error for RouterError {}

impl From<RequestError> for RouterError {
    fn from(failure: RequestError) -> Self {
        match failure {
            RequestError::Call(error) => Self::Call(error),
            RequestError::Channel(error) => Self::Channel(error),
            RequestError::Timeout(text) => Self::Timeout(TimeoutError(text)),
            RequestError::Connect(text) => Self::Connect(text),
            RequestError::Plugin(text) => Self::Plugin(text),
            RequestError::NotGranted(what) => Self::NotGranted(what),
            RequestError::Usage(text) => Self::Usage(text),
        }
    }
}

impl From<SelectError> for RouterError {
    fn from(error: SelectError) -> Self {
        Self::Select(error)
    }
}

/// There was no answer in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutError(pub(crate) String);

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TimeoutError {}

/// What a [`Select`](crate::Select) refuses. It changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectError {
    /// The select has no sources.
    NoSources,
    /// What was to be added is in a select already, be it the same one.
    Owned,
    /// What was to be added contains the select that it was to be added to.
    Cycle,
    /// More selects would be nested in each other than a stack has room for.
    TooDeep,
    /// What was to be removed is not there.
    NotMember,
}

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSources => "cannot get(), Select instance is empty",
            Self::Owned => "cannot add: Receiver is already owned by another Select",
            Self::Cycle => "adding this Select instance would create a Select cycle",
            Self::TooDeep => "adding this Select instance would nest more than 64 Selects",
            Self::NotMember => "instance is not a member of this Select",
        })
    }
}

impl std::error::Error for SelectError {}

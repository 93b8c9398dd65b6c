//! Makes contexts.

use std::time::Duration;

use offshoot_abi::router::{self, Connect, Method, Request, Response};

use super::{Context, RouterError, exchange, unexpected};

/// A context that is about to be made, by a process on the same machine as the one that starts it.
#[derive(Clone, Debug)]
#[must_use = "nothing is made before `connect`"]
pub struct Local {
    connect: Connect,
    process: router::Local,
}

impl Local {
    pub(super) fn new() -> Self {
        Self {
            connect: Connect::default(),
            process: router::Local::default(),
        }
    }

    /// Lets `context` start it, on its machine and as its user. Otherwise this context does.
    pub fn via(mut self, context: &Context) -> Self {
        self.connect.via = Some(context.id());
        self
    }

    /// Its name, instead of one made of how it was reached.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.connect.name = Some(name.into());
        self
    }

    /// How its process shows in a list of processes.
    pub fn remote_name(mut self, name: impl Into<String>) -> Self {
        self.process.remote_name = Some(name.into());
        self
    }

    /// Whether it and its descendants write their logs to files of their own.
    pub fn debug(mut self, debug: bool) -> Self {
        self.connect.debug = debug;
        self
    }

    /// How long it may take to be ready.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        self.connect.timeout_ms = Some(millis);
        self
    }

    /// Makes the context and waits until it is ready.
    ///
    /// # Errors
    ///
    /// [`RouterError::Connect`] when it cannot be made, [`RouterError::NotGranted`] without the
    /// grant.
    pub fn connect(self) -> Result<Context, RouterError> {
        let request = Request::Connect(Connect {
            method: Method::Local(self.process),
            ..self.connect
        });
        match exchange(request)? {
            Response::Context(address) => Ok(Context::new(address)),
            other => Err(unexpected(&other)),
        }
    }
}

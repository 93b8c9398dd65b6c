//! Calls that stop at the first failure.

use std::cell::Cell;

use offshoot_abi::Function;
use offshoot_abi::router::Request;

use super::{Context, Receiver, RouterError, done};

thread_local! {
    /// Chains of this instance. The host keeps those of different instances apart.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// Calls of one context that depend on each other, made without waiting in between.
///
/// Once one fails, the later ones fail by the same error and do not run, until
/// [`reset`](Self::reset). Dropping the chain forgets the failure too.
#[derive(Debug)]
pub struct CallChain {
    context: Context,
    id: u64,
    used: Cell<bool>,
}

impl CallChain {
    pub(super) fn new(context: Context) -> Self {
        let id = LAST.get() + 1;
        LAST.set(id);
        Self {
            context,
            id,
            used: Cell::new(false),
        }
    }

    /// The context that the calls go to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// As [`Context::call`].
    ///
    /// # Errors
    ///
    /// Fails as that does, or by the error of an earlier call.
    pub fn call<F: Function>(&self, arguments: F::Arguments) -> Result<F::Output, RouterError> {
        self.call_async::<F>(arguments)?.get()
    }

    /// As [`Context::call_async`].
    ///
    /// # Errors
    ///
    /// Fails as that does.
    pub fn call_async<F: Function>(
        &self,
        arguments: F::Arguments,
    ) -> Result<Receiver<F::Output>, RouterError> {
        self.used.set(true);
        self.context.start::<F>(&arguments, self.id)
    }

    /// As [`Context::call_no_reply`]; its failure fails the calls after it.
    ///
    /// # Errors
    ///
    /// Fails as that does.
    pub fn call_no_reply<F: Function>(&self, arguments: F::Arguments) -> Result<(), RouterError> {
        self.used.set(true);
        self.context.start_no_reply::<F>(&arguments, self.id)
    }

    /// Forgets the failure: the next call runs.
    ///
    /// # Errors
    ///
    /// Fails when the context is gone.
    pub fn reset(&self) -> Result<(), RouterError> {
        if !self.used.replace(false) {
            return Ok(());
        }
        done(Request::ResetChain {
            context: self.context.id(),
            chain: self.id,
        })
    }
}

impl Drop for CallChain {
    fn drop(&mut self) {
        // A context that is gone has forgotten it as well.
        let _ = self.reset();
    }
}

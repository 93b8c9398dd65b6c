//! Functions of programs that are told of messages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::Error;
use offshoot_node::mailbox::{Notify, Owned, Watched};

/// A function of the program, as one who is told of messages.
pub(crate) struct Call<F>(F);

impl<F: Fn() + Send + Sync + 'static> Call<F> {
    /// Has `watch` tell `function` of messages from now on. Those that wait already count: it is
    /// called once at once if there are any.
    pub(crate) fn watch(
        function: F,
        watch: impl FnOnce(Arc<dyn Notify>) -> Result<Watched, Owned>,
    ) -> Result<(), Error> {
        let call = Arc::new(Self(function));
        match watch(call.clone()) {
            Ok(Watched::Waiting(0)) => {}
            Ok(_) => call.notify(),
            Err(Owned) => {
                return Err(Error::Usage(
                    "someone is notified of that already: take it back, or out of its select"
                        .to_owned(),
                ));
            }
        }
        Ok(())
    }
}

impl<F: Fn() + Send + Sync> Notify for Call<F> {
    fn notify(&self) {
        // It runs in a thread that has others to serve.
        if catch_unwind(AssertUnwindSafe(&self.0)).is_err() {
            tracing::error!("a function that is notified of messages panicked");
        }
    }
}

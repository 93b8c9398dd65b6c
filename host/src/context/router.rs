//! A router's handles to contexts that are there already.

use offshoot_abi::{ContextAddress, Portable};
use offshoot_proto::ContextId;

use super::Context;
use crate::error::Error;
use crate::router::Router;

impl Router {
    /// The context that a plugin's context names: the way back from [`Context::to_portable`].
    ///
    /// # Errors
    ///
    /// [`Error::Channel`] when there is no such context below this one. The name is believed only
    /// where it says whose child the context is.
    pub fn context(
        &self,
        context: &impl Portable<Address = ContextAddress>,
    ) -> Result<Context, Error> {
        let address = context.to_address();
        let id = ContextId(address.id);
        let driver = &self.tree.driver;
        let known = driver.resolve_context(id, &address.name, &address.target);
        let known = known.map_err(|error| Error::unsent(&driver.name(id), &error))?;
        Ok(Context::new(
            self.tree.clone(),
            id,
            known.name,
            known.target,
        ))
    }

    /// The context of that id, if it is below this one.
    ///
    /// What it was made with is not known: it can be sent to and shut down, and functions can be
    /// called in it if it runs the same images as its parent.
    pub fn context_by_id(&self, id: u32) -> Option<Context> {
        let id = ContextId(id);
        let driver = &self.tree.driver;
        let known = id == ContextId::CONTROLLER || driver.lock().node.link_to(id).is_some();
        known.then(|| Context::new(self.tree.clone(), id, driver.name(id), driver.target_of(id)))
    }

    /// The context that this router runs in: messages to it arrive here.
    #[doc(alias = "myself")]
    pub fn own_context(&self) -> Context {
        let driver = &self.tree.driver;
        let id = driver.lock().node.id();
        Context::new(self.tree.clone(), id, driver.name(id), driver.target_of(id))
    }

    /// Closes the link to a direct child, which ends it and all contexts below it at once; `false` if
    /// it is not a direct child. [`Context::shutdown`] asks it to end instead.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignContext`] for a context of another router.
    pub fn disconnect(&self, context: &Context) -> Result<bool, Error> {
        let id = context.id_in(&self.tree)?;
        Ok(self.tree.driver.disconnect(id))
    }

    /// Cuts the connections to all children.
    pub fn disconnect_all(&self) {
        let driver = &self.tree.driver;
        let children = driver.lock().node.children();
        for child in children {
            driver.disconnect(child);
        }
    }
}

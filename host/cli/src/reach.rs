//! From a hop, as the command line has it, to the library's builder of such contexts.

use super::args::ConnectArgs;
use super::target::Hop;
use offshoot::{ConnectEvent, Context, Error, Keep, Password, Router, Verify};

/// A context to make.
pub(super) struct ConnectRequest<'a> {
    pub(super) hop: &'a Hop,
    /// `None` is this process.
    pub(super) parent: Option<&'a Context>,
    /// `None` is the library's choice.
    pub(super) name: Option<String>,
    pub(super) password: Option<&'a Password>,
    pub(super) connect: &'a ConnectArgs,
    pub(super) on_progress: OnProgress,
}

/// Takes the events on the way to a context.
pub(super) type OnProgress = Box<dyn Fn(ConnectEvent) + Send + Sync>;

impl ConnectRequest<'_> {
    pub(super) async fn make(self, router: &Router) -> Result<Context, Error> {
        // What all builders have in common, and no trait.
        macro_rules! make {
            ($builder:expr) => {{
                let mut builder = $builder.on_progress(self.on_progress);
                if let Some(parent) = self.parent {
                    builder = builder.via(parent);
                }
                if let Some(name) = self.name {
                    builder = builder.name(name);
                }
                if let Some(timeout) = self.connect.connect_timeout {
                    builder = builder.connect_timeout(timeout);
                }
                builder.await
            }};
        }
        macro_rules! elsewhere {
            ($builder:expr) => {{
                let mut builder = $builder;
                if self.connect.leave_nothing {
                    builder = builder.keep(Keep::Nothing);
                }
                if self.connect.verify {
                    builder = builder.verify(Verify::Always);
                }
                make!(builder)
            }};
        }
        macro_rules! become_user {
            ($builder:expr, $user:expr) => {{
                let mut builder = $builder;
                if let Some(user) = $user {
                    builder = builder.username(user);
                }
                if let Some(password) = self.password {
                    builder = builder.password(password.clone());
                }
                elsewhere!(builder)
            }};
        }
        match self.hop {
            Hop::Local => make!(router.local()),
            Hop::Ssh {
                user,
                host,
                port,
                identity_file,
            } => {
                let mut builder = router.ssh(host);
                if let Some(user) = user {
                    builder = builder.username(user);
                }
                if let Some(port) = port {
                    builder = builder.port(*port);
                }
                if let Some(file) = identity_file {
                    builder = builder.identity_file(file);
                }
                // These are of the machine where the client runs.
                if self.parent.is_none() {
                    if let Some(file) = &self.connect.ssh_config {
                        builder = builder.config_file(file);
                    }
                    if let Some(program) = &self.connect.ssh_path {
                        builder = builder.ssh_path(program);
                    }
                }
                if let Some(password) = self.password {
                    builder = builder.password(password.clone());
                }
                elsewhere!(builder)
            }
            Hop::Sudo(user) => become_user!(router.sudo(), user),
            Hop::Su(user) => become_user!(router.su(), user),
            Hop::Doas(user) => become_user!(router.doas(), user),
        }
    }
}

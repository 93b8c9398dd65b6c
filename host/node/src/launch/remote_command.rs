//! What a tool is to run on the other side.

use std::sync::Arc;

use offshoot_proto::bootstrap::{Stage0, Unquotable};
use offshoot_proto::control::Start;

use super::error::ConnectError;
use super::nonce::random;
use super::payload::Payload;
use super::platform;
use super::remote_name::remote_name;

/// The name of the cache on other machines.
const CACHE: &str = "offshoot";

/// What a tool is to run on the other side.
pub(super) struct RemoteCommand {
    pub(super) nonce: String,
    pub(super) what: What,
}

pub(super) enum What {
    /// The command that finds the child, or asks for one of these.
    Stage0(Box<Stage0>, Vec<Arc<Payload>>),
    /// A child that is there already: its path, and its name in process listings.
    Child { path: String, name: String },
}

impl RemoteCommand {
    /// The errand of a new connection, to another user of this machine or to another machine. That
    /// one may be of another kind, and it pays to send it the child compressed.
    pub(super) async fn new(start: &Start, elsewhere: bool) -> Result<Self, ConnectError> {
        let nonce = random()?;
        let mut name = remote_name(start.remote_name.as_deref())?;
        if start.remote_name.is_none() {
            name = name.replace(|c| !Stage0::is_plain_in_name(c), "_");
        }
        let unquotable = |error: Unquotable| ConnectError::Name(error.to_string());
        if let Some(path) = &start.child_path {
            let bad = |c: char| c.is_control() || "'!\\".contains(c);
            if path.is_empty() || path.contains(bad) {
                return Err(ConnectError::Name(format!(
                    "child path `{}` cannot be told to a remote shell: it must have no quotes, \
                     `!`, backslashes or control characters",
                    path.escape_debug()
                )));
            }
            if !name.chars().all(Stage0::is_plain_in_name) {
                return Err(unquotable(Unquotable::RemoteName(name)));
            }
            let path = path.clone();
            return Ok(Self {
                nonce,
                what: What::Child { path, name },
            });
        }
        let payloads = match elsewhere {
            true => platform::children(true).await?,
            false => vec![Payload::own(false).await?],
        };
        let platforms = payloads.iter().map(|one| one.platform(elsewhere));
        let stage0 = Stage0::new(&nonce, CACHE, platforms.collect())
            .and_then(|stage0| stage0.remote_name(&name))
            .map_err(unquotable)?
            .keep(start.keep)
            .verify(start.verify);
        Ok(Self {
            nonce,
            what: What::Stage0(Box::new(stage0), payloads),
        })
    }

    /// One line for a login shell of any kind.
    pub(super) fn line(&self) -> String {
        match &self.what {
            What::Stage0(stage0, _) => stage0.command(),
            What::Child { path, name } => {
                format!("exec '{path}' serve {} . '{name}'", self.nonce)
            }
        }
    }

    /// The same for what starts programs itself.
    pub(super) fn words(&self) -> Vec<String> {
        match &self.what {
            What::Stage0(stage0, _) => stage0.argv().into(),
            What::Child { path, name } => self.child_words(path, name),
        }
    }

    /// The same for what has a login shell in between, which replaces what looks like a variable.
    pub(super) fn login_words(&self) -> Vec<String> {
        match &self.what {
            What::Stage0(stage0, _) => stage0.login_argv().into(),
            What::Child { path, name } => self.child_words(path, name),
        }
    }

    fn child_words(&self, path: &str, name: &str) -> Vec<String> {
        [path, "serve", &self.nonce, ".", name]
            .map(str::to_owned)
            .into()
    }
}

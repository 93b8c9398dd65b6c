//! Makes one direct child of this context: launches it by its method, welcomes it, links it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use offshoot_proto::control::{
    Connect, ConnectEvent, ConnectOptions, Connected, Hello, Method, Traces, Welcome,
};
use offshoot_proto::handshake::first_frame;
use offshoot_proto::limits::NAME_MAX;
use offshoot_proto::{ContextId, Handle};
use rustix::io::Errno;

use super::error::ConnectError;
use super::greeted::HandshakenChild;
use super::local::{self, LocalSpec};
use super::progress::Progress;
use super::stderr::follow_errors;
use super::{become_user, ssh};
use crate::driver::{ContextInfo, Driver};

/// A child that is part of the tree.
pub struct NewContext {
    /// What it says of itself.
    pub hello: Hello,
    /// Its name.
    pub name: Arc<str>,
}

/// What a new child is to be.
pub(super) struct NewChild {
    pub id: ContextId,
    pub options: ConnectOptions,
    pub progress: Progress,
}

/// Makes a direct child of this context. The node must expect it; it is abandoned on failure.
pub(super) async fn make_child(
    driver: &Arc<Driver>,
    child: NewChild,
    method: Method,
) -> Result<NewContext, ConnectError> {
    // Whatever happens, and even if this future is dropped, the node learns of it.
    let mut expected = AbandonOnDrop {
        driver,
        id: child.id,
        attached: false,
    };
    let (label, lost_after) = (method.label(), method.lost_after());
    let greeted = launch(driver, method, child.options.timeout, &child.progress).await?;
    child.progress.report(ConnectEvent::Hello);
    let up = welcome(driver, &child, greeted, &label, lost_after)?;
    expected.attached = true;
    Ok(up)
}

async fn launch(
    driver: &Arc<Driver>,
    method: Method,
    patience: Duration,
    progress: &Progress,
) -> Result<HandshakenChild, ConnectError> {
    let names = method.check_names();
    names.map_err(|error| ConnectError::Name(error.to_string()))?;
    match method {
        Method::Local {
            remote_name,
            child_path,
        } => {
            let spec = LocalSpec {
                remote_name,
                child_path,
            };
            local::launch(&spec, patience, progress).await
        }
        Method::Ssh(ssh) => ssh::launch(driver, *ssh, patience, progress).await,
        Method::Sudo(sudo) => become_user::sudo(*sudo, patience, progress).await,
        Method::Su(su) => become_user::su(*su, patience, progress).await,
        Method::Doas(doas) => become_user::doas(*doas, patience, progress).await,
    }
}

/// Makes a child for an ancestor that asked for one, and answers it.
pub(crate) async fn serve_connect(
    driver: Weak<Driver>,
    src: ContextId,
    reply_to: Handle,
    connect: Connect,
) {
    let Some(driver) = driver.upgrade() else {
        return;
    };
    let child = NewChild {
        id: connect.id,
        options: connect.options,
        progress: match connect.wants_progress {
            true => Progress::to_requester(&driver, src, reply_to),
            false => Progress::default(),
        },
    };
    let connected = match make_child(&driver, child, connect.method).await {
        Ok(up) => Connected::Up {
            hello: up.hello,
            name: up.name.to_string(),
        },
        Err(error) => Connected::Failed(error.into_failure()),
    };
    driver.answer_connect(src, reply_to, &connected);
}

/// Tells the child who it is, and links it.
fn welcome(
    driver: &Arc<Driver>,
    child: &NewChild,
    greeted: HandshakenChild,
    label: &str,
    lost_after: Option<Duration>,
) -> Result<NewContext, ConnectError> {
    let HandshakenChild {
        hello,
        mut parts,
        rest,
        errors,
        terminal,
        program,
    } = greeted;
    let refused = |reason: String| ConnectError::Handshake {
        program: program.clone(),
        reason,
    };
    let (parents, message_max, unidirectional, own_name) = {
        let state = driver.lock();
        let mut parents = vec![state.node.id()];
        parents.extend_from_slice(state.node.parent_ids());
        let own_name = (!state.node.parent_ids().is_empty()).then(crate::identity::name);
        let node = &state.node;
        let (message_max, unidirectional) = (node.message_max(), node.unidirectional());
        (parents, message_max, unidirectional, own_name)
    };
    let name = child.options.name.clone();
    let name = name.unwrap_or_else(|| default_name(own_name.as_deref(), label, hello.pid));
    let inherited = driver.traces();
    let welcome = first_frame(&Welcome {
        id: child.id,
        parents,
        name: name.clone(),
        message_max,
        log_level: child.options.log_level,
        unidirectional,
        traces: Traces {
            debug: inherited.debug || child.options.traces.debug,
            profiling: inherited.profiling || child.options.traces.profiling,
        },
        lost_after_ms: lost_after.map_or(0, |wait| {
            u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
        }),
    });
    // A new pipe has room for this; what has no room is not an empty pipe of ours.
    match rustix::io::write(&parts.output, &welcome) {
        Ok(count) if count == welcome.len() => {}
        Ok(_) => return Err(refused("it did not take its welcome".to_owned())),
        Err(Errno::PIPE) => return Err(refused("it ended right after its hello".to_owned())),
        Err(error) => return Err(refused(format!("cannot write to it: {error}"))),
    }
    let name: Arc<str> = name.into();
    let known = ContextInfo {
        name: name.clone(),
        target: hello.target.as_str().into(),
    };
    if let Some(terminal) = terminal {
        parts.transport.hold(terminal.keep(driver, name.clone()));
    }
    match driver.attach_child(child.id, known, parts, &rest) {
        Ok(link) => {
            if let Some(lost_after) = lost_after {
                driver.keep_alive(link, lost_after);
            }
            follow_errors(driver, errors, name.clone());
            Ok(NewContext { hello, name })
        }
        Err(_) => Err(refused("the connection attempt was cancelled".to_owned())),
    }
}

/// A child's name, which shows the chain of its parents. Where that would be too long,
/// the middle of the chain is left out, and the end of what is longer still.
pub(super) fn default_name(parent: Option<&str>, label: &str, pid: u32) -> String {
    let label = label.replace("{pid}", &pid.to_string());
    let mut name = match parent {
        None => label,
        Some(parent) => {
            let name = format!("{parent}.{label}");
            if name.len() <= NAME_MAX {
                return name;
            }
            let head: String = parent.chars().take(NAME_MAX / 8).collect();
            format!("{head}...{label}")
        }
    };
    while name.len() > NAME_MAX {
        name.pop();
    }
    name
}

/// Takes back the node's expectation of a child that did not come.
struct AbandonOnDrop<'a> {
    driver: &'a Arc<Driver>,
    id: ContextId,
    attached: bool,
}

impl Drop for AbandonOnDrop<'_> {
    fn drop(&mut self) {
        if !self.attached {
            let id = self.id;
            self.driver
                .drive(|state, _| state.node.abandon(id, "it could not be started"));
        }
    }
}

//! Connects, authenticates, and runs one command.

mod agent;
mod algorithms;
mod authenticate;
mod connect;
mod files;
mod gate;
mod handler;
mod host_key;
mod keys;
mod line;
mod offers;
mod progress;
mod prompts;
mod pump;
mod reach;
mod traces;
mod warnings;
mod way;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::client::Msg;
use russh::{Channel, ChannelMsg};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::connect::{Kept, Route, Up};
pub use self::host_key::HostKeys;
use self::line::Hold;
use self::progress::Progress;
pub use self::pump::Ended;
use self::pump::Held;
use self::warnings::Warnings;
use crate::config::{HostConfig, Overrides, Surroundings};
use crate::error::{SshError, Stage};
use crate::secret::Secret;

/// How long it may take until the server has shown who it is, if nobody says.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it may take until the command has started, if nobody says. Servers give up on whoever
/// takes longer to show who he is.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Which host, and what to run there.
#[derive(Clone, Debug)]
pub struct Request {
    /// The host, as the user calls it: `Host` blocks are for this name.
    pub host: String,
    /// What beats the configuration.
    pub said: Overrides,
    /// What is done about host keys; what the configuration says, if nothing.
    pub host_keys: Option<HostKeys>,
    /// The password of the user there. It is not shown to hosts on the way.
    pub password: Option<Secret>,
    /// The passphrase of encrypted keys.
    pub passphrase: Option<Secret>,
    /// What to run: a text for the login shell there.
    pub command: String,
    /// How long all of it may take, up to the command's start; [`PATIENCE`], if nothing.
    ///
    /// `ConnectTimeout`, of the configuration or [said](Overrides::connect_timeout), is about less: it
    /// ends at each host when that has shown who it is. Whoever is slow to let us in, such as a
    /// server that asks others about a password, has all of this.
    pub patience: Option<Duration>,
    /// Whose configuration it is.
    pub around: Surroundings,
}

impl Request {
    /// A request with nothing said about it, by the user of this process.
    pub fn new(host: &str, command: &str) -> Self {
        Self {
            host: host.to_owned(),
            said: Overrides::default(),
            host_keys: None,
            password: None,
            passphrase: None,
            command: command.to_owned(),
            patience: None,
            around: Surroundings::of_process(),
        }
    }
}

/// A command that runs on another machine.
#[derive(Debug)]
pub struct Session {
    /// What the command writes can be read here. Blocking, until the owner says otherwise.
    pub output: OwnedFd,
    /// What is written here, the command reads. Closing it is the end of its input.
    pub input: OwnedFd,
    /// What the command says on its standard error. If nobody reads it, the command waits at
    /// some point; if it is closed, the rest is dropped.
    pub errors: OwnedFd,
    /// What the server says to everybody before it lets in, as it came.
    pub banner: String,
    /// What the user should know of a connection that was made all the same.
    pub warnings: Vec<String>,
    /// Keeps all of it alive.
    pub connection: Connection,
}

/// Keeps a session alive: it ends when this is dropped.
#[derive(Debug)]
pub struct Connection {
    ended: watch::Receiver<Option<Ended>>,
    pump: tokio::task::JoinHandle<()>,
    holds: Vec<Arc<Hold>>,
}

impl Connection {
    /// Waits for the end, and tells what is known of it. What the command wrote is in the pipes
    /// by then.
    ///
    /// # Cancel safety
    ///
    /// Cancel-safe: it only looks.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let lost = || Ended::Lost("the client failed".to_owned());
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().unwrap_or_else(lost),
            Err(_) => lost(),
        }
    }

    /// Waits for the end, and until the server knows of it and has hung up.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the connection is cut.
    pub async fn closed(mut self) {
        let _ = (&mut self.pump).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.pump.abort();
        for hold in &self.holds {
            hold.cut();
        }
    }
}

/// Connects to a host, authenticates, and starts a command there, with pipes to it.
///
/// # Errors
///
/// Every way to fail is a variant of [`SshError`].
///
/// # Cancel safety
///
/// Dropping the future ends the connection, wherever it has come to.
pub async fn open(request: Request) -> Result<Session, SshError> {
    connect(request)
        .await?
        .with_pipes()
        .map_err(SshError::Local)
}

/// The same, and leaves it to the caller where the command's input and output go.
///
/// # Errors
///
/// Every way to fail is a variant of [`SshError`].
///
/// # Cancel safety
///
/// Dropping the future ends the connection, wherever it has come to.
pub async fn connect(request: Request) -> Result<Opened, SshError> {
    let host = request.host.clone();
    // In a task of its own, so that a panic in the library is the end of this connection only.
    let mut task = JoinSet::new();
    task.spawn(open_in_time(request));
    match task.join_next().await {
        Some(Ok(result)) => result,
        _ => Err(SshError::Protocol {
            host,
            reason: "the client failed: this is a bug in it".to_owned(),
        }),
    }
}

/// A command that has started on another machine, and that nobody hears yet. It ends when this is
/// dropped.
pub struct Opened {
    channel: Channel<Msg>,
    held: Held,
    holds: CutOnDrop,
    /// What the server says to everybody before it lets in, as it came.
    pub banner: String,
    /// What the user should know of a connection that was made all the same.
    pub warnings: Vec<String>,
}

/// Pipes of the caller's for a command: it reads the first and writes the others.
#[derive(Debug)]
pub struct Ends {
    /// Where its input comes from.
    pub input: OwnedFd,
    /// Where its output goes.
    pub output: OwnedFd,
    /// Where its standard error goes.
    pub errors: OwnedFd,
}

impl Opened {
    /// Makes pipes to the command.
    ///
    /// # Errors
    ///
    /// Fails when there can be no pipes.
    pub fn with_pipes(self) -> std::io::Result<Session> {
        let (ours, ends) = pump::pipes()?;
        let (banner, warnings) = (self.banner.clone(), self.warnings.clone());
        let connection = self.between(ends)?;
        Ok(Session {
            output: ours.output,
            input: ours.input,
            errors: ours.errors,
            banner,
            warnings,
            connection,
        })
    }

    /// Connects the command to pipes, which do not block from here on.
    ///
    /// # Errors
    ///
    /// Fails when they are no pipes.
    pub fn between(self, ends: Ends) -> std::io::Result<Connection> {
        let (ended, pump) = pump::start(ends, self.channel, self.held)?;
        Ok(Connection {
            ended,
            pump,
            holds: self.holds.keep(),
        })
    }
}

async fn open_in_time(request: Request) -> Result<Opened, SshError> {
    let started = Instant::now();
    let progress = Progress::new(&request.host);
    let patience = request.patience.unwrap_or(PATIENCE);
    let config = within(patience, &progress, async {
        let (host, said, around) = (
            request.host.clone(),
            request.said.clone(),
            request.around.clone(),
        );
        Ok(files::apart(move || HostConfig::resolve(&host, &said, &around)).await?)
    })
    .await?;
    let after = request.patience.unwrap_or_else(|| {
        // Whoever wants to wait long for a connection has it.
        PATIENCE.max(config.connect_timeout.unwrap_or_default())
    });
    progress.of(&config.host);
    let until = started + after.min(LONGEST);
    within(
        after,
        &progress,
        open_now(&request, config, &progress, until),
    )
    .await
}

/// Does it, or tells how far it has come.
async fn within<T>(
    after: Duration,
    progress: &Progress,
    work: impl Future<Output = Result<T, SshError>>,
) -> Result<T, SshError> {
    let done = tokio::time::timeout(after, work).await;
    done.unwrap_or_else(|_| Err(progress.timeout(after)))
}

/// Longer than anybody waits, and short enough to be added to a time.
const LONGEST: Duration = Duration::from_secs(1 << 30);

async fn open_now(
    request: &Request,
    config: HostConfig,
    progress: &Progress,
    until: Instant,
) -> Result<Opened, SshError> {
    let warnings = Warnings::default();
    let route = Route {
        request,
        progress,
        warnings: &warnings,
        until,
    };
    let environment = environment(&config);
    let Up {
        handle,
        notes,
        below,
        holds,
        traces,
    } = route.target(config).await?;
    // If this future is dropped from here on, the session is too.
    let cut = CutOnDrop::new(holds);
    progress.at(Stage::Command);
    let failed = || SshError::Closed {
        host: request.host.clone(),
        stage: Stage::Command,
        reason: notes.ended().unwrap_or_default(),
    };
    let refused = |said: String| SshError::ExecRefused {
        host: request.host.clone(),
        said,
    };
    let mut channel = match handle.channel_open_session().await {
        Ok(channel) => channel,
        Err(russh::Error::ChannelOpenFailure(why)) => {
            return Err(refused(connect::channel_words(&why)));
        }
        Err(_) => return Err(failed()),
    };
    if let Some((name, value)) = traces.variable() {
        channel
            .set_env(false, name, value)
            .await
            .map_err(|_| failed())?;
    }
    for (name, value) in environment {
        // Servers refuse most of them, silently: nobody asks for an answer.
        channel
            .set_env(false, name, value)
            .await
            .map_err(|_| failed())?;
    }
    channel
        .exec(true, request.command.as_bytes())
        .await
        .map_err(|_| failed())?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => break,
            Some(ChannelMsg::Failure) => return Err(refused(String::new())),
            // A server may open its window first; data comes after the answer.
            Some(ChannelMsg::WindowAdjusted { .. }) => {}
            Some(ChannelMsg::Close | ChannelMsg::Eof) | None => return Err(failed()),
            Some(_) => {}
        }
    }
    let banner = std::mem::take(&mut notes.lock().banner);
    let mut sessions = below;
    sessions.push(Kept::session(handle));
    Ok(Opened {
        channel,
        held: Held { sessions, notes },
        holds: cut,
        banner,
        warnings: warnings.take(),
    })
}

/// Cuts lines that nobody took over.
pub(crate) struct CutOnDrop(Vec<Arc<Hold>>);

impl CutOnDrop {
    pub(crate) fn new(holds: Vec<Arc<Hold>>) -> Self {
        Self(holds)
    }

    /// Lets the lines carry as much as they like.
    pub(crate) fn trust(&self) {
        self.0.iter().for_each(|hold| hold.trust());
    }

    /// Takes them over.
    pub(crate) fn keep(mut self) -> Vec<Arc<Hold>> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.iter().for_each(|hold| hold.cut());
    }
}

/// Variables that go along.
fn environment(config: &HostConfig) -> Vec<(String, String)> {
    /// Variables that one session may take along.
    const MAX: usize = 256;
    let wanted = |name: &str| {
        let mut wanted = false;
        for pattern in &config.send_env {
            match pattern.strip_prefix('-') {
                Some(pattern) if crate::pattern::fits(name, pattern) => wanted = false,
                Some(_) => {}
                None => wanted |= crate::pattern::fits(name, pattern),
            }
        }
        wanted
    };
    let own = std::env::vars_os().filter_map(|(name, value)| {
        let pair = (name.into_string().ok()?, value.into_string().ok()?);
        wanted(&pair.0).then_some(pair)
    });
    own.chain(config.set_env.iter().cloned())
        .take(MAX)
        .collect()
}

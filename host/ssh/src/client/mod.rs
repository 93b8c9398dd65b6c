//! Connects, authenticates, and runs one command.

mod agent;
mod algorithms;
mod attempts;
mod authenticate;
mod connect;
mod dial;
mod guarded_stream;
mod handler;
mod host_key;
mod keys;
mod off_runtime;
mod offers;
mod password_scrubber;
mod progress;
mod prompts;
mod pump;
mod request;
mod session;
mod underlay;
mod warnings;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use russh::client::Msg;
use russh::{Channel, ChannelMsg};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::connect::ConnectTask;
use self::handler::describe_refusal;
pub use self::host_key::HostKeyPolicy;
use self::off_runtime::off_runtime;
use self::progress::Progress;
pub use self::progress::{CONNECT_TIMEOUT, Event, OnProgress};
use self::pump::SessionResources;
pub use self::pump::{Ended, StdioPipes};
pub use self::request::{DEFAULT_TIMEOUT, Request};
use self::session::{AbortStreamsOnDrop, AuthenticatedSession, SessionGuard};
use self::warnings::Warnings;
use crate::config::HostConfig;
use crate::error::{SshError, Stage};

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
    #[expect(dead_code, reason = "dropping it aborts the streams")]
    streams: AbortStreamsOnDrop,
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
pub async fn connect(request: Request) -> Result<StartedCommand, SshError> {
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
pub struct StartedCommand {
    channel: Channel<Msg>,
    held: SessionResources,
    streams: AbortStreamsOnDrop,
    /// What the server says to everybody before it lets in, as it came.
    pub banner: String,
    /// What the user should know of a connection that was made all the same.
    pub warnings: Vec<String>,
}

impl StartedCommand {
    /// Makes pipes to the command.
    ///
    /// # Errors
    ///
    /// Fails when there can be no pipes.
    pub fn with_pipes(self) -> std::io::Result<Session> {
        let (ours, ends) = pump::pipes()?;
        let (banner, warnings) = (self.banner.clone(), self.warnings.clone());
        let connection = self.attach(ends)?;
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
    pub fn attach(self, ends: StdioPipes) -> std::io::Result<Connection> {
        let (ended, pump) = pump::start(ends, self.channel, self.held)?;
        Ok(Connection {
            ended,
            pump,
            streams: self.streams,
        })
    }
}

async fn open_in_time(request: Request) -> Result<StartedCommand, SshError> {
    let started = Instant::now();
    let progress = Progress::new(&request.host, &request.on_progress);
    let timeout = request.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let config = within(timeout, &progress, async {
        let (host, overrides, env) = (
            request.host.clone(),
            request.overrides.clone(),
            request.env.clone(),
        );
        Ok(off_runtime(move || HostConfig::resolve(&host, &overrides, &env)).await?)
    })
    .await?;
    let after = request.timeout.unwrap_or_else(|| {
        // Whoever wants to wait long for a connection has it.
        DEFAULT_TIMEOUT.max(config.connect_timeout.unwrap_or_default())
    });
    progress.set_host(&config.host);
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
) -> Result<StartedCommand, SshError> {
    let warnings = Warnings::default();
    let route = ConnectTask {
        request,
        progress,
        warnings: &warnings,
        until,
    };
    let environment = environment(&config);
    let AuthenticatedSession {
        handle,
        state,
        underlying,
        stream_guards,
        scrubber,
    } = route.target(config).await?;
    // If this future is dropped from here on, the session is too.
    let streams = AbortStreamsOnDrop::new(stream_guards);
    progress.set_stage(Stage::Command);
    let failed = || SshError::Closed {
        host: request.host.clone(),
        stage: Stage::Command,
        reason: state.ended().unwrap_or_default(),
    };
    let refused = |said: String| SshError::ExecRefused {
        host: request.host.clone(),
        said,
    };
    let mut channel = match handle.channel_open_session().await {
        Ok(channel) => channel,
        Err(russh::Error::ChannelOpenFailure(why)) => {
            return Err(refused(describe_refusal(&why)));
        }
        Err(_) => return Err(failed()),
    };
    if let Some((name, value)) = scrubber.variable() {
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
    let banner = std::mem::take(&mut state.lock().banner);
    let mut sessions = underlying;
    sessions.push(SessionGuard::session(handle));
    Ok(StartedCommand {
        channel,
        held: SessionResources { sessions, state },
        streams,
        banner,
        warnings: warnings.take(),
    })
}

/// Variables that go along.
fn environment(config: &HostConfig) -> Vec<(String, String)> {
    /// Variables that one session may take along.
    const MAX: usize = 256;
    let wanted = |name: &str| {
        let mut wanted = false;
        for pattern in &config.send_env {
            match pattern.strip_prefix('-') {
                Some(pattern) if crate::pattern::matches(name, pattern) => wanted = false,
                Some(_) => {}
                None => wanted |= crate::pattern::matches(name, pattern),
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

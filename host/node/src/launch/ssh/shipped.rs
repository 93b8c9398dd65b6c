//! By a client that was brought here, because this machine has none: `offshoot-ssh` (of `offshoot-ssh-helper`).
//!
//! It comes as images of plugins do, from an ancestor who named its hash, and is never in a file
//! that has a name. The configuration and the keys are those of the user here.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::pin::pin;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use offshoot_proto::ImageState;
use offshoot_proto::client::{self, Answer, CONNECT_EVENTS_MAX, HEAD, Misread, Order, Report};
use offshoot_proto::control::ConnectStage;
use offshoot_proto::control::{ImageHash, Ssh};
use tokio::io::Interest;
use tokio::time::Instant;

use super::super::error::ConnectError;
use super::super::greeted::HandshakenChild;
use super::super::login::{Login, TerminalUse, Tool};
use super::super::progress::Progress;
use super::super::remote_command::RemoteCommand;
use super::super::ship_ssh::unpack;
use super::{note_banner, note_warnings, with_paths};
use crate::async_fd::read;
use crate::driver::Driver;

/// How much longer than it was given the program may take to say that time is up.
const GRACE: Duration = Duration::from_secs(1);

/// A program in memory, and the hash of the image that it came in.
struct Program {
    hash: ImageHash,
    file: OwnedFd,
}

/// Dropping the future ends the client, wherever it has come to.
pub(super) async fn launch(
    driver: &Arc<Driver>,
    ssh: Ssh,
    hash: ImageHash,
    started: Instant,
    patience: Duration,
    progress: &Progress,
) -> Result<HandshakenChild, ConnectError> {
    let program = format!("ssh {}", ssh.hostname);
    let left = || patience.saturating_sub(started.elapsed());
    let timeout = |stage| ConnectError::Timeout {
        program: program.clone(),
        stage,
        after: patience,
        printed: String::new(),
    };
    let brought = tokio::time::timeout(left(), brought(driver, hash)).await;
    let brought = brought.map_err(|_| timeout(ConnectStage::Upload))??;
    let failed = |source| ConnectError::Start {
        program: program.clone(),
        source,
    };
    let remote = RemoteCommand::new(&ssh.start, true).await?;
    let order = Order {
        ssh: with_paths(ssh),
        line: remote.line(),
        patience_ms: u64::try_from(left().as_millis()).unwrap_or(u64::MAX),
    };
    let order = client::frame(&order).map_err(misread).map_err(failed)?;
    let mut command = Command::new(format!("/proc/self/fd/{}", brought.file.as_raw_fd()));
    command.arg0("offshoot-ssh");
    let mut tool = Tool::start(command, TerminalUse::None).map_err(failed)?;
    let talk = async {
        say(&tool, &order).await?;
        read_answer(&tool, progress).await
    };
    let heard = tokio::time::timeout(left() + GRACE, talk).await;
    match heard.map_err(|_| timeout(ConnectStage::Connect))? {
        Ok(Answer::Up { banner, warnings }) => {
            note_banner(&program, &banner);
            note_warnings(&program, &warnings);
        }
        Ok(Answer::Failed(failure)) => return Err(ConnectError::from_failure(failure)),
        Err(error) => {
            let ending = tool.transport.exit_reason(GRACE).await;
            let ending = ending.map_or_else(String::new, |ending| format!("; {ending}"));
            return Err(ConnectError::ClosedEarly {
                program,
                stage: ConnectStage::Connect,
                reason: format!("the client that was brought here failed: {error}{ending}"),
            });
        }
    }
    Login::run_authenticated(program, tool, remote, started, patience, progress).await
}

/// The program, once its image has come.
async fn brought(driver: &Arc<Driver>, hash: ImageHash) -> Result<Arc<Program>, ConnectError> {
    static KEPT: Mutex<Option<Arc<Program>>> = Mutex::new(None);
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(program) = kept().filter(|program| program.hash == hash) {
        return Ok(program);
    }
    let came = driver.lock().image_came.clone();
    let image = loop {
        let mut next = pin!(came.notified());
        // From here on it misses none.
        next.as_mut().enable();
        match driver.drive(|state, _| state.node.expect_image(&hash)) {
            ImageState::Here(image) => break Some(image),
            ImageState::Missing => break None,
            ImageState::OnItsWay => next.await,
        }
    };
    let failed = |source| ConnectError::Start {
        program: "the client that was brought here".to_owned(),
        source,
    };
    let image = image.ok_or_else(|| {
        failed(std::io::Error::other(
            "there was no room for it on the way here; use `jump` instead of `via`",
        ))
    })?;
    // Some milliseconds, which must not hold up the links.
    let made = tokio::task::spawn_blocking(move || unpack(&image, hash)).await;
    let file = made.map_err(|_| ConnectError::Stopped)?;
    let file = file.inspect_err(|_| driver.lock().node.discard_image(&hash));
    let program = Arc::new(Program {
        hash,
        file: file.map_err(failed)?,
    });
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(program.clone());
    Ok(program)
}

async fn say(tool: &Tool, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let written = tool.output.async_io(Interest::WRITABLE, |output| {
            rustix::io::write(output, bytes).map_err(Into::into)
        });
        bytes = &bytes[written.await?..];
    }
    Ok(())
}

/// Reads up to the answer, and no byte more: what follows is the command's.
async fn read_answer(tool: &Tool, progress: &Progress) -> std::io::Result<Answer> {
    for _ in 0..=CONNECT_EVENTS_MAX {
        let mut head = [0; HEAD];
        fill(tool, &mut head).await?;
        let mut bytes = vec![0; client::length(head).map_err(misread)?];
        fill(tool, &mut bytes).await?;
        match client::body(&bytes).map_err(misread)? {
            Report::Progress(event) => progress.forward(event),
            Report::Answer(answer) => return Ok(answer),
        }
    }
    Err(std::io::Error::other("it reports without end"))
}

fn misread(error: Misread) -> std::io::Error {
    std::io::Error::other(error)
}

async fn fill(tool: &Tool, mut room: &mut [u8]) -> std::io::Result<()> {
    while !room.is_empty() {
        match read(&tool.errors, room).await? {
            0 => return Err(std::io::Error::other("it said nothing")),
            count => room = &mut room[count..],
        }
    }
    Ok(())
}

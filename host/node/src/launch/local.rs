//! Starts a child as a process of the same user on the same machine.

use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use offshoot_proto::control::{ConnectEvent, ConnectStage, Method};
use offshoot_proto::handshake::{ExpectHello, HelloReceived};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::binary::ChildBinary;
use super::error::ConnectError;
use super::greeted::HandshakenChild;
use super::nonce::random;
use super::progress::Progress;
use super::remote_name::remote_name;
use super::stderr::last_words;
use crate::BUILD_ID;
use crate::async_fd::watched;
use crate::transport::{LinkParts, PIPE_SIZE, Process, Transport};

/// How long an ended program's last words may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How to start a local child.
#[derive(Clone, Debug, Default)]
pub struct LocalSpec {
    /// What process listings show behind `offshoot:`.
    pub remote_name: Option<String>,
    /// The program to start instead of the own child.
    pub child_path: Option<String>,
}

impl From<LocalSpec> for Method {
    fn from(spec: LocalSpec) -> Self {
        Self::Local {
            remote_name: spec.remote_name,
            child_path: spec.child_path,
        }
    }
}

/// Starts the child and waits for its hello.
///
/// Dropping the future kills the child.
pub(super) async fn launch(
    spec: &LocalSpec,
    patience: Duration,
    progress: &Progress,
) -> Result<HandshakenChild, ConnectError> {
    let binary = ChildBinary::find(spec.child_path.as_deref())?;
    let program = binary.name();
    let remote_name = remote_name(spec.remote_name.as_deref())?;
    let start_error = |source: std::io::Error| ConnectError::Start {
        program: program.clone(),
        source,
    };
    let nonce = random()?;
    let started = start(&binary, &remote_name, &nonce).map_err(start_error)?;
    let Started {
        mut process,
        input,
        output,
        errors,
    } = started;
    progress.report(ConnectEvent::Started);
    let mut expect = ExpectHello::new(&nonce, BUILD_ID);
    let hello = tokio::time::timeout(patience, read_hello(&input, &mut expect)).await;
    let reason = match hello {
        Ok(Ok(HelloReceived { hello, rest, noise })) => {
            if !noise.is_empty() {
                let noise = String::from_utf8_lossy(&noise);
                tracing::debug!(program, %noise, "printed before its hello");
            }
            return Ok(HandshakenChild {
                hello,
                parts: LinkParts {
                    input,
                    output,
                    transport: Transport::Process(process),
                },
                rest,
                errors,
                terminal: None,
                program,
            });
        }
        Ok(Err(NoHello::Ended)) => process
            .exit_reason(LAST_WORDS)
            .await
            .unwrap_or_else(|| "it closed its output".to_owned()),
        Ok(Err(NoHello::Wrong(reason))) => reason,
        Err(_) => {
            return Err(ConnectError::Timeout {
                program,
                stage: ConnectStage::Hello,
                after: patience,
                printed: expect.noise_text(),
            });
        }
    };
    drop(process);
    let mut words = expect.noise_text();
    words.push_str(&last_words(errors));
    let words = words.trim();
    let reason = match words {
        "" => reason,
        words => format!("{reason}; it printed: {words}"),
    };
    Err(ConnectError::Handshake { program, reason })
}

struct Started {
    process: Process,
    input: AsyncFd<Arc<OwnedFd>>,
    output: OwnedFd,
    errors: PipeReader,
}

fn start(binary: &ChildBinary, remote_name: &str, nonce: &str) -> std::io::Result<Started> {
    let (child_input, output) = pipe_with(PipeFlags::CLOEXEC)?;
    let (input, child_output) = pipe_with(PipeFlags::CLOEXEC)?;
    for pipe in [&input, &output] {
        // The kernel may refuse, per user: the link is then slower for bulk, no more.
        let _ = fcntl_setpipe_size(pipe, PIPE_SIZE);
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    let (errors, child_errors) = std::io::pipe()?;
    let child = Command::new(&binary.path)
        .arg0(format!("offshoot:{remote_name}"))
        .args(["serve", nonce])
        .stdin(child_input)
        .stdout(child_output)
        .stderr(Stdio::from(child_errors))
        // A terminal's interrupt is for the controller, which ends its children in order.
        .process_group(0)
        .spawn()?;
    Ok(Started {
        process: Process::new(child)?,
        input: watched(Arc::new(input), Interest::READABLE)?,
        output,
        errors,
    })
}

enum NoHello {
    Ended,
    Wrong(String),
}

async fn read_hello(
    input: &AsyncFd<Arc<OwnedFd>>,
    expect: &mut ExpectHello,
) -> Result<HelloReceived, NoHello> {
    let mut buffer = [0; 4096];
    loop {
        let mut ready = input.readable().await.map_err(|_| NoHello::Ended)?;
        match rustix::io::read(input.get_ref(), &mut buffer) {
            Ok(0) => return Err(NoHello::Ended),
            Ok(count) => {
                let greeted = expect.on_bytes(&buffer[..count]);
                if let Some(greeted) = greeted.map_err(|error| NoHello::Wrong(error.to_string()))? {
                    return Ok(greeted);
                }
            }
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(NoHello::Wrong(format!("cannot read from it: {error}"))),
        }
    }
}

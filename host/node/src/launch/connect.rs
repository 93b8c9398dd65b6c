//! Makes a context, wherever in the tree it is to be: from the id to the name.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use offshoot_proto::control::{self, CONNECT_EVENTS_MAX, Connect, Connected, Hello, Method};
use offshoot_proto::{Body, ContextId, Node, SendError};

use super::error::ConnectError;
use super::make_child::{NewChild, NewContext, default_name, make_child};
use super::progress::Progress;
use super::request::{ConnectRequest, NewContextError};
use super::ship_ssh;
use crate::driver::{ContextInfo, Driver, Subscription};
use crate::mailbox::{Content, Received};

/// Makes a context. When the future is dropped, it is not made, or ended if it was made already.
///
/// Where a machine turns out to have no `ssh`, a client is sent there, and it is tried once more:
/// nothing has left that machine by then.
pub async fn connect<M: Into<Method>>(
    driver: &Arc<Driver>,
    wanted: ConnectRequest<M>,
) -> Result<(ContextId, NewContext), NewContextError> {
    let started = std::time::Instant::now();
    let wanted = ConnectRequest {
        spec: wanted.spec.into(),
        via: wanted.via,
        options: wanted.options,
        progress: wanted.progress,
    };
    let spare = wanted.via.and_then(|via| ship_ssh::spare(via, &wanted));
    let (error, mut spare) = match (connect_once(driver, wanted).await, spare) {
        (Err(error), Some(spare)) if ship_ssh::is_missing(&error) => (error, spare),
        (result, _) => return result,
    };
    if !ship_ssh::send(driver, &mut spare) {
        return Err(error);
    }
    spare.options.timeout = spare.options.timeout.saturating_sub(started.elapsed());
    connect_once(driver, spare).await
}

async fn connect_once(
    driver: &Arc<Driver>,
    wanted: ConnectRequest<Method>,
) -> Result<(ContextId, NewContext), NewContextError> {
    if let Some(name) = &wanted.options.name {
        Node::check_name(name).map_err(ConnectError::Name)?;
    }
    let here = driver.lock().node.id();
    let via = wanted.via.filter(|&via| via != here);
    let id = allocate(driver, via).await?;
    let Some(via) = via else {
        let child = NewChild {
            id,
            options: wanted.options,
            progress: wanted.progress,
        };
        let up = driver
            .inside(make_child(driver, child, wanted.spec))
            .await?;
        return Ok((id, up));
    };
    let connect = Connect {
        id,
        method: wanted.spec,
        options: wanted.options,
        wants_progress: wanted.progress.is_wanted(),
    };
    // A task of its own, so that a child nobody waits for any more is still ended.
    let connecting =
        driver
            .runtime()
            .spawn(connect_via(driver.clone(), via, connect, wanted.progress));
    let mut unwanted = ShutdownOnDrop {
        driver: driver.clone(),
        task: Some(connecting),
        id,
    };
    Ok((id, unwanted.wait().await?))
}

/// Allots the context's id; a context that is not the controller may first have to be granted
/// some.
async fn allocate(
    driver: &Arc<Driver>,
    via: Option<ContextId>,
) -> Result<ContextId, NewContextError> {
    let mut asked = None;
    poll_fn(|cx| {
        driver.drive(|state, now| match state.node.allocate_context(via) {
            Err(SendError::NeedsIds) => {
                if let (Some(asked), Some((at, reason))) = (asked, &state.ids.refused)
                    && *at >= asked
                {
                    return Poll::Ready(Err(ConnectError::NoIds(reason.clone()).into()));
                }
                asked.get_or_insert(state.ids.answers + 1);
                if let Err(error) = state.node.request_ids(now) {
                    return Poll::Ready(Err(error.into()));
                }
                state.ids.waiting.push(cx.waker().clone());
                Poll::Pending
            }
            allotted => Poll::Ready(allotted.map_err(NewContextError::from)),
        })
    })
    .await
}

async fn connect_via(
    driver: Arc<Driver>,
    via: ContextId,
    connect: Connect,
    progress: Progress,
) -> Result<NewContext, NewContextError> {
    let id = connect.id;
    let via_name = driver.name(via);
    let label = connect.method.label();
    let failed_with = |error: ConnectError| ConnectError::Via {
        via: via_name.to_string(),
        error: Box::new(error),
    };
    let reply = driver.drive(|state, now| {
        let handle = state.node.connect_via(via, &connect, now)?;
        Ok(Subscription::new(&driver, state, Some(via), handle))
    });
    let reply = reply.inspect_err(|_: &SendError| {
        // Nobody will make it now.
        driver.drive(|state, _| state.node.abandon(id, "nobody could be asked to make it"));
    })?;
    let (hello, name) = read_answer(&reply, &progress).await.map_err(failed_with)?;
    let theirs = connect.options.name.unwrap_or_else(|| {
        // The parent's word on the process is all that there is to go by.
        default_name(Some(&via_name), &label, hello.pid)
    });
    if name != theirs {
        driver.drive(|state, _| state.node.shut_down(id));
        let reason = format!("it calls the new context another name than `{theirs}`");
        return Err(failed_with(ConnectError::Elsewhere(reason)).into());
    }
    let name: Arc<str> = name.into();
    let known = ContextInfo {
        name: name.clone(),
        target: hello.target.as_str().into(),
    };
    driver.register_context(id, known);
    Ok(NewContext { hello, name })
}

/// Waits for the answer of the context that makes the child, and reports what comes before it.
async fn read_answer(
    reply: &Subscription,
    progress: &Progress,
) -> Result<(Hello, String), ConnectError> {
    let failed = |reason| Err(ConnectError::Elsewhere(reason));
    for _ in 0..=CONNECT_EVENTS_MAX {
        let content = match reply.take().await {
            Received::QueuedMessage(mail) => mail.content,
            Received::Over(reason) => return failed(reason.to_string()),
        };
        let body = match content {
            Content::Body(Body::Data(body)) => body,
            Content::Body(Body::Dead(dead)) => return failed(dead.reason),
            Content::Expired => return failed("it did not answer in time".to_owned()),
        };
        match control::decode(&body) {
            Some(Connected::Progress(event)) => progress.forward(event),
            Some(Connected::Up { hello, name }) => return Ok((hello, name)),
            Some(Connected::Failed(failure)) => return Err(ConnectError::from_failure(failure)),
            None => return failed("malformed answer".to_owned()),
        }
    }
    failed(format!("it reported more than {CONNECT_EVENTS_MAX} events"))
}

/// Ends a context that comes up after its maker has gone.
struct ShutdownOnDrop {
    driver: Arc<Driver>,
    task: Option<tokio::task::JoinHandle<Result<NewContext, NewContextError>>>,
    id: ContextId,
}

impl ShutdownOnDrop {
    async fn wait(&mut self) -> Result<NewContext, NewContextError> {
        let Some(task) = &mut self.task else {
            return Err(ConnectError::Stopped.into());
        };
        let result = task.await;
        self.task = None;
        result.unwrap_or_else(|_| Err(ConnectError::Stopped.into()))
    }
}

impl Drop for ShutdownOnDrop {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            let (driver, id) = (self.driver.clone(), self.id);
            // The future may be dropped outside of the runtime.
            self.driver.spawn(async move {
                if let Ok(Ok(_)) = task.await {
                    driver.drive(|state, _| state.node.shut_down(id));
                }
            });
        }
    }
}

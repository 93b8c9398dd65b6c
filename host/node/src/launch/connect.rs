//! Makes a context, wherever in the tree it is to be: from the id to the name.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use offshoot_proto::control::{self, CONNECT_EVENTS_MAX, Connect, Connected, Hello, Method};
use offshoot_proto::{Body, ContextId, Node, SendError};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

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
    let connecting = match via {
        None => {
            let child = NewChild {
                id,
                options: wanted.options,
                progress: wanted.progress,
            };
            let (maker, method) = (driver.clone(), wanted.spec);
            Connecting::spawn(driver, id, async move {
                Ok(make_child(&maker, child, method).await?)
            })
        }
        Some(via) => {
            let connect = Connect {
                id,
                method: wanted.spec,
                options: wanted.options,
                wants_progress: wanted.progress.is_wanted(),
            };
            let made = connect_via(driver.clone(), via, connect, wanted.progress);
            Connecting::spawn(driver, id, made)
        }
    };
    Ok((id, connecting.wait().await?))
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
    let mut cancel = CancelOnDrop {
        driver: &driver,
        via,
        id,
        is_answered: false,
    };
    let reply = driver.drive(|state, now| {
        let handle = state.node.connect_via(via, &connect, now)?;
        Ok(Subscription::new(&driver, state, Some(via), handle))
    });
    let reply = reply.inspect_err(|_: &SendError| {
        // There is nothing to cancel there.
        cancel.is_answered = true;
        driver.drive(|state, _| state.node.abandon(id, "nobody could be asked to make it"));
    })?;
    let answer = read_answer(&reply, &progress).await;
    cancel.is_answered = answer.is_ok();
    let (hello, name) = answer.map_err(failed_with)?;
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

/// Has `via` give up a child, unless it has answered.
struct CancelOnDrop<'a> {
    driver: &'a Arc<Driver>,
    via: ContextId,
    id: ContextId,
    is_answered: bool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            let (via, id) = (self.via, self.id);
            self.driver
                .drive(|state, _| state.node.cancel_connect(via, id));
        }
    }
}

/// A task that makes a context. A shutdown ends it and waits for what it has started. Dropping this
/// ends it, and the context if that is up.
struct Connecting {
    driver: Arc<Driver>,
    id: ContextId,
    task: AbortHandle,
    made: oneshot::Receiver<Result<NewContext, NewContextError>>,
}

impl Connecting {
    fn spawn(
        driver: &Arc<Driver>,
        id: ContextId,
        making: impl Future<Output = Result<NewContext, NewContextError>> + Send + 'static,
    ) -> Self {
        let (sender, made) = oneshot::channel();
        let unwanted = driver.clone();
        let task = driver.spawn_background(async move {
            if let Err(Ok(_)) = sender.send(making.await) {
                unwanted.drive(|state, _| state.node.shut_down(id));
            }
        });
        Self {
            driver: driver.clone(),
            id,
            task,
            made,
        }
    }

    async fn wait(mut self) -> Result<NewContext, NewContextError> {
        let made = (&mut self.made).await;
        made.unwrap_or_else(|_| Err(ConnectError::Stopped.into()))
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.task.abort();
        self.made.close();
        if let Ok(Ok(_)) = self.made.try_recv() {
            let id = self.id;
            self.driver.drive(|state, _| state.node.shut_down(id));
        }
    }
}

//! Limits the connections to one server that are not logged in.
//!
//! A server drops connections at random once too many of them are not authenticated (`MaxStartups`
//! of OpenSSH's server: from 10 on), whichever client made them. So every client of this process
//! takes a [`Permit`] before it connects, and drops it once it is authenticated.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections to one server that are not logged in: two less than OpenSSH's server takes without
/// dropping any, for those of other processes.
pub const CONNECTIONS_MAX: usize = 8;

/// The limiter of this process.
pub static CONNECTIONS: ConnectionLimiter = ConnectionLimiter::new();

/// The permits of all servers that are being connected to.
#[derive(Debug)]
pub struct ConnectionLimiter {
    /// An entry exists while a permit of the server is held or waited for, so there are at most as
    /// many entries as connections under way.
    servers: Mutex<BTreeMap<String, Server>>,
}

#[derive(Debug)]
struct Server {
    permits: Arc<Semaphore>,
    /// Permits that are held or waited for.
    references: usize,
}

/// The right to connect to a server. Dropping it passes it on.
#[derive(Debug)]
pub struct Permit {
    // In this order: the permit is given back while its entry exists.
    _permit: Option<OwnedSemaphorePermit>,
    _reference: Reference,
}

/// Keeps the entry of a server.
#[derive(Debug)]
struct Reference {
    limiter: &'static ConnectionLimiter,
    server: String,
}

impl ConnectionLimiter {
    /// A limiter without connections.
    pub const fn new() -> Self {
        Self {
            servers: Mutex::new(BTreeMap::new()),
        }
    }

    /// Waits for a permit of a server, in the order of the requests. `server` is compared as it is:
    /// two names of one server are two servers.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the request is withdrawn.
    pub async fn acquire(&'static self, server: &str) -> Permit {
        let (reference, permits) = self.reference(server);
        Permit {
            // Nothing closes the semaphore.
            _permit: permits.acquire_owned().await.ok(),
            _reference: reference,
        }
    }

    fn reference(&'static self, server: &str) -> (Reference, Arc<Semaphore>) {
        let mut servers = self.lock();
        let entry = servers.entry(server.to_owned()).or_insert_with(|| Server {
            permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            references: 0,
        });
        entry.references += 1;
        let reference = Reference {
            limiter: self,
            server: server.to_owned(),
        };
        (reference, entry.permits.clone())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ConnectionLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let mut servers = self.limiter.lock();
        if let Some(server) = servers.get_mut(&self.server) {
            server.references -= 1;
            if server.references == 0 {
                servers.remove(&self.server);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    static LIMITER: ConnectionLimiter = ConnectionLimiter::new();

    #[tokio::test]
    async fn f50_no_more_than_eight_connect_to_a_server_and_its_entry_goes_with_the_last() {
        let mut permits = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            permits.push(LIMITER.acquire("web1").await);
        }
        let mut next = Box::pin(LIMITER.acquire("web1"));
        let mut withdrawn = Box::pin(LIMITER.acquire("web1"));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut cx).is_pending());
        assert!(withdrawn.as_mut().poll(&mut cx).is_pending());
        drop(withdrawn);
        // Another server has permits of its own.
        drop(LIMITER.acquire("web2").await);
        assert!(!LIMITER.lock().contains_key("web2"));
        permits.pop();
        let Poll::Ready(permit) = next.as_mut().poll(&mut cx) else {
            panic!("a permit was given back");
        };
        permits.push(permit);
        assert!(LIMITER.lock().contains_key("web1"));
        drop((next, permits));
        assert!(LIMITER.lock().is_empty());
    }
}

//! A line between two sockets that can be slow, be cut, and stop.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Makes the far half of a line.
pub(crate) type Connect = Arc<dyn Fn() -> io::Result<TcpStream> + Send + Sync>;

/// Bytes that are moved at once.
const PIECE: usize = 32 * 1024;

/// Pieces that may be under way on a slow line: 32 MiB, above what ssh lets be under way.
const UNDER_WAY: usize = 1024;

/// What a line is like. The default is one that only carries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// How long each byte takes, one way.
    pub delay: Duration,
    /// What happens to what the client sends.
    pub up: Trouble,
    /// What happens to what the server sends.
    pub down: Trouble,
}

/// What happens to one direction of each connection.
#[derive(Clone, Copy, Debug, Default)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// The connection ends, in both directions, once so many bytes got through.
    CutAfter(u64),
    /// Nothing gets through any more, and nobody is told, once so many bytes have.
    FreezeAfter(u64),
}

/// A port of the loopback whose connections are carried elsewhere.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    closed: AtomicBool,
    frozen: Mutex<bool>,
    thawed: Condvar,
    connections: AtomicUsize,
    up: AtomicU64,
    down: AtomicU64,
    /// Both ends of each connection that is up, by its number, to be cut.
    open: Mutex<HashMap<usize, [TcpStream; 2]>>,
}

impl Proxy {
    /// Carries connections to an address of this machine.
    ///
    /// # Errors
    ///
    /// Fails when no port is left.
    pub fn to(target: SocketAddr, weather: Weather) -> io::Result<Self> {
        Self::start(Arc::new(move || TcpStream::connect(target)), weather)
    }

    pub(crate) fn start(connect: Connect, weather: Weather) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let for_listener = Arc::clone(&shared);
        thread::spawn(move || listen(&listener, &connect, weather, &for_listener));
        Ok(Self { addr, shared })
    }

    /// Where to connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Lets nothing through any more, in all connections.
    pub fn freeze(&self) {
        *self.shared.lock_frozen() = true;
    }

    /// Ends [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        *self.shared.lock_frozen() = false;
        self.shared.thawed.notify_all();
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes that went from clients to servers so far.
    pub fn bytes_up(&self) -> u64 {
        self.shared.up.load(Ordering::SeqCst)
    }

    /// Bytes that went from servers to clients so far.
    pub fn bytes_down(&self) -> u64 {
        self.shared.down.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        {
            // Under the lock, so that nobody who waits on it misses it.
            let mut frozen = self.shared.lock_frozen();
            self.shared.closed.store(true, Ordering::SeqCst);
            *frozen = false;
        }
        self.shared.thawed.notify_all();
        self.shared.cut();
        // Wakes the listener, which then sees that it is not needed.
        let _ = TcpStream::connect(self.addr);
    }
}

impl Shared {
    fn lock_frozen(&self) -> MutexGuard<'_, bool> {
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while_frozen(&self) {
        let mut frozen = self.lock_frozen();
        while *frozen && !self.closed.load(Ordering::SeqCst) {
            frozen = self
                .thawed
                .wait(frozen)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn wait_until_closed(&self) {
        let mut frozen = self.lock_frozen();
        while !self.closed.load(Ordering::SeqCst) {
            frozen = self
                .thawed
                .wait(frozen)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn cut(&self) {
        for stream in self.lock_open().values().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn lock_open(&self) -> MutexGuard<'_, HashMap<usize, [TcpStream; 2]>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(listener: &TcpListener, connect: &Connect, weather: Weather, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.closed.load(Ordering::SeqCst) {
            return;
        }
        let (Ok(client), connect) = (client, Arc::clone(connect)) else {
            continue;
        };
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A client sees an end where there is no server.
            let _ = carry(number, client, &connect, weather, &shared);
            shared.lock_open().remove(&number);
        });
    }
}

fn carry(
    number: usize,
    client: TcpStream,
    connect: &Connect,
    weather: Weather,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let server = connect()?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let both = [client.try_clone()?, server.try_clone()?];
    shared.lock_open().insert(number, both);
    let up = Way {
        from: client.try_clone()?,
        to: server.try_clone()?,
        trouble: weather.up,
        delay: weather.delay,
    };
    let down = Way {
        from: server,
        to: client,
        trouble: weather.down,
        delay: weather.delay,
    };
    let for_up = Arc::clone(shared);
    let upwards = thread::spawn(move || up.run(&for_up, &for_up.up));
    down.run(shared, &shared.down);
    let _ = upwards.join();
    Ok(())
}

/// One direction of a connection.
struct Way {
    from: TcpStream,
    to: TcpStream,
    trouble: Trouble,
    delay: Duration,
}

impl Way {
    fn run(mut self, shared: &Arc<Shared>, counter: &AtomicU64) {
        let Ok(mut to) = self.to.try_clone() else {
            return;
        };
        let end = if self.delay.is_zero() {
            self.pump(shared, counter, |piece| to.write_all(piece).is_ok())
        } else {
            let (send, receive) = mpsc::sync_channel(UNDER_WAY);
            let late = thread::spawn(move || arrive(to, &receive));
            let delay = self.delay;
            let end = self.pump(shared, counter, |piece| {
                send.send((Instant::now() + delay, piece.to_vec())).is_ok()
            });
            drop(send);
            let _ = late.join();
            end
        };
        match (end, self.trouble) {
            (End::Trouble, Trouble::CutAfter(_)) => {
                for stream in [&self.from, &self.to] {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
            // Nobody is told, until the proxy is closed.
            (End::Trouble, _) => shared.wait_until_closed(),
            (End::Reader, _) => {
                let _ = self.to.shutdown(Shutdown::Write);
            }
            (End::Writer, _) => {
                let _ = self.from.shutdown(Shutdown::Read);
            }
        }
    }

    /// Moves bytes until one end is gone, or trouble comes.
    fn pump(
        &mut self,
        shared: &Shared,
        counter: &AtomicU64,
        mut pass: impl FnMut(&[u8]) -> bool,
    ) -> End {
        let mut buffer = vec![0; PIECE];
        let mut left = match self.trouble {
            Trouble::None => u64::MAX,
            Trouble::CutAfter(bytes) | Trouble::FreezeAfter(bytes) => bytes,
        };
        while left > 0 {
            let count = match self.from.read(&mut buffer) {
                Ok(0) | Err(_) => return End::Reader,
                Ok(count) => count.min(usize::try_from(left).unwrap_or(usize::MAX)),
            };
            shared.wait_while_frozen();
            if !pass(&buffer[..count]) {
                return End::Writer;
            }
            counter.fetch_add(count as u64, Ordering::SeqCst);
            left -= count as u64;
        }
        End::Trouble
    }
}

/// Why one direction moves no more.
enum End {
    /// Nothing more comes.
    Reader,
    /// Nobody wants it.
    Writer,
    /// It was to happen.
    Trouble,
}

/// Writes each piece when its time has come.
fn arrive(mut to: TcpStream, pieces: &Receiver<(Instant, Vec<u8>)>) {
    for (due, piece) in pieces {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            return;
        }
    }
}

//! Our side: the library, used as its documentation shows, on a runtime of one thread.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bench_plugin::{add, echo, pause, produce, swallow};
use bench_stream::pour;
use flate2::Compression;
use flate2::write::GzEncoder;
use offshoot::{Blob, Context, Plugin, Receiver, Router, Select};
use tokio::runtime::Runtime;

use crate::arguments::Arguments;
use crate::ours_ssh::{self, Client};
use crate::processes::{children, resident_mib};
use crate::row::{
    BESIDE, BESIDE_BULK, BESIDE_TRANSFERS, BULK, CHAIN, CHAIN_ROUND_TRIPS, ECHO, IDLE, OUTSTANDING,
    PAUSE, ROUND_TRIPS, Row, SCATTERED, STREAM_ITEM, WINDOW, WINDOWS,
};
use crate::side::{Sample, Side, each_us, mb_per_s};
use crate::site::{Site, noise};

/// How long a child may take to be gone after it was told to end.
const END_MAX: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(1);

pub(crate) struct Ours {
    plugin: Plugin,
    stream: Plugin,
    peer: PathBuf,
}

impl Ours {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        Ok(Self {
            plugin: Plugin::open(&arguments.plugin)?,
            stream: Plugin::open(&arguments.stream)?,
            peer: arguments.peer.clone(),
        })
    }
}

impl Side for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn prepare(&self, row: Row) -> Result<Option<Sample>> {
        let tree = Tree::start(&self.plugin)?;
        Ok(Some(match row {
            Row::LocalStartFirstCall => Box::new(move || tree.start_and_call()),
            Row::CallRoundTrip => {
                let context = tree.block_on(tree.chain(1))?;
                Box::new(move || tree.round_trips(&context, ROUND_TRIPS))
            }
            Row::PipelinedCalls => {
                let context = tree.block_on(tree.chain(1))?;
                Box::new(move || tree.pipelined(&context))
            }
            Row::Chain10Setup => Box::new(move || tree.set_up_chain()),
            Row::Chain10Call => {
                let context = tree.block_on(tree.chain(CHAIN))?;
                Box::new(move || tree.round_trips(&context, CHAIN_ROUND_TRIPS))
            }
            Row::Select20 => tree.scatterer(20)?,
            Row::Select200 => tree.scatterer(200)?,
            Row::BulkUp => {
                let (context, data) = (tree.block_on(tree.chain(1))?, noise(BULK));
                Box::new(move || tree.send(&context, &data))
            }
            Row::BulkDown => {
                let context = tree.block_on(tree.chain(1))?;
                Box::new(move || tree.fetch(&context))
            }
            Row::Stream => {
                tree.router.add_plugin(self.stream.clone());
                let context = tree.block_on(tree.chain(1))?;
                Box::new(move || tree.receive(&context))
            }
            Row::CallBesideBulk => tree.beside(true)?,
            Row::IdleChildCost => {
                let mut kept = Vec::new();
                Box::new(move || tree.idle(&mut kept))
            }
            Row::OutstandingCall => {
                let context = tree.block_on(tree.chain(1))?;
                let mut kept = Vec::new();
                Box::new(move || tree.outstanding(&context, &mut kept))
            }
            Row::Echo1Mib => {
                let context = tree.block_on(tree.chain(1))?;
                Box::new(move || tree.echo(&context))
            }
            Row::IdleChildRss => Box::new(move || tree.with_child(resident_mib)),
            Row::ChildBinaryGz => Box::new(move || tree.with_child(gzipped_mb)),
            Row::Ssh(row, line) => {
                let site = Site::new(line, &self.peer)?;
                ours_ssh::prepare(tree, site, Client::Default, row, line)?
            }
        }))
    }
}

/// A router with its runtime. Its contexts end when it is dropped.
pub(crate) struct Tree {
    runtime: Runtime,
    pub(crate) router: Router,
}

impl Tree {
    pub(crate) fn start(plugin: &Plugin) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let router = runtime.block_on(async { Router::new() })?;
        router.add_plugin(plugin.clone());
        Ok(Self { runtime, router })
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(work)
    }

    /// The last of so many contexts, each the parent of the next.
    async fn chain(&self, length: usize) -> Result<Context> {
        let mut context = self.router.local().await?;
        for _ in 1..length {
            context = self.router.local().via(&context).await?;
        }
        Ok(context)
    }

    fn start_and_call(&self) -> Result<f64> {
        self.block_on(async {
            let before = children();
            let start = Instant::now();
            let context = self.router.local().await?;
            let sum = context.call::<add>((1, 2)).await?;
            let took = start.elapsed();
            if sum != 3 {
                bail!("1 + 2 = {sum}");
            }
            end(&context, &before).await?;
            Ok(each_us(took, 1))
        })
    }

    fn set_up_chain(&self) -> Result<f64> {
        self.block_on(async {
            let before = children();
            let start = Instant::now();
            let first = self.router.local().await?;
            let mut last = first.clone();
            for _ in 1..CHAIN {
                last = self.router.local().via(&last).await?;
            }
            let took = start.elapsed();
            end(&first, &before).await?;
            Ok(each_us(took, 1))
        })
    }

    pub(crate) fn round_trips(&self, context: &Context, count: usize) -> Result<f64> {
        self.block_on(async {
            let start = Instant::now();
            for number in 0..count as u64 {
                context.call::<add>((number, 1)).await?;
            }
            Ok(each_us(start.elapsed(), count))
        })
    }

    fn pipelined(&self, context: &Context) -> Result<f64> {
        self.block_on(async {
            let start = Instant::now();
            for _ in 0..WINDOWS {
                let mut receivers = Vec::with_capacity(WINDOW);
                for number in 0..WINDOW as u64 {
                    receivers.push(context.call_async::<add>((number, 1)).await?);
                }
                for (number, receiver) in (0_u64..).zip(receivers) {
                    let sum = receiver.get().await?;
                    if sum != number + 1 {
                        bail!("{number} + 1 = {sum}");
                    }
                }
            }
            Ok((WINDOWS * WINDOW) as f64 / start.elapsed().as_secs_f64())
        })
    }

    /// A sample over so many children.
    fn scatterer(self, children: usize) -> Result<Sample> {
        let contexts = self.block_on(async {
            let mut contexts = Vec::with_capacity(children);
            for _ in 0..children {
                let context = self.router.local().await?;
                context.call::<add>((1, 2)).await?;
                contexts.push(context);
            }
            Ok(contexts)
        })?;
        Ok(Box::new(move || self.scatter(&contexts)))
    }

    fn scatter(&self, contexts: &[Context]) -> Result<f64> {
        self.block_on(async {
            let start = Instant::now();
            for _ in 0..SCATTERED / contexts.len() {
                let select = Select::new();
                for (number, context) in (0_u64..).zip(contexts) {
                    select.add(context.call_async::<add>((number, 1)).await?)?;
                }
                let mut sum = 0;
                while let Some(event) = select.next().await {
                    sum += event.value?;
                }
                let count = contexts.len() as u64;
                if sum != count * (count + 1) / 2 {
                    bail!("a sum is wrong");
                }
            }
            Ok(SCATTERED as f64 / start.elapsed().as_secs_f64())
        })
    }

    fn outstanding(&self, context: &Context, kept: &mut Vec<Receiver<u64>>) -> Result<f64> {
        self.block_on(async {
            kept.reserve(OUTSTANDING);
            let before = resident_mib(std::process::id())?;
            let first = context.call_async::<pause>((PAUSE,)).await?;
            for number in 0..OUTSTANDING as u64 {
                kept.push(context.call_async::<add>((number, 1)).await?);
            }
            let after = resident_mib(std::process::id())?;
            if first.try_get().is_some() {
                bail!("the calls did not have to wait");
            }
            first.get().await?;
            Ok((after - before) * 1024.0 * 1024.0 / OUTSTANDING as f64)
        })
    }

    /// Slow small calls to a child, while its child is sent as much as their link carries, or
    /// nothing.
    pub(crate) fn beside(self, bulk: bool) -> Result<Sample> {
        let (near, far) = self.block_on(async {
            let near = self.router.local().await?;
            let far = self.router.local().via(&near).await?;
            near.call::<add>((1, 2)).await?;
            far.call::<add>((1, 2)).await?;
            Ok((near, far))
        })?;
        let data = noise(BESIDE_BULK);
        Ok(Box::new(move || {
            let transfers = if bulk { BESIDE_TRANSFERS } else { 0 };
            std::thread::scope(|scope| {
                // In a thread of its own, as Mitogen's: what a program does in the thread of its
                // small calls is not the link's.
                let busy = scope.spawn(|| -> Result<()> {
                    for _ in 0..transfers {
                        far.call_blocking::<swallow>((data.clone().into(),))?;
                    }
                    Ok(())
                });
                // The router runs in this thread, so it has to go on until that one is done.
                let slow = self.block_on(slow_call(&near, || busy.is_finished()));
                match busy.join() {
                    Ok(ended) => ended.and(slow),
                    Err(_) => bail!("the thread of the bulk transfer has panicked"),
                }
            })
        }))
    }

    fn idle(&self, kept: &mut Vec<Context>) -> Result<f64> {
        self.block_on(async {
            let before = resident_mib(std::process::id())?;
            for _ in 0..IDLE {
                let context = self.router.local().await?;
                context.call::<add>((1, 2)).await?;
                kept.push(context);
            }
            let after = resident_mib(std::process::id())?;
            Ok((after - before) * 1024.0 / IDLE as f64)
        })
    }

    fn echo(&self, context: &Context) -> Result<f64> {
        let data = vec![7; ECHO];
        self.block_on(async {
            let start = Instant::now();
            let answer = context.call::<echo>((data.into(),)).await?;
            let took = start.elapsed();
            if answer.len() != ECHO || answer.iter().any(|&byte| byte != 7) {
                bail!("the echo differs");
            }
            Ok(each_us(took, 1))
        })
    }

    /// Sends [`BULK`] bytes.
    pub(crate) fn send(&self, context: &Context, data: &[u8]) -> Result<f64> {
        let data = data.to_vec();
        self.block_on(async {
            let start = Instant::now();
            let count = context.call::<swallow>((data.into(),)).await?;
            let took = start.elapsed();
            if count != BULK as u64 {
                bail!("{count} bytes arrived");
            }
            Ok(mb_per_s(BULK, took))
        })
    }

    pub(crate) fn fetch(&self, context: &Context) -> Result<f64> {
        self.block_on(async {
            let start = Instant::now();
            let data = context.call::<produce>((BULK as u64,)).await?;
            let took = start.elapsed();
            if data.len() != BULK {
                bail!("{} bytes arrived", data.len());
            }
            Ok(mb_per_s(BULK, took))
        })
    }

    fn receive(&self, context: &Context) -> Result<f64> {
        const ITEMS: usize = BULK / STREAM_ITEM;
        self.block_on(async {
            let start = Instant::now();
            let receiver: Receiver<Blob> = self.router.receiver()?;
            let sender = receiver.to_sender().to_portable();
            let call = context
                .call_async::<pour>((sender, ITEMS as u64, STREAM_ITEM as u64))
                .await?;
            for _ in 0..ITEMS {
                let item = receiver.get().await?;
                if item.len() != STREAM_ITEM {
                    bail!("an item of {} bytes arrived", item.len());
                }
            }
            call.get().await?;
            Ok(mb_per_s(ITEMS * STREAM_ITEM, start.elapsed()))
        })
    }

    /// Measures the process of a context that has answered a call.
    fn with_child(&self, measure: impl Fn(u32) -> Result<f64>) -> Result<f64> {
        self.block_on(async {
            let before = children();
            let context = self.router.local().await?;
            context.call::<add>((1, 2)).await?;
            let pid = children()
                .difference(&before)
                .next()
                .copied()
                .context("the context has no process of its own")?;
            let measured = measure(pid);
            end(&context, &before).await?;
            measured
        })
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.runtime.block_on(self.router.shutdown());
    }
}

/// What 99 of 100 calls stay below, of so many at least, and of all until something else is over.
async fn slow_call(context: &Context, is_over: impl Fn() -> bool) -> Result<f64> {
    let mut took = Vec::with_capacity(BESIDE);
    while took.len() < BESIDE || !is_over() {
        let start = Instant::now();
        context.call::<add>((1, 2)).await?;
        took.push(each_us(start.elapsed(), 1));
    }
    took.sort_by(f64::total_cmp);
    Ok(took[took.len() * 99 / 100])
}

/// Ends a context and waits until its process is gone, so that it does not run into the next
/// sample of another side.
async fn end(context: &Context, before: &BTreeSet<u32>) -> Result<()> {
    context.shutdown();
    let deadline = Instant::now() + END_MAX;
    while children().difference(before).next().is_some() {
        if Instant::now() >= deadline {
            bail!("{} did not end", context.name());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Bytes that our child has on its way to a machine that has none.
pub(crate) fn packed_child(plugin: &Plugin) -> Result<usize> {
    let packed = Tree::start(plugin)?.with_child(|pid| Ok(gzipped(pid)?.1 as f64))?;
    Ok(packed as usize)
}

/// Size of the program that a process runs, compressed as it would travel, in MB.
fn gzipped_mb(pid: u32) -> Result<f64> {
    let (raw, packed) = gzipped(pid)?;
    eprint!("({:.2} MB before gzip) ", raw as f64 / 1e6);
    Ok(packed as f64 / 1e6)
}

/// Bytes of the program that a process runs, and how many those are compressed.
fn gzipped(pid: u32) -> Result<(u64, u64)> {
    // Not from a path: what runs need not have one.
    let mut program = File::open(format!("/proc/{pid}/exe"))?;
    let mut packed = GzEncoder::new(Count(0), Compression::best());
    let raw = io::copy(&mut program, &mut packed)?;
    Ok((raw, packed.finish()?.0))
}

/// A sink that counts.
struct Count(u64);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

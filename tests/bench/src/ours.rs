//! Our side: the library, used as its documentation shows, on a runtime of one thread.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bench_plugin::{add, echo, pause};
use flate2::Compression;
use flate2::write::GzEncoder;
use offshoot::{Context, Plugin, Receiver, Router, Select};
use tokio::runtime::Runtime;

use crate::arguments::Arguments;
use crate::processes::{children, resident_mib};
use crate::row::{
    CHAIN, CHAIN_ROUND_TRIPS, ECHO, OUTSTANDING, PAUSE, ROUND_TRIPS, Row, SCATTERED, WINDOW,
    WINDOWS,
};
use crate::side::{Sample, Side, each_us};

/// How long a child may take to be gone after it was told to end.
const END_MAX: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(1);

pub(crate) struct Ours {
    plugin: Plugin,
}

impl Ours {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        Ok(Self {
            plugin: Plugin::open(&arguments.plugin)?,
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
        }))
    }
}

/// A router with its runtime. Its contexts end when it is dropped.
struct Tree {
    runtime: Runtime,
    router: Router,
}

impl Tree {
    fn start(plugin: &Plugin) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let router = runtime.block_on(async { Router::new() })?;
        router.add_plugin(plugin.clone());
        Ok(Self { runtime, router })
    }

    fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
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

    fn round_trips(&self, context: &Context, count: usize) -> Result<f64> {
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

/// Size of the program that a process runs, compressed as it would travel, in MB.
fn gzipped_mb(pid: u32) -> Result<f64> {
    // Not from a path: what runs need not have one.
    let mut program = File::open(format!("/proc/{pid}/exe"))?;
    let mut packed = GzEncoder::new(Count(0), Compression::best());
    let raw = io::copy(&mut program, &mut packed)?;
    let packed = packed.finish()?.0;
    eprint!("({:.2} MB before gzip) ", raw as f64 / 1e6);
    Ok(packed as f64 / 1e6)
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

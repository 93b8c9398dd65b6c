//! Our side of the rows over ssh, by either client.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use bench_plugin::add;
use futures_util::future::{join_all, try_join_all};
use offshoot::{CheckHostKeys, Context, Plugin, Ssh};
use tempfile::NamedTempFile;

use crate::arguments::Arguments;
use crate::ours::Tree;
use crate::row::{BULK, Line, MANY, Row, SshRow};
use crate::side::{Sample, Side, ms};
use crate::site::{PASSWORD, Site, USER, noise};

/// Which program or library speaks ssh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// What is used if nobody says anything.
    Default,
    /// The system's `ssh`.
    OpenSsh,
}

/// Ours, with the system's `ssh`.
pub(crate) struct OverOpenSsh {
    plugin: Plugin,
    peer: PathBuf,
}

impl OverOpenSsh {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        Ok(Self {
            plugin: Plugin::open(&arguments.plugin)?,
            peer: arguments.peer.clone(),
        })
    }
}

impl Side for OverOpenSsh {
    fn name(&self) -> &'static str {
        "openssh"
    }

    fn prepare(&self, row: Row) -> Result<Option<Sample>> {
        let Row::Ssh(row, line) = row else {
            return Ok(None);
        };
        let tree = Tree::start(&self.plugin)?;
        let site = Site::new(line, &self.peer)?;
        prepare(tree, site, Client::OpenSsh, row, line).map(Some)
    }
}

/// Makes ready what a sample of `row` needs.
pub(crate) fn prepare(
    tree: Tree,
    site: Site,
    client: Client,
    row: SshRow,
    line: Line,
) -> Result<Sample> {
    let config = NamedTempFile::new()?;
    // The sides have no host keys to look up, and learn none.
    let lines = "UserKnownHostsFile /dev/null\nGlobalKnownHostsFile /dev/null\n";
    fs::write(&config, lines)?;
    let far = Far {
        tree,
        site,
        client,
        config,
    };
    Ok(match row {
        SshRow::Warm => Box::new(move || far.open()),
        SshRow::Cold => Box::new(move || {
            far.site.forget();
            far.open()
        }),
        SshRow::Sudo => {
            let context = far.context()?;
            Box::new(move || far.become_root(&context))
        }
        SshRow::Call => {
            let context = far.context()?;
            Box::new(move || far.call(&context, line.round_trips()))
        }
        SshRow::BulkUp => {
            let (context, data) = (far.context()?, noise(BULK));
            Box::new(move || far.send(&context, &data))
        }
        SshRow::BulkDown => {
            let context = far.context()?;
            Box::new(move || far.fetch(&context))
        }
        SshRow::Many => Box::new(move || far.open_many()),
    })
}

/// A router, and a machine to reach from it.
struct Far {
    // Dropped first: what runs on the machine ends in order.
    tree: Tree,
    site: Site,
    client: Client,
    config: NamedTempFile,
}

impl Far {
    fn ssh(&self) -> Ssh {
        let ssh = self
            .tree
            .router
            .ssh("127.0.0.1")
            .port(self.site.port())
            .username(USER)
            .identity_file(self.site.identity())
            .config_file(self.config.path().to_string_lossy())
            .check_host_keys(CheckHostKeys::Ignore);
        match self.client {
            Client::Default => ssh,
            Client::OpenSsh => ssh.ssh_path("ssh"),
        }
    }

    /// One that has answered a call.
    fn context(&self) -> Result<Context> {
        self.tree.block_on(async {
            let context = self.ssh().await?;
            check(&context).await?;
            Ok(context)
        })
    }

    fn open(&self) -> Result<f64> {
        let took = self.tree.block_on(async {
            let start = Instant::now();
            let context = self.ssh().await?;
            let took = start.elapsed();
            check(&context).await?;
            context.shutdown_wait().await;
            Ok(took)
        })?;
        self.site.settle()?;
        Ok(ms(took))
    }

    fn become_root(&self, user: &Context) -> Result<f64> {
        self.tree.block_on(async {
            let start = Instant::now();
            let root = self.tree.router.sudo().password(PASSWORD).via(user).await?;
            let took = start.elapsed();
            check(&root).await?;
            root.shutdown_wait().await;
            Ok(ms(took))
        })
    }

    fn call(&self, context: &Context, count: usize) -> Result<f64> {
        self.tree.round_trips(context, count)
    }

    fn send(&self, context: &Context, data: &[u8]) -> Result<f64> {
        self.tree.send(context, data)
    }

    fn fetch(&self, context: &Context) -> Result<f64> {
        self.tree.fetch(context)
    }

    fn open_many(&self) -> Result<f64> {
        let took = self.tree.block_on(async {
            let start = Instant::now();
            let opening = (0..MANY).map(async |_| {
                let context = self.ssh().await?;
                check(&context).await?;
                anyhow::Ok(context)
            });
            let contexts = try_join_all(opening).await?;
            let took = start.elapsed();
            join_all(contexts.iter().map(Context::shutdown_wait)).await;
            Ok(took)
        })?;
        self.site.settle()?;
        Ok(took.as_secs_f64())
    }
}

async fn check(context: &Context) -> Result<()> {
    match context.call::<add>((1, 2)).await? {
        3 => Ok(()),
        sum => bail!("1 + 2 = {sum}"),
    }
}

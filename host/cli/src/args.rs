//! What the command line may say.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use offshoot::json::parse_duration;
use offshoot_abi::Grant;

use super::inventory::BecomeMethod;
use super::passwords::PasswordArgs;

/// Ships compiled plugins to other processes, and calls their functions.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  offshoot plugin new hello && cd hello  make a plugin's crate
  offshoot plugin build                  compile it to WebAssembly
  offshoot call local hello::greet you   call its function in a child process
  offshoot call ssh:bob@web1/sudo hello::greet you
                                         the same as root on another machine
  offshoot call -i hosts.ini web hello::greet you
                                         the same on all machines of a group
  offshoot doctor ssh:bob@web1/sudo      see which step to a machine fails")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,

    /// Say more: once for debugging, twice for every message
    #[arg(short, long, global = true, display_order = 100, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Say less: once for errors only, twice for nothing
    #[arg(short, long, global = true, display_order = 100, action = clap::ArgAction::Count)]
    quiet: u8,
}

impl Cli {
    /// How much to log: 0 as usual, more above, less below.
    pub(super) fn verbosity(&self) -> i16 {
        i16::from(self.verbose) - i16::from(self.quiet)
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Call a plugin's function in one or many contexts
    ///
    /// Starts a context for each target, ships the plugin to it, and calls the function in all of
    /// them at once. Results are printed as they come, one line each: the target, a tab, and the
    /// result as JSON. What a plugin logs goes to standard error.
    Call(CallArgs),
    /// Try each step to a target on its own, and say which fails and what to do
    ///
    /// Goes the way that a call would go, hop by hop: finds the program, looks the host's name up,
    /// knocks at its port, judges its key, logs in, finds a directory, uploads the child if it is
    /// not there, shakes hands, sends a message there and back, ships a tiny plugin and calls it,
    /// and ends it all. Each step
    /// is a line with the time that it took; the steps behind one that fails are not tried.
    Doctor(DoctorArgs),
    /// Make, build and look into plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Targets:
  local                a child process of this one
  local*8              eight of them: local#1 to local#8
  local/local          a child of a child; hops are joined by `/`
  ssh:bob@web1:2222    another machine, as a user and at a port of choice
  ssh:web1/sudo        root there; `sudo:USER`, `su:USER` and `doas:USER` for others
  local,local/local*3  several targets are joined by `,`

With `--inventory` or `--hosts` targets are names from there, joined by `,` or `:`:
  all                  every host
  web, web1, 'web*'    a group, a host, all that match
  'web[0]' 'web[0:2]'  the first host of a group, the first three
  'web,!web3,&prod'    hosts of `web` but for `web3`, if they are in `prod` too
  offshoot call -i hosts.ini 'web,!web3' facts::uptime --grant read:/proc
  printf '%s\\n' local 'local*3' | offshoot call --hosts - all facts::uptime --grant read:/proc

Other machines need nothing but a shell and your usual access: keys, agent, known_hosts and
~/.ssh/config are those of `ssh`. Passwords are never arguments, and each is for one hop: those
of `--ask-pass` and its like for the first `ssh` of a target, those of `--ask-become-pass` for the
first `sudo`, `su` or `doas`, and others by name:
  offshoot call ssh:bob@web1 facts::uptime --grant read:/proc --ask-pass
  offshoot call ssh:web1/sudo facts::uptime --grant read:/proc --ask-become-pass
  offshoot call ssh:a/ssh:b/sudo facts::uptime --grant read:/proc --ask-pass --pass-for ssh:b=ask
  offshoot call -i hosts.ini web facts::uptime --grant read:/proc --become --become-pass-fd 3 3<file

Arguments are JSON. A word that is not JSON is text, where the function wants text:
  offshoot call local hello::greet you
  offshoot call local hello::greet '\"42\"'
  offshoot call local math::sum '[1, 2, 3]'

Plugins see nothing of a machine but what they are granted:
  offshoot call local facts::uptime --grant read:/proc
  offshoot call local*8 facts::all --grant-wanted --grant read:/proc --json | jq .value

Exit status:
  0    every call succeeded
  1    a call failed
  2    nothing was called, because the command line cannot work
  3    no call failed, but some targets could not be reached, and nothing ran there
  129  the terminal went away (SIGHUP)
  130  interrupted; the first Ctrl-C ends all contexts in order, the second ends at once
  143  asked to end by SIGTERM, in the same way")]
pub(super) struct CallArgs {
    /// Where to call it, such as `local*8`, `ssh:bob@web1/sudo`, or a group of an inventory
    pub(super) targets: String,

    /// What to call: `PLUGIN::FUNCTION`
    pub(super) function: String,

    /// The function's arguments, each as JSON or as a bare word
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    pub(super) arguments: Vec<String>,

    /// The plugin's `.wasm` file, instead of searching for it
    #[arg(long, value_name = "FILE")]
    pub(super) plugin: Option<PathBuf>,

    #[command(flatten)]
    pub(super) search: SearchArgs,

    /// Let the plugin use something: `read:/DIR`, `write:/DIR`, `env:NAME` or
    /// `router`
    #[arg(long = "grant", value_name = "GRANT")]
    pub(super) grants: Vec<Grant>,

    /// Grant all that the plugin says it needs, and print what that is; what is all of a machine,
    /// such as `read:/` and `read:/proc`, has to be named with `--grant`
    #[arg(long)]
    pub(super) grant_wanted: bool,

    #[command(flatten)]
    pub(super) target: TargetArgs,

    /// Work on so many targets at the same time
    #[arg(short, long, value_name = "N", default_value_t = FORKS, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(super) forks: u32,

    /// Give up on a call after this time, such as `1.5s`, `200ms` or `2m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) timeout: Option<Duration>,

    #[command(flatten)]
    pub(super) connect: ConnectArgs,

    #[command(flatten)]
    pub(super) passwords: PasswordArgs,

    /// Print one JSON object per target, a line each: `target`, `ok`, `value` or `error`, and
    /// `elapsed_us`, the time from the start of the command to the answer
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  offshoot doctor local
  offshoot doctor ssh:bob@web1:2222
  offshoot doctor ssh:web1/sudo --ask-become-pass
  offshoot doctor ssh:web1 --json | jq 'select(.state == \"failed\")'
  offshoot doctor -i hosts.ini web1

Exit status:
  0    every step succeeded
  1    a step failed
  2    nothing was tried, because the command line cannot work
  130  interrupted")]
pub(super) struct DoctorArgs {
    /// The one target to look at, such as `ssh:bob@web1/sudo` or a host of an inventory
    pub(super) target: String,

    #[command(flatten)]
    pub(super) hosts: TargetArgs,

    #[command(flatten)]
    pub(super) connect: ConnectArgs,

    #[command(flatten)]
    pub(super) passwords: PasswordArgs,

    /// Print one JSON object per step, a line each: `hop`, `target`, `step`, `state` (`ok`,
    /// `failed` or `skipped`), and `elapsed_us` (null where it cannot be seen) with `detail`, or with `error` and `help`
    #[arg(long)]
    pub(super) json: bool,
}

/// Targets that are worked on at the same time, unless the user says otherwise.
///
/// Each costs a client and its key exchange here, some milliseconds of a processor: so many keep
/// all processors busy, and more would only make all of them late. An interrupted command has
/// touched no more than these and those that had answered.
const FORKS: u32 = 32;

/// Where hosts are known from, and who to be there.
#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// Read targets from a file, one a line, with `#` before comments; `-` is standard input. May
    /// be repeated
    #[arg(long, value_name = "FILE", help_heading = "Hosts")]
    pub(super) hosts: Vec<PathBuf>,

    /// Read hosts and groups from an Ansible inventory: a file in its INI or YAML form, or a
    /// directory of them. May be repeated
    #[arg(short, long, value_name = "PATH", help_heading = "Hosts")]
    pub(super) inventory: Vec<PathBuf>,

    /// Of the targets, only those that are also named here
    #[arg(short, long, value_name = "PATTERN", help_heading = "Hosts")]
    pub(super) limit: Option<String>,

    /// Become another user at the end of the way, where the inventory does not say
    #[arg(short = 'b', long = "become", help_heading = "Hosts")]
    pub(super) become_user: bool,

    /// Who to become; the default is root
    #[arg(
        long = "become-user",
        value_name = "USER",
        requires = "become_user",
        help_heading = "Hosts"
    )]
    pub(super) become_as: Option<String>,

    /// How to become someone else
    #[arg(
        long,
        value_name = "METHOD",
        default_value = "sudo",
        requires = "become_user",
        help_heading = "Hosts"
    )]
    pub(super) become_method: BecomeMethod,
}

/// How to connect, and how long to wait for it.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ConnectArgs {
    /// Give up on each hop after this time; the default is 30s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) connect_timeout: Option<Duration>,

    /// Read this instead of `~/.ssh/config` and `/etc/ssh/ssh_config` for `ssh` hops that start here;
    /// `none` is no configuration at all
    #[arg(long, value_name = "FILE")]
    pub(super) ssh_config: Option<String>,

    /// Make `ssh` hops that start here with this program, such as `ssh`, instead of the client in
    /// `offshoot` itself
    #[arg(long, value_name = "PROGRAM")]
    pub(super) ssh_path: Option<String>,

    /// Leave no file of ours on other machines: what runs there is sent anew each time
    #[arg(long)]
    pub(super) leave_nothing: bool,

    /// Compare the hash of what an earlier run has left on a machine before it runs again, not only
    /// its owner, mode and size
    #[arg(long)]
    pub(super) verify: bool,
}

/// Where plugins are found by name.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Search this directory for plugins first, then those of OFFSHOOT_PLUGIN_PATH (joined by
    /// `:`), then the build output; may be repeated
    #[arg(long = "plugin-dir", value_name = "DIR")]
    pub(super) directories: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Make the crate of a new plugin
    #[command(after_help = "\
Example:
  offshoot plugin new hello && cd hello && offshoot plugin build")]
    New(NewArgs),
    /// Compile a plugin's crate to WebAssembly
    Build(BuildArgs),
    /// Show a plugin's functions, imports, and what it would need to be granted
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Where to make it; the last part is the plugin's name
    #[arg(value_name = "NAME")]
    pub(super) path: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// The crate's directory
    #[arg(default_value = ".")]
    pub(super) path: PathBuf,

    /// Build without optimisation: faster to compile, slower to run
    #[arg(long)]
    pub(super) debug: bool,
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// A `.wasm` file, or the name of a plugin to search for
    pub(super) file: PathBuf,

    #[command(flatten)]
    pub(super) search: SearchArgs,

    /// Print it as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// A time to wait, written as a plugin's arguments are.
fn duration(text: &str) -> Result<Duration, String> {
    let refused = || "write a number and a unit, such as `1.5s`, `200ms` or `2m`".to_owned();
    let duration = parse_duration(text).ok_or_else(refused)?;
    match duration.is_zero() {
        true => Err("it must be longer than nothing".to_owned()),
        false => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.2.3s",
            "0s",
            "1y",
            "99999999999999999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}

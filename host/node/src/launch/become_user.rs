//! A child of another user on this machine, by `sudo`, `su` or `doas`.

use std::process::Command;
use std::time::Duration;

use offshoot_proto::control::{Doas, Password, Su, Sudo, user_or_root};
use offshoot_proto::login::{self, AccessError, Prompt};
use tokio::time::Instant;

use super::error::ConnectError;
use super::greeted::HandshakenChild;
use super::login::{Prompts, TerminalUse, ToolLogin};
use super::nonce::random;
use super::progress::Progress;
use super::remote_command::RemoteCommand;

/// Digits of the nonce in sudo's prompt: rules and logs show it.
const PROMPT_DIGITS: usize = 16;

pub(super) async fn sudo(
    mut sudo: Sudo,
    patience: Duration,
    progress: &Progress,
) -> Result<HandshakenChild, ConnectError> {
    let started = Instant::now();
    let username = checked(sudo.username.as_deref())?;
    let remote = RemoteCommand::new(&sudo.start, false).await?;
    let password = for_tool(sudo.password.take());
    // Another nonce than the command's: that one is in the arguments of the user who is asked for.
    // It is in sudo's environment, which only root can read, and not in its arguments.
    let own = format!("offshoot-{}:", &random()?[..PROMPT_DIGITS]);
    let path = sudo.sudo_path.clone().unwrap_or_else(|| "sudo".to_owned());
    let mut command = in_plain_words(&path);
    command.args(["-u", username]);
    match password {
        Some(_) => command.env("SUDO_PROMPT", &own),
        // It says at once that it wants one.
        None => command.arg("-n"),
    };
    for (wanted, option) in [
        (sudo.set_home, "-H"),
        (sudo.preserve_env, "-E"),
        (sudo.login, "-i"),
    ] {
        if wanted {
            command.arg(option);
        }
    }
    for (value, option) in [(&sudo.selinux_role, "-r"), (&sudo.selinux_type, "-t")] {
        if let Some(value) = value {
            command.args([option, checked(Some(value))?]);
        }
    }
    command.arg("--").args(match sudo.login {
        true => remote.login_words(),
        false => remote.words(),
    });
    let login = ToolLogin {
        kind: login::Tool::Sudo,
        program: format!("{path} -u {username}"),
        path,
        command,
        terminal: TerminalUse::Prompts,
        prompts: Prompts::on_terminal(Prompt::new(login::Tool::Sudo, Some(own)), password),
        remote,
    };
    login.run(started, patience, progress).await
}

pub(super) async fn doas(
    mut doas: Doas,
    patience: Duration,
    progress: &Progress,
) -> Result<HandshakenChild, ConnectError> {
    let started = Instant::now();
    let username = checked(doas.username.as_deref())?;
    let remote = RemoteCommand::new(&doas.start, false).await?;
    let password = for_tool(doas.password.take());
    let path = doas.doas_path.clone().unwrap_or_else(|| "doas".to_owned());
    let mut command = in_plain_words(&path);
    command.args(["-u", username]);
    if password.is_none() {
        command.arg("-n");
    }
    command.arg("--").args(remote.words());
    let login = ToolLogin {
        kind: login::Tool::Doas,
        program: format!("{path} -u {username}"),
        path,
        command,
        terminal: TerminalUse::Prompts,
        prompts: Prompts::on_terminal(Prompt::new(login::Tool::Doas, None), password),
        remote,
    };
    login.run(started, patience, progress).await
}

/// By pipes, and by a terminal if this `su` takes nothing else. It asks on its error stream and
/// reads what it asked for from its standard input, whichever that is.
pub(super) async fn su(
    su: Su,
    patience: Duration,
    progress: &Progress,
) -> Result<HandshakenChild, ConnectError> {
    let username = checked(su.username.as_deref())?;
    let started = Instant::now();
    let path = su.su_path.clone().unwrap_or_else(|| "su".to_owned());
    let attempt = async |terminal, password| {
        let remote = RemoteCommand::new(&su.start, false).await?;
        let mut command = in_plain_words(&path);
        command.args([username, "-c"]).arg(remote.line());
        let login = ToolLogin {
            kind: login::Tool::Su,
            program: format!("{path} {username}"),
            path: path.clone(),
            command,
            terminal,
            prompts: Prompts::on_error_stream(Prompt::new(login::Tool::Su, None), password),
            remote,
        };
        login.run(started, patience, progress).await
    };
    match attempt(TerminalUse::Prompts, for_tool(su.password.clone())).await {
        Err(ConnectError::Access(AccessError::RequireTty(_))) => {
            tracing::debug!(%path, "wants a terminal for everything, and gets one");
            attempt(TerminalUse::Stdio, for_tool(su.password.clone())).await
        }
        result => result,
    }
}

/// The password for a tool. None of them asks root for one, so that a question there comes from
/// what the tool has run for the other user.
fn for_tool(password: Option<Password>) -> Option<Password> {
    password.filter(|_| !rustix::process::geteuid().is_root())
}

/// The tool, set up to say what goes wrong in the words that are known here. All else of its
/// locale is left as it is: the child inherits it.
fn in_plain_words(path: &str) -> Command {
    let mut command = Command::new(path);
    if let Some(all) = std::env::var_os("LC_ALL").filter(|all| !all.is_empty()) {
        command.env("LANG", all);
    }
    command
        .env_remove("LC_ALL")
        .env_remove("LANGUAGE")
        .env("LC_MESSAGES", "C");
    command
}

/// A user's name, or another word that the tool must not take for an option.
fn checked(word: Option<&str>) -> Result<&str, ConnectError> {
    let word = user_or_root(word);
    let bad = |c: char| c.is_control() || c.is_whitespace();
    if word.is_empty() || word.starts_with('-') || word.contains(bad) {
        let rule = "must not be empty, begin with `-` or contain spaces";
        return Err(ConnectError::Name(format!(
            "`{}` {rule}",
            word.escape_debug()
        )));
    }
    Ok(word)
}

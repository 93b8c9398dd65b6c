//! The tools' words and what they mean: the only place that knows them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{
    AccessError, HostKeyError, LoginError, NetworkError, PasswordError, ToolOutput,
};

/// A tool that lets one in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// OpenSSH's client.
    Ssh,
    /// `sudo`, of either make.
    Sudo,
    /// `su`, of any make.
    Su,
    /// `doas`.
    Doas,
}

impl Tool {
    /// Its name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Sudo => "sudo",
            Self::Su => "su",
            Self::Doas => "doas",
        }
    }
}

/// What a line means.
#[derive(Clone, Copy)]
enum Meaning {
    Required,
    Incorrect,
    KeyUnknown,
    KeyChanged,
    KeyRevoked,
    KeyFailed,
    AuthRefused,
    Identity,
    NoSuchUser,
    NotPermitted,
    RequireTty,
    Locked,
    Expired,
    Broken,
    Configuration,
    Name,
    Refused,
    Unreachable,
    TimedOut,
    Dropped,
    NoAlgorithm,
}

use Meaning::*;

/// Lines of OpenSSH's client. The first one that fits counts: a changed key is also one whose
/// verification failed. None of it may be what a far end can say just so; hence the caller looks
/// only when the client itself failed.
const SSH: &[(&str, Meaning)] = &[
    ("remote host identification has changed", KeyChanged),
    ("revoked by file", KeyRevoked),
    ("revoked host key", KeyRevoked),
    ("host key revoked", KeyRevoked),
    ("marked as revoked", KeyRevoked),
    ("host key is known for", KeyUnknown),
    ("can't be established", KeyUnknown),
    ("are you sure you want to continue connecting", KeyUnknown),
    ("please type 'yes', 'no' or the fingerprint", KeyUnknown),
    ("host key verification failed", KeyFailed),
    ("no matching host key type found", NoAlgorithm),
    ("unable to negotiate with", NoAlgorithm),
    ("could not resolve hostname", Name),
    ("name or service not known", Name),
    ("temporary failure in name resolution", Name),
    ("connection refused", Refused),
    ("connection timed out", TimedOut),
    ("operation timed out", TimedOut),
    ("timed out during banner exchange", TimedOut),
    ("no route to host", Unreachable),
    ("network is unreachable", Unreachable),
    ("host is down", Unreachable),
    ("unprotected private key file", Identity),
    ("no such identity", Identity),
    ("bad configuration option", Configuration),
    ("bad owner or permissions on", Configuration),
    ("terminating, ", Configuration),
    ("unsupported option", Configuration),
    ("too many authentication failures", AuthRefused),
    ("permission denied", AuthRefused),
    ("no supported authentication methods", AuthRefused),
    ("kex_exchange_identification", Dropped),
    ("connection closed by", Dropped),
    ("connection reset by", Dropped),
    ("connection to ", Dropped),
    ("broken pipe", Dropped),
    ("client_loop:", Dropped),
];

const SUDO: &[(&str, Meaning)] = &[
    ("is not in the sudoers file", NotPermitted),
    ("is not allowed to run sudo on", NotPermitted),
    ("is not allowed to execute", NotPermitted),
    ("may not run sudo on", NotPermitted),
    ("i'm sorry ", NotPermitted),
    ("password is expired", Expired),
    ("account has expired", Expired),
    ("account expired", Expired),
    ("account or password is expired", Expired),
    ("required to change your password", Expired),
    // It may only be what follows from that.
    ("is your account locked", Locked),
    ("unknown user", NoSuchUser),
    ("unknown uid", NoSuchUser),
    ("' not found", NoSuchUser),
    ("incorrect password attempt", Incorrect),
    ("incorrect authentication attempt", Incorrect),
    ("authentication failed, try again", Incorrect),
    ("sorry, try again", Incorrect),
    ("a terminal is required", RequireTty),
    ("no tty present", RequireTty),
    ("must have a tty", RequireTty),
    ("no password was provided", Required),
    ("timed out reading password", Required),
    ("a password is required", Required),
    ("interactive authentication is required", Required),
    ("authentication required", Required),
    ("effective uid is not 0", Broken),
    ("must be owned by uid 0", Broken),
    ("must be setuid root", Broken),
    ("the \"no new privileges\" flag is set", Broken),
    ("parse error in", Broken),
    ("no valid sudoers sources found", Broken),
];

const SU: &[(&str, Meaning)] = &[
    ("must be run from a terminal", RequireTty),
    ("standard in must be a tty", RequireTty),
    ("does not exist", NoSuchUser),
    ("no passwd entry for user", NoSuchUser),
    ("unknown login", NoSuchUser),
    ("unknown id", NoSuchUser),
    ("account has expired", Expired),
    ("account expired", Expired),
    ("password has expired", Expired),
    ("required to change your password", Expired),
    ("token is no longer valid", Expired),
    ("authentication token", Expired),
    ("account is locked", Locked),
    ("permission denied", NotPermitted),
    ("authentication is denied", Incorrect),
    ("authentication failure", Incorrect),
    ("incorrect password", Incorrect),
    ("su: sorry", Incorrect),
    ("cannot set groups", Broken),
    ("must be suid", Broken),
    ("cannot set user id", Broken),
];

const DOAS: &[(&str, Meaning)] = &[
    ("operation not permitted", NotPermitted),
    ("authentication required", Required),
    ("a tty is required", RequireTty),
    ("unknown user", NoSuchUser),
    ("no such user", NoSuchUser),
    ("authorization failed", Incorrect),
    ("authentication failed", Incorrect),
    ("account expired", Expired),
    ("account has expired", Expired),
    ("required to change your password", Expired),
    ("not installed setuid", Broken),
    ("doas is not enabled", Broken),
    ("must be owned by root", Broken),
    ("is writable by group or other", Broken),
];

/// What a tool means by what it printed, if that is known.
pub fn classify(tool: Tool, printed: &str) -> Option<LoginError> {
    let table = match tool {
        Tool::Ssh => SSH,
        Tool::Sudo => SUDO,
        Tool::Su => SU,
        Tool::Doas => DOAS,
    };
    let lower = printed.to_lowercase();
    let (_, meaning) = table.iter().find(|(words, _)| lower.contains(words))?;
    let said = ToolOutput::new(tool.name(), printed);
    Some(match meaning {
        Required => PasswordError::Required(said).into(),
        Incorrect => PasswordError::Incorrect(said).into(),
        KeyUnknown => HostKeyError::Unknown(said).into(),
        KeyChanged => HostKeyError::Changed(said).into(),
        KeyRevoked => HostKeyError::Revoked(said).into(),
        KeyFailed => HostKeyError::Failed(said).into(),
        AuthRefused => AccessError::AuthenticationRefused {
            methods: methods_left(printed),
            said,
        }
        .into(),
        Identity => AccessError::Identity(said).into(),
        NoSuchUser => AccessError::NoSuchUser(said).into(),
        NotPermitted => AccessError::NotPermitted(said).into(),
        RequireTty => AccessError::RequireTty(said).into(),
        Locked => AccessError::AccountLocked(said).into(),
        Expired => AccessError::AccountExpired(said).into(),
        Broken => AccessError::BrokenTool(said).into(),
        Configuration => AccessError::Configuration(said).into(),
        Name => NetworkError::NameResolution(said).into(),
        Refused => NetworkError::Refused(said).into(),
        Unreachable => NetworkError::Unreachable(said).into(),
        TimedOut => NetworkError::TimedOut(said).into(),
        Dropped => NetworkError::Dropped(said).into(),
        NoAlgorithm => NetworkError::NoAlgorithm(said).into(),
    })
}

/// The methods in `Permission denied (publickey,password).`
fn methods_left(printed: &str) -> Vec<String> {
    let line = printed
        .lines()
        .rev()
        .find(|line| line.contains("Permission denied ("));
    let list = line.and_then(|line| line.rsplit_once("Permission denied ("));
    let list = list.and_then(|(_, rest)| rest.split_once(')'));
    let (list, _) = list.unwrap_or_default();
    let name = |word: &&str| {
        (1..=32).contains(&word.len())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-@.".contains(&byte))
    };
    list.split(',')
        .filter(name)
        .take(16)
        .map(str::to_owned)
        .collect()
}

/// Whether `su` refused only because its input is no terminal.
pub fn wants_terminal(printed: &str) -> bool {
    matches!(
        classify(Tool::Su, printed),
        Some(LoginError::Access(AccessError::RequireTty(_)))
    )
}

/// What `ssh` asks a helper for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The user's password on the server.
    Password,
    /// The passphrase of an identity, by its file.
    Passphrase(String),
    /// Something that nobody here can answer.
    Other,
}

/// What a question of `ssh` is about. It tells its helper in no other way than by the text.
pub fn classify_question(prompt: &str) -> Question {
    let text = prompt.trim();
    // A server's questions come with the client's own words in front, but for clients before 8.5.
    let key = text.strip_prefix("Enter passphrase for key '");
    if let Some(key) = key.and_then(|rest| rest.strip_suffix("':")) {
        return Question::Passphrase(key.to_owned());
    }
    let asks = text.strip_suffix(':').unwrap_or(text).to_lowercase();
    // One line, and the word at its end: a question about one-time passwords is another one.
    let one_time = [
        "one-time",
        "otp",
        "verification",
        "token",
        "new password",
        "retype",
    ];
    let is_password = asks.ends_with("password") || asks.contains("password for ");
    if is_password && !text.contains('\n') && !one_time.iter().any(|word| asks.contains(word)) {
        return Question::Password;
    }
    Question::Other
}

#[cfg(test)]
mod tests;

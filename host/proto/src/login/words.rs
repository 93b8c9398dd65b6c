//! The tools' words and what they mean: the only place that knows them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{AccessError, HostKeyError, LoginError, NetworkError, PasswordError, Said};

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
    let said = Said::new(tool.name(), printed);
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
    if let Some((_, rest)) = text.split_once("Enter passphrase for key '") {
        let key = rest.rsplit_once('\'').map_or(rest, |(key, _)| key);
        return Question::Passphrase(key.to_owned());
    }
    if let Some(rest) = text.strip_prefix("Enter passphrase for ") {
        return Question::Passphrase(rest.trim_end_matches(':').to_owned());
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
mod tests {
    use alloc::format;

    use super::*;

    /// The name of what a text is taken for.
    fn class(tool: Tool, text: &str) -> String {
        let Some(error) = classify(tool, text) else {
            return "nothing".to_owned();
        };
        let name = format!("{error:?}");
        let end = |c: char| !c.is_alphanumeric();
        let mut words = name.split(end).filter(|word| !word.is_empty());
        let (group, kind) = (words.next().unwrap(), words.next().unwrap());
        format!("{group} {kind}")
    }

    #[track_caller]
    fn means(tool: Tool, want: &str, texts: &[&str]) {
        for text in texts {
            assert_eq!(class(tool, text), want, "{text}");
        }
    }

    #[test]
    fn f40_host_keys_are_told_apart() {
        let ssh = Tool::Ssh;
        means(
            ssh,
            "HostKey Changed",
            &[
                "@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@\r\n\
             IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r\nHost key verification failed.",
            ],
        );
        means(
            ssh,
            "HostKey Revoked",
            &[
                "@       WARNING: REVOKED HOST KEY DETECTED!               @\r\n\
             The ED25519 host key for web1 is marked as revoked.\r\nHost key verification failed.",
                "Host key ED25519 SHA256:x revoked by file /etc/revoked\r\nHost key verification failed.",
            ],
        );
        means(
            ssh,
            "HostKey Unknown",
            &[
                "No ED25519 host key is known for web1 and you have requested strict checking.\r\n\
             Host key verification failed.",
                "The authenticity of host 'web1' can't be established.",
                "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
                "Please type 'yes', 'no' or the fingerprint: ",
            ],
        );
        means(ssh, "HostKey Failed", &["Host key verification failed."]);
    }

    #[test]
    fn f41_refused_credentials_name_the_methods() {
        means(
            Tool::Ssh,
            "Access AuthenticationRefused",
            &[
                "Permission denied, please try again.",
                "bob@web1: Permission denied (publickey,password).",
                "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures",
            ],
        );
        means(
            Tool::Ssh,
            "Access Identity",
            &[
                "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\r\n\
             bob@web1: Permission denied (publickey).",
            ],
        );
        let error = classify(
            Tool::Ssh,
            "bob@h: Permission denied (publickey,evil\x1b[2J,password).",
        );
        let Some(LoginError::Access(AccessError::AuthenticationRefused { methods, .. })) = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(methods, ["publickey", "password"]);
    }

    #[test]
    fn f50_networks_fail_by_name() {
        let ssh = Tool::Ssh;
        means(
            ssh,
            "Network Refused",
            &["ssh: connect to host 127.0.0.1 port 2298: Connection refused"],
        );
        means(
            ssh,
            "Network TimedOut",
            &[
                "ssh: connect to host 10.0.0.1 port 22: Connection timed out",
                "Connection timed out during banner exchange",
            ],
        );
        means(
            ssh,
            "Network Unreachable",
            &[
                "ssh: connect to host 10.0.0.1 port 22: No route to host",
                "ssh: connect to host 10.0.0.1 port 22: Network is unreachable",
            ],
        );
        means(
            ssh,
            "Network NameResolution",
            &[
                "ssh: Could not resolve hostname nohost: Name or service not known",
                "ssh: Could not resolve hostname x: Temporary failure in name resolution",
            ],
        );
        means(
            ssh,
            "Network Dropped",
            &[
                "kex_exchange_identification: Connection closed by remote host",
                "kex_exchange_identification: read: Connection reset by peer",
                "Connection closed by 10.0.0.1 port 22",
            ],
        );
        means(
            ssh,
            "Network NoAlgorithm",
            &[
                "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. \
             Their offer: ssh-dss",
            ],
        );
    }

    #[test]
    fn f46_sudo_refuses_by_name() {
        let sudo = Tool::Sudo;
        means(
            sudo,
            "Access NotPermitted",
            &[
                "eve is not in the sudoers file.",
                "eve is not in the sudoers file.  This incident will be reported.",
                "Sorry, user eve is not allowed to execute '/bin/sh' as root on bed.",
                "eve is not allowed to run sudo on bed.",
                "Sorry, user eve may not run sudo on bed.",
                "sudo: I'm sorry eve. I'm afraid I can't do that",
            ],
        );
        means(
            sudo,
            "Password Required",
            &[
                "sudo: a password is required",
                "sudo: no password was provided",
                "sudo: timed out reading password",
                "sudo: interactive authentication is required",
            ],
        );
        means(
            sudo,
            "Password Incorrect",
            &[
                "Sorry, try again.",
                "sudo: 1 incorrect password attempt",
                "sudo: 3 incorrect password attempts",
                "sudo: Authentication failed, try again.",
                "sudo: 3 incorrect authentication attempts",
            ],
        );
        means(
            sudo,
            "Access RequireTty",
            &[
                "sudo: a terminal is required to read the password; either use the -S option to read \
             from standard input or configure an askpass helper",
                "sudo: no tty present and no askpass program specified",
                "sudo: sorry, you must have a tty to run sudo",
            ],
        );
        means(
            sudo,
            "Access NoSuchUser",
            &[
                "sudo: unknown user: nosuch",
                "sudo: unknown user nosuch",
                "sudo: user 'nosuch' not found",
            ],
        );
        means(
            sudo,
            "Access AccountLocked",
            &["sudo: account validation failure, is your account locked?"],
        );
        means(
            sudo,
            "Access AccountExpired",
            &[
                "sudo: Account or password is expired, reset your password and try again",
                "sudo: Account expired or PAM config lacks an \"account\" section for sudo",
                "sudo: Account expired or PAM config lacks an \"account\" section for sudo, contact \
                 your system administrator\nsudo: account validation failure, is your account locked?",
            ],
        );
        means(
            sudo,
            "Access BrokenTool",
            &[
                "sudo: effective uid is not 0, is sudo installed setuid root?",
                "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set",
            ],
        );
    }

    #[test]
    fn f47_su_and_doas_refuse_by_name() {
        means(
            Tool::Su,
            "Password Incorrect",
            &[
                "su: Authentication failure",
                "su: Sorry",
                "su: incorrect password",
                "3004-303 Your authentication is denied",
            ],
        );
        means(
            Tool::Su,
            "Access NoSuchUser",
            &[
                "su: user nosuch does not exist or the user entry does not contain all the required \
             fields",
                "No passwd entry for user 'nosuch'",
            ],
        );
        means(
            Tool::Su,
            "Access RequireTty",
            &[
                "su: must be run from a terminal",
                "standard in must be a tty",
            ],
        );
        means(Tool::Su, "Access NotPermitted", &["su: Permission denied"]);
        means(
            Tool::Su,
            "Access AccountExpired",
            &[
                "su: User account has expired",
                "You are required to change your password immediately (administrator enforced).\n\
                 Current password: ",
            ],
        );
        means(
            Tool::Doas,
            "Access NotPermitted",
            &["doas: Operation not permitted"],
        );
        means(
            Tool::Doas,
            "Password Incorrect",
            &["doas: Authorization failed", "doas: Authentication failed"],
        );
        means(
            Tool::Doas,
            "Password Required",
            &["doas: Authentication required"],
        );
        means(
            Tool::Doas,
            "Access RequireTty",
            &["doas: a tty is required"],
        );
        means(
            Tool::Doas,
            "Access BrokenTool",
            &["doas: not installed setuid"],
        );
    }

    #[test]
    fn nothing_is_read_into_other_words() {
        for tool in [Tool::Ssh, Tool::Sudo, Tool::Su, Tool::Doas] {
            means(
                tool,
                "nothing",
                &[
                    "",
                    "Welcome to web1!",
                    "This account is currently not available.",
                ],
            );
        }
    }

    #[test]
    fn s096_questions_of_ssh_are_told_apart() {
        for text in [
            "bob@web1's password: ",
            "(bob@web1) Password: ",
            "(bob@web1) Password for bob@web1:",
        ] {
            assert_eq!(classify_question(text), Question::Password, "{text}");
        }
        assert_eq!(
            classify_question("Enter passphrase for key '/home/bob/.ssh/id': "),
            Question::Passphrase("/home/bob/.ssh/id".to_owned())
        );
        for text in [
            "Verification code: ",
            "(bob@web1) One-time password (OTP): ",
            "Confirm user presence for key ED25519-SK",
            "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
            "Your password\nhas expired. New password:",
            "",
        ] {
            assert_eq!(classify_question(text), Question::Other, "{text}");
        }
    }
}

//! What the tools really print, and what it is taken for.

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
    let Some(LoginError::Access(AccessError::AuthenticationRefused { methods, .. })) = error else {
        panic!("{error:?}");
    };
    assert_eq!(methods, ["publickey", "password"]);
}

#[test]
fn b001_what_a_client_cannot_make_sense_of_is_told_from_what_a_server_says() {
    means(
        Tool::Ssh,
        "Access Configuration",
        &[
            "/home/bob/.ssh/config: line 3: Bad configuration option: nonsense\r\n\
             /home/bob/.ssh/config: terminating, 1 bad configuration options",
            "Bad owner or permissions on /home/bob/.ssh/config",
            "/etc/ssh/ssh_config line 7: unsupported option \"maybe\".",
        ],
    );
    means(
        Tool::Ssh,
        "Access Identity",
        &["no such identity: /k: No such file or directory\r\nb@h: Permission denied (publickey)."],
    );
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
        "(bob@web1) Enter passphrase for key '/home/bob/.ssh/id': ",
        "Hello\nEnter passphrase for key '/home/bob/.ssh/id': ",
        "Enter passphrase for key '/home/bob/.ssh/id': (again)",
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

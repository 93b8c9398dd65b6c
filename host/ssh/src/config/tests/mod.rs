//! Compares what is read with what the installed `ssh -G` reads from the same file.

mod made_up;
mod ours;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::settings::{ProxyDirective, Settings};
use super::{AddressFamily, Agent, Environment, HostConfig, Overrides, Strict, settings_for};

/// Keywords of `ssh -G` that are compared. The others are harmless or refused.
const COMPARED: &[&str] = &[
    "addressfamily",
    "batchmode",
    "bindaddress",
    "certificatefile",
    "compression",
    "connectionattempts",
    "connecttimeout",
    "globalknownhostsfile",
    "hashknownhosts",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "kbdinteractiveauthentication",
    "nohostauthenticationforlocalhost",
    "numberofpasswordprompts",
    "passwordauthentication",
    "port",
    "preferredauthentications",
    "proxycommand",
    "proxyjump",
    "pubkeyauthentication",
    "requiredrsasize",
    "serveralivecountmax",
    "serveraliveinterval",
    "stricthostkeychecking",
    "user",
    "userknownhostsfile",
];

fn env(folder: &Path) -> Environment {
    Environment {
        user_config: Some(folder.join("config")),
        system_config: None,
        ..Environment::of_process()
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
}

/// What `ssh -G` prints, as far as it is compared; nothing if it refuses.
fn theirs(folder: &Path, host: &str, arguments: &[&str]) -> Result<Vec<String>, String> {
    let output = Command::new("ssh")
        .arg("-G")
        .args(arguments)
        .arg("-F")
        .arg(folder.join("config"))
        .arg(host)
        .output()
        .expect("openssh-client is installed");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let compared = |line: &&str| {
        let keyword = line.split(' ').next().unwrap_or_default();
        // Kinds of keys that ours cannot read, and what later versions print where it is not set.
        const NOT_OURS: &[&str] = &[
            "identityfile ~/.ssh/id_dsa",
            "identityfile ~/.ssh/id_xmss",
            "proxycommand none",
        ];
        COMPARED.contains(&keyword) && !NOT_OURS.contains(line)
    };
    let mut lines: Vec<String> = text.lines().filter(compared).map(str::to_owned).collect();
    // Debian's client asks every five minutes if nobody is there to see that it hangs.
    if lines.iter().any(|line| line == "batchmode yes") {
        lines
            .iter_mut()
            .filter(|line| *line == "serveraliveinterval 300")
            .for_each(|line| {
                "serveraliveinterval 0".clone_into(line);
            });
    }
    for line in &mut lines {
        // Which kind of signature is not for the client alone to choose.
        if line.starts_with("pubkeyauthentication ") && line.ends_with("bound") {
            "pubkeyauthentication true".clone_into(line);
        }
    }
    lines.sort();
    Ok(lines)
}

/// The same of ours.
fn ours(folder: &Path, host: &str, overrides: &Overrides) -> Result<Vec<String>, String> {
    let env = env(folder);
    let settings = settings_for(host, overrides, &env).map_err(|error| error.to_string())?;
    let config = HostConfig::from_settings(host, overrides, settings.clone(), &env);
    let config = config.map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    let mut line = |keyword: &str, value: &str| lines.push(format!("{keyword} {value}"));
    let yes = |on: bool| if on { "yes" } else { "no" };
    line("hostname", &config.hostname);
    line("user", &config.user);
    line("port", &config.port.to_string());
    line("batchmode", yes(config.batch_mode));
    line("compression", yes(config.compression));
    line("hashknownhosts", yes(config.hash_known_hosts));
    line("identitiesonly", yes(config.identities_only));
    line(
        "kbdinteractiveauthentication",
        yes(config.keyboard_interactive),
    );
    line("passwordauthentication", yes(config.password));
    line(
        "nohostauthenticationforlocalhost",
        yes(config.no_check_for_localhost),
    );
    line(
        "pubkeyauthentication",
        if config.public_key { "true" } else { "false" },
    );
    line(
        "connectionattempts",
        &config.connection_attempts.to_string(),
    );
    line(
        "numberofpasswordprompts",
        &config.password_prompts.to_string(),
    );
    line("serveralivecountmax", &config.alive_count_max.to_string());
    line(
        "serveraliveinterval",
        &config.alive_interval.as_secs().to_string(),
    );
    line("requiredrsasize", &config.rsa_bits.to_string());
    let timeout = config
        .connect_timeout
        .map(|timeout| timeout.as_secs().to_string());
    line("connecttimeout", timeout.as_deref().unwrap_or("none"));
    line(
        "addressfamily",
        match config.address_family {
            AddressFamily::Any => "any",
            AddressFamily::V4 => "inet",
            AddressFamily::V6 => "inet6",
        },
    );
    line(
        "stricthostkeychecking",
        match config.strict {
            Strict::Yes => "true",
            Strict::No => "false",
            Strict::Ask => "ask",
            Strict::AcceptNew => "accept-new",
        },
    );
    for (keyword, value) in [
        ("bindaddress", &config.bind_address),
        ("hostkeyalias", &config.host_key_alias),
        ("preferredauthentications", &config.preferred),
    ] {
        if let Some(value) = value {
            line(keyword, value);
        }
    }
    match (&config.agent, &settings.identity_agent) {
        (_, Some(text)) if text.starts_with('$') => line("identityagent", text),
        (Agent::Socket(path), _) => line("identityagent", &path.display().to_string()),
        (_, Some(text)) => line("identityagent", text),
        (_, None) => {}
    }
    let known: Vec<_> = config
        .user_known_hosts
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    line(
        "userknownhostsfile",
        if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(" ")
        }
        .as_str(),
    );
    unexpanded(&settings, &mut line);
    lines.sort();
    Ok(lines)
}

/// What `ssh -G` prints with its tokens.
fn unexpanded(settings: &Settings, line: &mut impl FnMut(&str, &str)) {
    match &settings.proxy {
        Some(ProxyDirective::Jump(jump)) => line("proxyjump", &jump.replace("ssh://", "")),
        Some(ProxyDirective::Command(command)) => line("proxycommand", command),
        Some(ProxyDirective::Nothing) | None => {}
    }
    let defaults: Vec<String> = super::DEFAULT_IDENTITIES
        .iter()
        .map(|&file| file.to_owned())
        .collect();
    let identities = match settings.identity_files.is_empty() {
        true => defaults,
        false => settings.identity_files.clone(),
    };
    for file in &identities {
        line("identityfile", file);
    }
    for file in &settings.certificate_files {
        line("certificatefile", file);
    }
    let global = settings.global_known_hosts.clone();
    line(
        "globalknownhostsfile",
        &global.map_or_else(
            || "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2".to_owned(),
            |files| files.join(" "),
        ),
    );
}

#[track_caller]
fn same(config: &str, host: &str) {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "config", config);
    same_in(folder.path(), config, host);
}

#[track_caller]
fn same_in(folder: &Path, config: &str, host: &str) {
    let ours = ours(folder, host, &Overrides::default());
    let theirs = theirs(folder, host, &[]);
    match (&ours, &theirs) {
        (Err(_), Err(_)) => {}
        (Ok(ours), Ok(theirs)) => {
            let only = |a: &[String], b: &[String]| {
                a.iter()
                    .filter(|line| !b.contains(line))
                    .cloned()
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                (only(ours, theirs), only(theirs, ours)),
                (vec![], vec![]),
                "(ours, theirs) for {host}:\n{config}"
            );
        }
        _ => panic!("{host}: ours {ours:?}\ntheirs {theirs:?}\n{config}"),
    }
}

#[test]
fn b001_the_first_value_wins_whatever_the_block() {
    same(
        "Port 1\nPort 2\nHost a\n Port 3\n User x\nHost *\n User y\n",
        "a",
    );
    same("Host b\n Port 3\nHost a\n Port 4\nHost *\n Port 5\n", "a");
    same("Host b\n Port 3\nHost *\n Port 5\n", "a");
}

#[test]
fn b001_host_patterns_and_negation() {
    for host in [
        "web1",
        "web2",
        "db.example.org",
        "bad.example.org",
        "WEB1",
        "x",
    ] {
        same(
            "Host web? !web2\n Port 1\nHost *.example.org !bad.*\n Port 2\nHost !x *\n Port 3\n",
            host,
        );
        same("Host * !web1\n Port 1\nHost !web2\n Port 2\n", host);
        same("Host Web1\n Port 1\n", host);
    }
}

#[test]
fn b001_match() {
    let me = Environment::of_process().user;
    for criteria in [
        "all",
        "host web*",
        "host WEB1",
        "!host web*",
        "originalhost alias",
        "host real.example.org",
        "user bob",
        "user bob,alice host *",
        "!user bob",
        &format!("localuser {me}"),
        "localuser nobody-else",
        &format!("host web1,!web2 localuser {me}"),
        "host=web1",
        "final all",
        "final host real.example.org",
        "canonical all",
        "host",
        "nonsense x",
        "host web1 all",
        "originalhost a*,!alias",
    ] {
        for host in ["web1", "web2", "alias"] {
            let text = format!(
                "Host alias\n HostName Real.Example.ORG\n User bob\nMatch {criteria}\n Port 7\n IdentityFile ~/%h\n"
            );
            same(&text, host);
        }
    }
}

#[test]
fn b001_quotes_spaces_equals_and_comments() {
    for text in [
        "  Port=24 \r\n",
        "User = \"a b\"\n",
        "User 'a b' # who\n",
        "User a#b\n",
        "User a b\n",
        "User \"a\n",
        "User\n",
        "User=\n",
        "\"User\" x\n",
        "IdentityFile \"~/my key\"\nIdentityFile ~/b\nIdentityFile ~/b\n",
        "UserKnownHostsFile ~/a ~/b\nUserKnownHostsFile ~/c\n",
        "ProxyCommand nc -X \"a b\" %h %p # x\n",
        "ProxyCommand=nc %h %p\n",
        "ProxyCommand sh -c 'it is \"\n",
        "ProxyCommand none\nProxyJump x\n",
        "HostName %h.example.org\n",
        "HostName %x\n",
        "HostKeyAlias k\nBindAddress 127.0.0.1\n",
        "\tConnectTimeout\t1m30s\n",
        "ConnectTimeout none\n",
        "ConnectTimeout x\n",
        "Port 0\n",
        "Port 70000\n",
        "Port x\n",
        "Compression maybe\n",
        "StrictHostKeyChecking off\n",
        "StrictHostKeyChecking perhaps\n",
        "PubkeyAuthentication host-bound\n",
        "ServerAliveInterval 15\nServerAliveCountMax 4\n",
        "Nonsense yes\n",
        "IgnoreUnknown Non*,b\nNonsense yes\n",
        "Host other\n Nonsense yes\n",
        "Host other\n Port x\n",
        "ChallengeResponseAuthentication no\n",
        "Tunnel no\nControlMaster auto\nControlPath ~/x\nForwardAgent yes\n",
        "IdentityFile none\n",
        "RekeyLimit 1G 1h\n",
        "RekeyLimit default none\n",
        "RekeyLimit x\n",
        "SetEnv A=b\nSendEnv LANG LC_*\n",
    ] {
        same(text, "host");
    }
}

#[test]
fn b001_jumps() {
    for jump in [
        "a",
        "b@a:23",
        "a,b",
        "b@a,c@d:24",
        "none",
        "ssh://b@a:23",
        "a:x",
        "",
        "[::1]:24",
        "a,,b",
    ] {
        same(&format!("ProxyJump {jump}\nProxyCommand x %h\n"), "host");
        same(&format!("ProxyCommand x %h\nProxyJump {jump}\n"), "host");
    }
}

#[test]
fn b001_includes() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("d")).unwrap();
    write(at, "d/1.conf", "Host a\n Port 1\nHost *\n User one\n");
    write(
        at,
        "d/2.conf",
        "IdentityFile ~/two\nHost b\n Port 2\nMatch all\n HostName two\n",
    );
    write(at, "d/.hidden", "Nonsense\n");
    fs::create_dir(at.join("d/folder")).unwrap();
    let top = at.display();
    for text in [
        format!("Include {top}/d/*\nPort 9\n"),
        format!("Include {top}/d/folder {top}/d/1.conf/x\nPort 9\n"),
        format!("Host a\n Include {top}/d/*.conf\n Port 9\nHost *\n User three\n"),
        format!("Host c\n Include {top}/d/*.conf\n Port 9\n"),
        format!("Include {top}/d/2.conf {top}/d/1.conf\n"),
        format!("Match host b\n Include {top}/none* {top}/d/[12].conf\n Compression yes\n"),
        "Include\n".to_owned(),
        format!("Host x\n Include {top}/config\n"),
        format!("Include {top}/config\n"),
    ] {
        write(at, "config", &text);
        for host in ["a", "b", "c"] {
            same_in(at, &text, host);
        }
    }
}

#[test]
fn b001_what_the_caller_says_beats_the_files() {
    let folder = TempDir::new().unwrap();
    let text = "Match user bob\n Port 5\nHost *\n Port 6\n User alice\n Compression no\n ConnectTimeout 9\n";
    write(folder.path(), "config", text);
    let bob = Overrides {
        user: Some("bob".to_owned()),
        ..Overrides::default()
    };
    assert_eq!(
        ours(folder.path(), "h", &bob),
        theirs(folder.path(), "h", &["-l", "bob"])
    );
    let port = Overrides {
        port: Some(77),
        compression: Some(true),
        connect_timeout: Some(Duration::from_secs(3)),
        ..Overrides::default()
    };
    assert_eq!(
        ours(folder.path(), "h", &port),
        theirs(
            folder.path(),
            "h",
            &["-p", "77", "-C", "-o", "ConnectTimeout=3"]
        )
    );
}

//! What becomes of a configuration here, which `ssh -G` does not tell.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::super::{Agent, HostConfig, Overrides, ProxyMethod};
use super::{env, write};

#[test]
fn s097_a_named_identity_is_the_only_one() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "config",
        "IdentityFile ~/other\nIdentityAgent /run/agent\n",
    );
    let overrides = Overrides {
        identity_file: Some("/k".into()),
        ..Overrides::default()
    };
    let config = HostConfig::resolve("h", &overrides, &env(folder.path())).unwrap();
    assert_eq!(config.identity_files, [Path::new("/k")]);
    // An agent may sign with it, and with nothing else.
    assert_eq!(config.agent, Agent::Socket("/run/agent".into()));
    assert!(config.identities_only);
    assert!(config.identity_is_explicit);
}

#[test]
fn b001_tokens_and_variables_in_paths() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "config",
        "Host a\nHostName %h.example.org\nUser bob\nPort 23\nIdentityFile ~/%n-%h-%p-%r-%%\nIdentityFile ${WHERE}/x\nProxyCommand nc %h %p %r %n %%\n",
    );
    let mut env = env(folder.path());
    env.variables.push(("WHERE".to_owned(), "/w".to_owned()));
    env.home = "/home/x".into();
    let config = HostConfig::resolve("a", &Overrides::default(), &env).unwrap();
    assert_eq!(
        config.identity_files,
        [
            Path::new("/home/x/a-a.example.org-23-bob-%"),
            Path::new("/w/x")
        ]
    );
    assert_eq!(
        config.proxy,
        ProxyMethod::Command("nc a.example.org 23 bob a %".to_owned())
    );
    env.variables.clear();
    let error = HostConfig::resolve("a", &Overrides::default(), &env).unwrap_err();
    assert!(error.to_string().contains("WHERE"), "{error}");
}

#[test]
fn b001_what_cannot_be_honoured_is_named_with_its_line() {
    let unsupported = |text: &str| {
        let folder = TempDir::new().unwrap();
        write(folder.path(), "config", text);
        let config = HostConfig::resolve("h", &Overrides::default(), &env(folder.path())).unwrap();
        config.unsupported.map(|what| (what.name, what.line))
    };
    let named = |name: &str, line| Some((name.to_owned(), line));
    assert_eq!(
        unsupported("\nRevokedHostKeys /etc/ssh/revoked\n"),
        named("revokedhostkeys", 2)
    );
    assert_eq!(
        unsupported("BindInterface eth0\n"),
        named("bindinterface", 1)
    );
    assert_eq!(
        unsupported("BindInterface none\nBindInterface eth0\n"),
        None
    );
    assert_eq!(unsupported("Host other\nBindInterface eth0\n"), None);
    assert_eq!(
        unsupported("Match host h exec \"test -e /x\"\n"),
        named("match exec", 1)
    );
    assert_eq!(unsupported("Match host other exec \"test -e /x\"\n"), None);
    assert_eq!(
        unsupported("CheckHostIP yes\nHostbasedAuthentication yes\nTunnel yes\n"),
        None
    );
    assert_eq!(
        unsupported("KnownHostsCommand /bin/known %H\nPKCS11Provider /lib/x.so\n"),
        None
    );
    assert_eq!(
        unsupported("GSSAPIAuthentication yes\nSendEnv LANG LC_*\nHashKnownHosts yes\n"),
        None
    );
}

#[test]
fn b001_a_named_file_stands_for_all_others_and_has_to_be_there() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    write(at, "config", "Port 1\n");
    write(at, "mine", "User bob\n");
    let resolve = |env: &super::Environment| HostConfig::resolve("h", &Overrides::default(), env);
    let named = env(at).with_config(&at.join("mine"));
    let config = resolve(&named).unwrap();
    assert_eq!((config.user.as_str(), config.port), ("bob", 22));
    // Whoever names it answers for it, as with `ssh -F`.
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(at.join("mine"), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(resolve(&named).unwrap().user, "bob");
    let error = resolve(&named.with_config(&at.join("gone"))).unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
    let nothing = env(at).with_config(Path::new("none"));
    assert_eq!(resolve(&nothing).unwrap().port, 22);
}

#[test]
fn b001_new_keys_are_made_as_often_as_configured() {
    let folder = TempDir::new().unwrap();
    let rekey = |text: &str| {
        write(folder.path(), "config", text);
        let config = HostConfig::resolve("h", &Overrides::default(), &env(folder.path())).unwrap();
        (
            config.rekey_bytes,
            config.rekey_after.map(|after| after.as_secs()),
        )
    };
    assert_eq!(rekey(""), (None, None));
    assert_eq!(rekey("RekeyLimit 1G 5m"), (Some(1 << 30), Some(300)));
    assert_eq!(rekey("RekeyLimit default none"), (None, None));
}

#[test]
fn b001_every_directive_of_the_installed_client_is_known() {
    let listed = std::process::Command::new("ssh")
        .args(["-G", "-F", "none", "h"])
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert!(listed.lines().count() > 50, "{listed}");
    for line in listed.lines() {
        // Kinds of keys, and where it is not set, nothing.
        let folder = TempDir::new().unwrap();
        write(folder.path(), "config", line);
        let read = HostConfig::resolve("h", &Overrides::default(), &env(folder.path()));
        let unsupported = read
            .unwrap_or_else(|error| panic!("{line}: {error}"))
            .unsupported;
        // What it does by itself is done here.
        assert_eq!(unsupported, None, "{line}");
    }
}

#[test]
fn b001_a_file_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    write(folder.path(), "config", "Port 1\n");
    let file = folder.path().join("config");
    let resolve = |gid, mode| {
        std::os::unix::fs::chown(&file, None, Some(gid)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        HostConfig::resolve("h", &Overrides::default(), &env(folder.path()))
    };
    // These tests run as root, whose group has no other member.
    assert_eq!(resolve(0, 0o664).unwrap().port, 1);
    for (gid, mode) in [(65_534, 0o664), (0, 0o666)] {
        let error = resolve(gid, mode).unwrap_err();
        assert!(error.to_string().contains("chmod go-w"), "{error}");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn m15_a_configuration_that_cannot_be_opened_is_passed_over_unless_it_was_named() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "config", "Port 7\n");
    // No user can open it, and root cannot either.
    let unreadable = folder.path().join("config/below");
    let env = super::Environment {
        system_config: Some(unreadable.clone()),
        ..env(folder.path())
    };
    let resolve = |env: &super::Environment| HostConfig::resolve("h", &Overrides::default(), env);
    assert_eq!(resolve(&env).unwrap().port, 7);
    let error = resolve(&env.with_config(&unreadable)).unwrap_err();
    assert!(error.to_string().starts_with("cannot read"), "{error}");
}

#[test]
fn m10_the_hash_of_a_connection_in_a_path_is_that_of_the_installed_client() {
    let folder = TempDir::new().unwrap();
    let text = "User bob\nPort 23\nHostName far.example.org\nControlPath %C\nIdentityFile /k/%C\n";
    write(folder.path(), "config", text);
    let output = std::process::Command::new("ssh")
        .args(["-G", "-F"])
        .arg(folder.path().join("config"))
        .arg("h")
        .output();
    let listed = String::from_utf8(output.unwrap().stdout).unwrap();
    let theirs = listed
        .lines()
        .find_map(|line| line.strip_prefix("controlpath "));
    let config = HostConfig::resolve("h", &Overrides::default(), &env(folder.path())).unwrap();
    let ours = config.identity_files[0].file_name().unwrap().to_str();
    assert_eq!(ours, Some(theirs.unwrap()));
}

#[test]
fn m11_a_home_is_expanded_in_the_machines_known_hosts_too() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "config",
        "GlobalKnownHostsFile ~/team none /etc/%h\n",
    );
    let mut env = env(folder.path());
    env.home = "/home/x".into();
    let config = HostConfig::resolve("h", &Overrides::default(), &env).unwrap();
    let want = ["/home/x/team", "/etc/%h"].map(Path::new);
    assert_eq!(config.global_known_hosts, want);
}

#[test]
fn m10_a_token_that_is_not_one_is_named() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "config", "IdentityFile /k/%z\n");
    let resolved = HostConfig::resolve("h", &Overrides::default(), &env(folder.path()));
    let want = "IdentityFile `/k/%z`: `%z` is not a token of this directive";
    assert_eq!(resolved.unwrap_err().to_string(), want);
}

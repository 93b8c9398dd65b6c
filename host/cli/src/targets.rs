//! From what the command line says of targets to the hops of each.

use std::net::Ipv6Addr;

use offshoot_text::{NameError, NameKind};

use super::args::TargetArgs;
use super::inventory::{self, Become, HostId, Inventory, Selection, Sources};
use super::report::Diagnostic;
use super::target::{self, CONTEXTS_MAX, CountedHop, Hop, Target};

/// All targets, in order.
pub(super) fn resolve(text: &str, args: &TargetArgs) -> Result<Vec<Target>, Diagnostic> {
    let sources = Sources {
        lists: &args.hosts,
        inventories: &args.inventory,
    };
    let further = args.become_user.then(|| Become {
        method: args.become_method,
        user: args.become_as.clone(),
    });
    let Some(inventory) = inventory::load(&sources)? else {
        return without_inventory(text, args, further.as_ref());
    };
    let mut selected = inventory::select(&inventory, text, &target::is_path)?;
    if let Some(limit) = &args.limit {
        let limit = inventory::select(&inventory, limit, &|_| false)?;
        selected.retain(|it| limit.contains(it));
    }
    if selected.is_empty() {
        let what = match &args.limit {
            Some(limit) => format!("`{text}`, limited to `{limit}`, leaves no host"),
            None => format!("`{text}` stands for no host"),
        };
        return Err(Diagnostic::usage(what));
    }
    let mut targets = Vec::new();
    for one in &selected {
        match one {
            Selection::Path(path) => add_paths(path, further.as_ref(), &mut targets)?,
            Selection::Host(host) => match inventory.path(*host) {
                Some(path) => add_paths(path, further.as_ref(), &mut targets)?,
                None => targets.push(host_target(&inventory, *host, further.as_ref())?),
            },
        }
    }
    check_count(&targets)?;
    Ok(targets)
}

fn without_inventory(
    text: &str,
    args: &TargetArgs,
    further: Option<&Become>,
) -> Result<Vec<Target>, Diagnostic> {
    if let Some(limit) = &args.limit {
        return Err(
            Diagnostic::usage(format!("`--limit {limit}` has no hosts to choose from"))
                .help("name a list of hosts with `--inventory FILE` or `--hosts FILE`"),
        );
    }
    let is_pattern = |word: &str| word == "all" || word.starts_with(['!', '&']);
    if let Some(word) = text.split(',').find(|word| is_pattern(word)) {
        return Err(
            Diagnostic::usage(format!("`{word}` has no hosts to choose from"))
                .help("name a list of hosts with `--inventory FILE` or `--hosts FILE`"),
        );
    }
    let mut targets = Vec::new();
    add_paths(text, further, &mut targets)?;
    Ok(targets)
}

fn add_paths(
    text: &str,
    further: Option<&Become>,
    targets: &mut Vec<Target>,
) -> Result<(), Diagnostic> {
    for mut hops in target::parse(text)? {
        if let Some(further) = further {
            hops.push(counted(further.clone().into())?);
        }
        targets.push(hops.into());
    }
    Ok(())
}

/// Ways by themselves multiply; hosts of a list are as many as someone wrote down.
fn check_count(targets: &[Target]) -> Result<(), Diagnostic> {
    let paths = targets.iter().filter(|target| target.name.is_none());
    let counts = paths.map(|target| {
        let mut width = 1usize;
        let widths = target.hops.iter().map(|hop| {
            width = width.saturating_mul(hop.count);
            width
        });
        widths.fold(0, usize::saturating_add)
    });
    match counts.fold(0, usize::saturating_add) {
        0..=CONTEXTS_MAX => Ok(()),
        count => Err(Diagnostic::usage(format!("this makes {count} contexts"))
            .note(format!("a command starts {CONTEXTS_MAX} contexts at most"))),
    }
}

fn host_target(
    inventory: &Inventory,
    host: HostId,
    further: Option<&Become>,
) -> Result<Target, Diagnostic> {
    let name = inventory.name(host);
    let hops = inventory.hops(host, further)?;
    let hops: Result<Vec<CountedHop>, Diagnostic> = hops.into_iter().map(counted).collect();
    let hops = hops.map_err(|problem| {
        problem.note(format!(
            "host `{name}` stands in {}",
            inventory.location(host)
        ))
    })?;
    Ok(Target {
        name: Some(name.to_owned()),
        hops,
    })
}

/// A hop, called as the command line would call it.
fn counted(hop: Hop) -> Result<CountedHop, Diagnostic> {
    Ok(CountedHop {
        label: label_of(&hop)?,
        hop,
        count: 1,
    })
}

fn label_of(hop: &Hop) -> Result<String, Diagnostic> {
    let (tool, user) = match hop {
        Hop::Local => return Ok("local".to_owned()),
        Hop::Ssh {
            host, user, port, ..
        } => {
            let user = match user {
                Some(user) => format!("{}@", plain(NameKind::User, user)?),
                None => String::new(),
            };
            let host = match host.parse::<Ipv6Addr>() {
                Ok(address) => format!("[{address}]"),
                Err(_) => plain(NameKind::Host, host)?.to_owned(),
            };
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            return Ok(format!("ssh:{user}{host}{port}"));
        }
        Hop::Sudo(user) => ("sudo", user),
        Hop::Su(user) => ("su", user),
        Hop::Doas(user) => ("doas", user),
    };
    match user {
        None => Ok(tool.to_owned()),
        Some(user) => Ok(format!("{tool}:{}", plain(NameKind::User, user)?)),
    }
}

/// A name that is allowed, and that no reader of hops takes for more than one.
fn plain(kind: NameKind, name: &str) -> Result<&str, Diagnostic> {
    let refused = |error: NameError| Diagnostic::usage(error.to_string());
    kind.check(name).map_err(refused)?;
    match name.chars().find(|&c| c == ' ' || "/,*:[]".contains(c)) {
        Some(c) => Err(
            Diagnostic::usage(format!("{c:?} cannot be part of a {kind}'s name"))
                .note(format!("the {kind} is `{name}`")),
        ),
        None => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_written_as_hops() {
        let ssh = |host: &str, user: Option<&str>, port| {
            label_of(&Hop::Ssh {
                host: host.to_owned(),
                user: user.map(str::to_owned),
                port,
                identity_file: None,
            })
        };
        assert_eq!(ssh("web1", None, None).unwrap(), "ssh:web1");
        assert_eq!(
            ssh("web1", Some("bob"), Some(2222)).unwrap(),
            "ssh:bob@web1:2222"
        );
        assert_eq!(
            ssh("::1", Some("b@corp"), None).unwrap(),
            "ssh:b@corp@[::1]"
        );
        assert_eq!(label_of(&Hop::Sudo(None)).unwrap(), "sudo");
        let doas = Hop::Doas(Some("www".to_owned()));
        assert_eq!(label_of(&doas).unwrap(), "doas:www");
        assert_eq!(label_of(&Hop::Local).unwrap(), "local");
        for (host, user) in [
            ("-oProxyCommand=x", None),
            ("a/b", None),
            ("a", Some("-x")),
            ("a*2", None),
            ("", None),
        ] {
            assert!(ssh(host, user, None).is_err(), "{host}");
        }
    }
}

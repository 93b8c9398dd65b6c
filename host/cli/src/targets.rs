//! From what the command line says of targets to the hops of each.

use std::net::Ipv6Addr;

use offshoot_text::{NameError, NameKind};

use super::args::TargetArgs;
use super::inventory::{self, Become, BecomeMethod, HostId, Inventory, Picked, Sources, Way};
use super::report::Problem;
use super::target::{self, CONTEXTS_MAX, Hop, Hops};

/// Where to call: the hops to it, and its name where it is a host of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: Option<String>,
    pub(super) hops: Vec<Hops>,
}

impl From<Vec<Hops>> for Target {
    fn from(hops: Vec<Hops>) -> Self {
        Self { name: None, hops }
    }
}

/// All targets, in order.
pub(super) fn resolve(text: &str, args: &TargetArgs) -> Result<Vec<Target>, Problem> {
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
    let mut picked = inventory::pick(&inventory, text, &target::is_path)?;
    if let Some(limit) = &args.limit {
        let limit = inventory::pick(&inventory, limit, &|_| false)?;
        picked.retain(|it| limit.contains(it));
    }
    if picked.is_empty() {
        let what = match &args.limit {
            Some(limit) => format!("`{text}`, limited to `{limit}`, leaves no host"),
            None => format!("`{text}` stands for no host"),
        };
        return Err(Problem::usage(what));
    }
    let mut targets = Vec::new();
    for one in &picked {
        match one {
            Picked::Path(path) => add_paths(path, further.as_ref(), &mut targets)?,
            Picked::Host(host) => match inventory.path(*host) {
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
) -> Result<Vec<Target>, Problem> {
    if let Some(limit) = &args.limit {
        return Err(
            Problem::usage(format!("`--limit {limit}` has no hosts to choose from"))
                .help("name a list of hosts with `--inventory FILE` or `--hosts FILE`"),
        );
    }
    let is_pattern = |word: &str| word == "all" || word.starts_with(['!', '&']);
    if let Some(word) = text.split(',').find(|word| is_pattern(word)) {
        return Err(
            Problem::usage(format!("`{word}` has no hosts to choose from"))
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
) -> Result<(), Problem> {
    for mut hops in target::parse(text)? {
        if let Some(further) = further {
            hops.push(hop_of(&Way::Become(further.clone()))?);
        }
        targets.push(hops.into());
    }
    Ok(())
}

/// Ways by themselves multiply; hosts of a list are as many as someone wrote down.
fn check_count(targets: &[Target]) -> Result<(), Problem> {
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
        count => Err(Problem::usage(format!("this makes {count} contexts"))
            .note(format!("a command starts {CONTEXTS_MAX} contexts at most"))),
    }
}

fn host_target(
    inventory: &Inventory,
    host: HostId,
    further: Option<&Become>,
) -> Result<Target, Problem> {
    let name = inventory.name(host);
    let ways = inventory.ways(host, further)?;
    let hops: Result<Vec<Hops>, Problem> = ways.iter().map(hop_of).collect();
    let hops = hops.map_err(|problem| {
        problem.note(format!("host `{name}` stands in {}", inventory.place(host)))
    })?;
    Ok(Target {
        name: Some(name.to_owned()),
        hops,
    })
}

/// A step as a hop, called as the command line would call it.
fn hop_of(way: &Way) -> Result<Hops, Problem> {
    let label = words_of(way)?;
    let hop = match way.clone() {
        Way::Local => Hop::Local,
        Way::Ssh {
            host,
            user,
            port,
            identity_file,
        } => Hop::Ssh {
            user,
            host,
            port,
            identity_file,
        },
        Way::Become(Become { method, user }) => match method {
            BecomeMethod::Sudo => Hop::Sudo(user),
            BecomeMethod::Su => Hop::Su(user),
            BecomeMethod::Doas => Hop::Doas(user),
        },
    };
    Ok(Hops {
        hop,
        label,
        count: 1,
    })
}

fn words_of(way: &Way) -> Result<String, Problem> {
    Ok(match way {
        Way::Local => "local".to_owned(),
        Way::Ssh {
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
            format!("ssh:{user}{host}{port}")
        }
        Way::Become(Become { method, user }) => match user {
            None => method.word().to_owned(),
            Some(user) => format!("{}:{}", method.word(), plain(NameKind::User, user)?),
        },
    })
}

/// A name that is allowed, and that no reader of hops takes for more than one.
fn plain(kind: NameKind, name: &str) -> Result<&str, Problem> {
    let refused = |error: NameError| Problem::usage(error.to_string());
    kind.check(name).map_err(refused)?;
    match name.chars().find(|&c| c == ' ' || "/,*:[]".contains(c)) {
        Some(c) => Err(
            Problem::usage(format!("{c:?} cannot be part of a {kind}'s name"))
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
            words_of(&Way::Ssh {
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
        let further = |method, user: Option<&str>| {
            words_of(&Way::Become(Become {
                method,
                user: user.map(str::to_owned),
            }))
        };
        assert_eq!(further(BecomeMethod::Sudo, None).unwrap(), "sudo");
        assert_eq!(
            further(BecomeMethod::Doas, Some("www")).unwrap(),
            "doas:www"
        );
        assert_eq!(words_of(&Way::Local).unwrap(), "local");
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

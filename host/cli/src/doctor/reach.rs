//! The network before the login: a host's name, and whether a server answers at its port.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use offshoot_ssh::config::{Environment, HostConfig, Overrides, ProxyMethod};
use offshoot_text::{check_host, check_user};

use super::Hop;
use super::step::{Trouble, trouble};
use crate::args::ConnectArgs;

/// How long the server may take to answer, unless the user says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a server's first line that are read.
const BANNER_MAX: u64 = 256;

/// Where a hop leads in the end, as the user's configuration of ssh has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    host: String,
    port: u16,
    /// By which it is reached, if not directly.
    proxy: Option<String>,
}

/// Looks a host's name up.
pub(super) fn resolve(
    hop: &Hop,
    connect: &ConnectArgs,
) -> Result<(Place, Vec<SocketAddr>, String), Trouble> {
    let place = place_of(hop, connect)?;
    if let Some(proxy) = &place.proxy {
        let detail = format!("{} is reached by {proxy}, which looks it up", place.host);
        return Ok((place, Vec::new(), detail));
    }
    let found = (place.host.as_str(), place.port).to_socket_addrs();
    let addresses: Vec<SocketAddr> = found.map(Iterator::collect).map_err(|error| {
        trouble(
            format!(
                "the host's name `{}` cannot be resolved: {error}",
                place.host
            ),
            "look for a slip in the name; `getent hosts NAME` asks the same, and `HostName` in \
             ~/.ssh/config gives a name an address",
        )
    })?;
    let list: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
    let detail = match list.first() {
        Some(address) if *address == place.host => format!("{address} is an address"),
        _ => format!("{} is {}", place.host, list.join(", ")),
    };
    Ok((place, addresses, detail))
}

/// Connects, and reads the server's first line.
pub(super) fn knock(
    place: &Place,
    addresses: &[SocketAddr],
    patience: Option<Duration>,
) -> Result<String, Trouble> {
    if let Some(proxy) = &place.proxy {
        return Ok(format!("not tried: {proxy} connects"));
    }
    let patience = patience.unwrap_or(PATIENCE);
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(address, patience) {
            Ok(stream) => return banner(stream, *address, patience),
            Err(error) => last = Some((address, error)),
        }
    }
    let Some((address, error)) = last else {
        return Err(trouble("there is no address", "look at `getent hosts`"));
    };
    let help = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => {
            "nobody listens there: is it the right port, and does sshd run?"
        }
        _ => {
            "look at the network and at firewalls on the way: the port must be open from here, or \
             go through a machine that reaches it, as `ssh:BASTION/ssh:HOST`"
        }
    };
    Err(trouble(
        format!("cannot connect to {address}: {error}"),
        help,
    ))
}

fn banner(stream: TcpStream, address: SocketAddr, patience: Duration) -> Result<String, Trouble> {
    let no_server = |what: String| {
        trouble(
            format!("{address} {what}"),
            "something listens there that is no ssh server, or one that is overloaded: look at \
             the port, and at the server's log",
        )
    };
    let mut line = Vec::new();
    let limited = stream.set_read_timeout(Some(patience));
    limited.map_err(|error| no_server(error.to_string()))?;
    let read = BufReader::new(stream.take(BANNER_MAX)).read_until(b'\n', &mut line);
    read.map_err(|error| no_server(format!("says nothing: {error}")))?;
    let line = String::from_utf8_lossy(&line);
    match line.trim_end() {
        line if line.starts_with("SSH-") => Ok(format!("{address} answers as {line}")),
        "" => Err(no_server("closes the connection at once".to_owned())),
        line => Err(no_server(format!("answers `{line}`"))),
    }
}

/// Asks the client that will connect where a name leads.
fn place_of(hop: &Hop, connect: &ConnectArgs) -> Result<Place, Trouble> {
    let Hop::Ssh {
        user, host, port, ..
    } = hop
    else {
        return Err(trouble("it is no machine", "report this: a step is wrong"));
    };
    // The program is asked with them, and its configuration may hand them to a shell.
    let checked = check_host(host).and_then(|()| user.as_deref().map_or(Ok(()), check_user));
    checked.map_err(|error| trouble(error, "write the name as the machine has it"))?;
    let said = Overrides {
        user: user.clone(),
        port: *port,
        ..Overrides::default()
    };
    match &connect.ssh_path {
        Some(program) => Ok(ask_program(program, host, &said, connect)),
        None => read_config(host, &said, connect),
    }
}

fn read_config(host: &str, said: &Overrides, connect: &ConnectArgs) -> Result<Place, Trouble> {
    let mut around = Environment::of_process();
    if let Some(file) = &connect.ssh_config {
        around = around.with_config(file.as_ref());
    }
    let config = HostConfig::resolve(host, said, &around)
        .map_err(|error| trouble(error, "change that line of ssh_config"))?;
    let proxy = match &config.proxy {
        ProxyMethod::Direct => None,
        ProxyMethod::Command(command) => Some(format!("`{command}`")),
        ProxyMethod::Jump(hops) => {
            let hosts: Vec<&str> = hops.iter().map(|hop| hop.host.as_str()).collect();
            Some(format!("`{}`", hosts.join(",")))
        }
    };
    Ok(Place {
        host: config.hostname,
        port: config.port,
        proxy,
    })
}

/// Without an answer, a name leads where it says.
fn ask_program(program: &str, host: &str, said: &Overrides, connect: &ConnectArgs) -> Place {
    let mut command = Command::new(program);
    command.arg("-G").stdin(Stdio::null()).stderr(Stdio::null());
    if let Some(file) = &connect.ssh_config {
        command.args(["-F", file]);
    }
    if let Some(user) = &said.user {
        command.args(["-l", user]);
    }
    if let Some(port) = said.port {
        command.args(["-p", &port.to_string()]);
    }
    let output = command.args(["--", host]).output();
    let told = output.ok().filter(|output| output.status.success());
    let told = told.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    read_place(&told.unwrap_or_default(), host, said.port.unwrap_or(22))
}

fn read_place(said: &str, host: &str, port: u16) -> Place {
    let mut place = Place {
        host: host.to_owned(),
        port,
        proxy: None,
    };
    for line in said.lines() {
        match line.split_once(' ') {
            Some(("hostname", host)) => place.host = host.to_owned(),
            Some(("port", port)) => place.port = port.parse().unwrap_or(place.port),
            Some(("proxyjump" | "proxycommand", proxy)) if proxy != "none" => {
                place.proxy = Some(format!("`{proxy}`"));
            }
            _ => {}
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_says_where_a_name_leads() {
        let said = "host web1\nuser bob\nhostname 10.0.0.1\nport 2222\nproxyjump none\n";
        let place = read_place(said, "web1", 22);
        assert_eq!((&*place.host, place.port), ("10.0.0.1", 2222));
        assert_eq!(place.proxy, None);
        let jump = read_place("proxyjump bastion\n", "web1", 22);
        assert_eq!(jump.proxy.as_deref(), Some("`bastion`"));
    }
}

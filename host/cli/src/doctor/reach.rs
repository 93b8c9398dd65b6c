//! The network before the login: a host's name, and whether a server answers at its port.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use offshoot_ssh::config::{Environment, HostConfig, Overrides, ProxyMethod};
use offshoot_text::{check_host, check_user};

use super::Hop;
use super::step::{StepFailure, failure};
use crate::args::ConnectArgs;

/// How long the server may take to answer, unless the user says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a server's first line that are read.
const BANNER_MAX: u64 = 256;

/// The address of a hop, as the user's configuration of ssh has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    host: String,
    port: u16,
    /// The jump host or the command that reaches it, if it is not reached directly.
    proxy: Option<String>,
}

/// Looks a host's name up.
pub(super) fn resolve(
    hop: &Hop,
    connect: &ConnectArgs,
) -> Result<(Endpoint, Vec<SocketAddr>, String), StepFailure> {
    let endpoint = endpoint_of(hop, connect)?;
    if let Some(proxy) = &endpoint.proxy {
        let detail = format!("{} is reached by {proxy}, which looks it up", endpoint.host);
        return Ok((endpoint, Vec::new(), detail));
    }
    let found = (endpoint.host.as_str(), endpoint.port).to_socket_addrs();
    let addresses: Vec<SocketAddr> = found.map(Iterator::collect).map_err(|error| {
        failure(
            format!(
                "the host's name `{}` cannot be resolved: {error}",
                endpoint.host
            ),
            "look for a slip in the name; `getent hosts NAME` asks the same, and `HostName` in \
             ~/.ssh/config gives a name an address",
        )
    })?;
    let list: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
    let detail = match list.first() {
        Some(address) if *address == endpoint.host => format!("{address} is an address"),
        _ => format!("{} is {}", endpoint.host, list.join(", ")),
    };
    Ok((endpoint, addresses, detail))
}

/// Connects, and reads the server's first line.
pub(super) fn probe_port(
    endpoint: &Endpoint,
    addresses: &[SocketAddr],
    patience: Option<Duration>,
) -> Result<String, StepFailure> {
    if let Some(proxy) = &endpoint.proxy {
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
        return Err(failure("there is no address", "look at `getent hosts`"));
    };
    let help = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => {
            "nothing listens there: is it the right port, and does sshd run?"
        }
        _ => {
            "look at the network and at firewalls on the way: the port must be open from here, or \
             go through a machine that reaches it, as `ssh:BASTION/ssh:HOST`"
        }
    };
    Err(failure(
        format!("cannot connect to {address}: {error}"),
        help,
    ))
}

fn banner(
    stream: TcpStream,
    address: SocketAddr,
    patience: Duration,
) -> Result<String, StepFailure> {
    let no_server = |what: String| {
        failure(
            format!("{address} {what}"),
            "what listens there is not an ssh server, or is overloaded: look at \
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

/// The address that the client which will connect has for a name.
fn endpoint_of(hop: &Hop, connect: &ConnectArgs) -> Result<Endpoint, StepFailure> {
    let Hop::Ssh {
        user, host, port, ..
    } = hop
    else {
        return Err(failure(
            "the hop is not a machine",
            "report this: a step is wrong",
        ));
    };
    // The program is asked with them, and its configuration may hand them to a shell.
    let checked = check_host(host).and_then(|()| user.as_deref().map_or(Ok(()), check_user));
    checked.map_err(|error| failure(error, "write the name as the machine has it"))?;
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

fn read_config(
    host: &str,
    said: &Overrides,
    connect: &ConnectArgs,
) -> Result<Endpoint, StepFailure> {
    let mut around = Environment::of_process();
    if let Some(file) = &connect.ssh_config {
        around = around.with_config(file.as_ref());
    }
    let config = HostConfig::resolve(host, said, &around)
        .map_err(|error| failure(error, "change that line of ssh_config"))?;
    let proxy = match &config.proxy {
        ProxyMethod::Direct => None,
        ProxyMethod::Command(command) => Some(format!("`{command}`")),
        ProxyMethod::Jump(hops) => {
            let hosts: Vec<&str> = hops.iter().map(|hop| hop.host.as_str()).collect();
            Some(format!("`{}`", hosts.join(",")))
        }
    };
    Ok(Endpoint {
        host: config.hostname,
        port: config.port,
        proxy,
    })
}

/// Without an answer, a name is its own address.
fn ask_program(program: &str, host: &str, said: &Overrides, connect: &ConnectArgs) -> Endpoint {
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
    read_endpoint(&told.unwrap_or_default(), host, said.port.unwrap_or(22))
}

fn read_endpoint(said: &str, host: &str, port: u16) -> Endpoint {
    let mut endpoint = Endpoint {
        host: host.to_owned(),
        port,
        proxy: None,
    };
    for line in said.lines() {
        match line.split_once(' ') {
            Some(("hostname", host)) => endpoint.host = host.to_owned(),
            Some(("port", port)) => endpoint.port = port.parse().unwrap_or(endpoint.port),
            Some(("proxyjump" | "proxycommand", proxy)) if proxy != "none" => {
                endpoint.proxy = Some(format!("`{proxy}`"));
            }
            _ => {}
        }
    }
    endpoint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_says_what_the_address_of_a_name_is() {
        let said = "host web1\nuser bob\nhostname 10.0.0.1\nport 2222\nproxyjump none\n";
        let endpoint = read_endpoint(said, "web1", 22);
        assert_eq!((&*endpoint.host, endpoint.port), ("10.0.0.1", 2222));
        assert_eq!(endpoint.proxy, None);
        let jump = read_endpoint("proxyjump bastion\n", "web1", 22);
        assert_eq!(jump.proxy.as_deref(), Some("`bastion`"));
    }
}

//! Network interfaces: `/sys/class/net` for the devices, `/proc/net` for their addresses.
//!
//! The entries of `/sys/class/net` are links to `/sys/devices`, so all of `/sys` is needed. The
//! addresses are optional: without `/proc` the devices are still worth knowing.

mod address;

use std::fs;

use offshoot_guest::data;

use crate::error::{Error, Result};
use crate::read;

const DEVICES: &str = "/sys/class/net";

/// Interfaces at most; a host of ten thousand containers stays below.
const INTERFACES_MAX: usize = 1 << 16;

/// The network as this machine sees it.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The interfaces, in order of their names.
    pub interfaces: Vec<Interface>,
    /// Addresses of this machine that its routing table does not tie to an interface.
    pub unplaced: Vec<String>,
    /// Why the addresses are not known, when the plugin may not read them.
    pub addresses_missing: Option<String>,
}

/// A network interface.
#[data]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// Its hardware address, if it has one.
    pub mac: Option<String>,
    /// The largest packet it takes, in bytes.
    pub mtu: Option<u32>,
    /// Its operational state: `up`, `down`, or `unknown` where the driver does not tell.
    pub state: String,
    /// Bytes received since it appeared.
    pub received: u64,
    /// Bytes sent since it appeared.
    pub sent: u64,
    /// Its addresses, with the length of the network's prefix where that is known.
    pub addresses: Vec<String>,
}

pub(crate) fn gather() -> Result<Network> {
    let mut network = Network {
        interfaces: devices()?,
        unplaced: Vec::new(),
        addresses_missing: None,
    };
    match read::text("/proc/net/fib_trie") {
        Ok(trie) => {
            let routes = read::text("/proc/net/route").unwrap_or_default();
            network.place(address::ipv4(&trie, &routes));
        }
        Err(error) => network.addresses_missing = Some(error.to_string()),
    }
    // A kernel without IPv6 has no such file, and no such addresses.
    if let Ok(text) = read::text("/proc/net/if_inet6") {
        network.place(address::ipv6(&text));
    }
    Ok(network)
}

impl Network {
    fn place(&mut self, addresses: Vec<address::Placed>) {
        for address in addresses {
            let home = self
                .interfaces
                .iter_mut()
                .find(|interface| Some(&interface.name) == address.interface.as_ref());
            match home {
                Some(interface) => interface.addresses.push(address.text),
                None => self.unplaced.push(address.text),
            }
        }
    }
}

fn devices() -> Result<Vec<Interface>> {
    let mut names = fs::read_dir(DEVICES)
        .and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            names
                .take(INTERFACES_MAX)
                .collect::<std::io::Result<Vec<_>>>()
        })
        .map_err(|error| Error::reading(DEVICES, error))?;
    names.sort_unstable();
    let devices = names.into_iter().map(device).filter_map(Result::transpose);
    devices.collect()
}

/// `None` for what is no interface: the bonding driver's control file, or one that just went.
fn device(name: String) -> Result<Option<Interface>> {
    let attribute = |file: &str| read::line(&format!("{DEVICES}/{name}/{file}"));
    let state = match attribute("operstate") {
        Ok(state) => state,
        Err(error @ Error::NotGranted { .. }) => return Err(error),
        Err(_) => return Ok(None),
    };
    let counter = |file| attribute(file).ok()?.parse::<u64>().ok();
    Ok(Some(Interface {
        mac: attribute("address").ok().filter(|mac| !is_zero(mac)),
        mtu: attribute("mtu").ok().and_then(|mtu| mtu.parse().ok()),
        state,
        received: counter("statistics/rx_bytes").unwrap_or(0),
        sent: counter("statistics/tx_bytes").unwrap_or(0),
        addresses: Vec::new(),
        name,
    }))
}

/// Loopback and tunnels show zeros for the hardware address that they do not have.
fn is_zero(mac: &str) -> bool {
    mac.bytes().all(|byte| matches!(byte, b'0' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_goes_to_its_interface_or_is_listed() {
        let mut network = Network {
            interfaces: vec![Interface {
                name: "eth0".to_owned(),
                ..Interface::default()
            }],
            unplaced: Vec::new(),
            addresses_missing: None,
        };
        let placed = |text: &str, interface: Option<&str>| address::Placed {
            text: text.to_owned(),
            interface: interface.map(str::to_owned),
        };
        network.place(vec![
            placed("192.0.2.2/30", Some("eth0")),
            placed("198.51.100.1", None),
            placed("2001:db8::1/64", Some("gone0")),
        ]);
        assert_eq!(network.interfaces[0].addresses, ["192.0.2.2/30"]);
        assert_eq!(network.unplaced, ["198.51.100.1", "2001:db8::1/64"]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_a_loopback() {
        let network = gather().expect("/sys is mounted");
        let loopback = network.interfaces.iter().find(|one| one.name == "lo");
        let loopback = loopback.expect("every network namespace has one");
        assert_eq!(loopback.mac, None);
        assert!(loopback.mtu.is_some());
    }
}

//! Addresses, from the kernel's own tables: `/proc/net/fib_trie`, `route` and `if_inet6`.
//!
//! The kernel prints IPv6 addresses with their interface. It prints IPv4 addresses only as the
//! local entries of its routing trie, so the interface is the one to whose network the address
//! belongs.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An address and where it belongs.
#[derive(Debug, PartialEq)]
pub(super) struct Placed {
    /// The address, with the length of the network's prefix where that is known.
    pub(super) text: String,
    /// The interface, if it is known.
    pub(super) interface: Option<String>,
}

/// Addresses in order, each once: the trie has a copy for each of its tables.
pub(super) fn ipv4(trie: &str, routes: &str) -> Vec<Placed> {
    let routes: Vec<Route> = routes.lines().skip(1).filter_map(Route::parse).collect();
    let mut addresses = local(trie);
    addresses.sort_unstable();
    addresses.dedup();
    addresses
        .into_iter()
        .map(|address| place(address, &routes))
        .collect()
}

/// Lines of `address index prefix scope flags name`, all but the name in hexadecimal.
pub(super) fn ipv6(text: &str) -> Vec<Placed> {
    text.lines().filter_map(ipv6_line).collect()
}

fn ipv6_line(line: &str) -> Option<Placed> {
    let mut fields = line.split_whitespace();
    let address = fields.next().filter(|digits| digits.len() == 32)?;
    let address = Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
    let _index = fields.next()?;
    let prefix = u8::from_str_radix(fields.next()?, 16).ok()?;
    let name = fields.nth(2)?;
    Some(Placed {
        text: format!("{address}/{prefix}"),
        interface: Some(name.to_owned()),
    })
}

/// The trie's leaves `|-- ADDRESS` that are followed by `/32 host LOCAL`.
fn local(trie: &str) -> Vec<Ipv4Addr> {
    let mut leaf: Option<Ipv4Addr> = None;
    let mut addresses = Vec::new();
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            addresses.extend(leaf);
        }
    }
    addresses
}

fn place(address: Ipv4Addr, routes: &[Route]) -> Placed {
    if address.is_loopback() {
        // Its network is in the local table, which /proc/net/route leaves out.
        return Placed {
            text: format!("{address}/8"),
            interface: Some("lo".to_owned()),
        };
    }
    let route = routes
        .iter()
        .filter(|route| route.holds(address))
        .max_by_key(|route| route.mask);
    Placed {
        text: match route {
            Some(route) => format!("{address}/{}", route.mask.leading_ones()),
            None => address.to_string(),
        },
        interface: route.map(|route| route.interface.clone()),
    }
}

/// A directly connected network.
struct Route {
    interface: String,
    network: u32,
    mask: u32,
}

impl Route {
    /// `None` for what tells nothing about an address: a default route, or one by a gateway.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().take(8).collect();
        let &[interface, network, gateway, _, _, _, _, mask] = fields.as_slice() else {
            return None;
        };
        // The kernel prints the four bytes of network order as one number of its own order,
        // which is little-endian wherever a child runs.
        let number = |digits| Some(u32::from_str_radix(digits, 16).ok()?.swap_bytes());
        let (network, mask) = (number(network)?, number(mask)?);
        (mask != 0 && number(gateway)? == 0).then(|| Self {
            interface: interface.to_owned(),
            network,
            mask,
        })
    }

    fn holds(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask == self.network
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.2
              /32 host LOCAL
           |-- 198.51.100.7
              /32 host LOCAL
Local:
           |-- 192.0.2.2
              /32 host LOCAL
";

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
wide0\t000000C0\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";

    #[test]
    fn ipv4_addresses_are_placed_by_their_network() {
        let addresses = ipv4(TRIE, ROUTES);
        let seen: Vec<_> = addresses
            .iter()
            .map(|placed| (placed.text.as_str(), placed.interface.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                ("127.0.0.1/8", Some("lo")),
                ("192.0.2.2/24", Some("eth0")),
                ("198.51.100.7", None),
            ]
        );
    }

    #[test]
    fn without_routes_addresses_are_still_known() {
        let addresses = ipv4(TRIE, "");
        assert_eq!(addresses[1].text, "192.0.2.2");
        assert_eq!(addresses[1].interface, None);
    }

    #[test]
    fn ipv6_addresses_carry_their_interface() {
        let addresses = ipv6(
            "fd000000000000000000000000000002 04 40 00 82     eth0\n\
             00000000000000000000000000000001 01 80 10 80       lo\n",
        );
        assert_eq!(addresses.len(), 2);
        assert_eq!(addresses[0].text, "fd00::2/64");
        assert_eq!(addresses[0].interface.as_deref(), Some("eth0"));
        assert_eq!(addresses[1].text, "::1/128");
    }

    #[test]
    fn noise_gives_no_addresses() {
        assert!(
            ipv6("\nfd00 04 40 00 82 eth0\nfd000000000000000000000000000002 04 40\n").is_empty()
        );
        assert!(ipv4("|-- 300.1.1.1\n/32 host LOCAL\n/32 host LOCAL\n", "x\ny").is_empty());
    }
}

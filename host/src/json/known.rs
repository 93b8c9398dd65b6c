//! Types of `std` that people write as text: addresses, times and durations.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

use offshoot_abi::{Known, Type};
use serde::Serialize;

use super::time::{self, NANOS};

/// A type of `std` whose values are text.
#[derive(Clone, Copy)]
pub(super) struct Textual(Known);

/// The type, if its values are text for people and something else on the wire.
pub(super) fn textual(ty: &Type) -> Option<Textual> {
    match ty.known()? {
        Known::Path | Known::NonZero | Known::Collection | Known::Sender => None,
        known => Some(Textual(known)),
    }
}

impl Textual {
    /// Appends the postcard bytes of the value that `text` stands for.
    pub(super) fn encode(self, text: &str, out: &mut Vec<u8>) -> Option<()> {
        match self.0 {
            Known::Ipv4Addr => parse::<Ipv4Addr>(text, out),
            Known::Ipv6Addr => parse::<Ipv6Addr>(text, out),
            Known::IpAddr => parse::<IpAddr>(text, out),
            Known::SocketAddrV4 => parse::<SocketAddrV4>(text, out),
            Known::SocketAddrV6 => parse::<SocketAddrV6>(text, out),
            Known::SocketAddr => parse::<SocketAddr>(text, out),
            Known::Duration => put(&time::parse_duration(text)?, out),
            Known::SystemTime => put(&time::parse_time(text)?, out),
            Known::Path | Known::NonZero | Known::Collection | Known::Sender => None,
        }
    }

    /// The text of the first value in `bytes`, and the bytes behind it.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<(String, &[u8])> {
        match self.0 {
            Known::Ipv4Addr => show::<Ipv4Addr>(bytes),
            Known::Ipv6Addr => show::<Ipv6Addr>(bytes),
            Known::IpAddr => show::<IpAddr>(bytes),
            Known::SocketAddrV4 => show::<SocketAddrV4>(bytes),
            Known::SocketAddrV6 => show::<SocketAddrV6>(bytes),
            Known::SocketAddr => show::<SocketAddr>(bytes),
            Known::Duration | Known::SystemTime => {
                let (parts, rest) = postcard::take_from_bytes::<(u64, u32)>(bytes).ok()?;
                let parts = Some(parts).filter(|(_, nanos)| *nanos < NANOS)?;
                let text = match self.0 {
                    Known::Duration => time::show_duration(parts),
                    _ => time::show_time(parts),
                };
                Some((text, rest))
            }
            Known::Path | Known::NonZero | Known::Collection | Known::Sender => None,
        }
    }

    /// How such text looks.
    pub(super) fn example(self) -> &'static str {
        match self.0 {
            Known::Ipv4Addr => "text such as 10.0.0.1",
            Known::Ipv6Addr => "text such as fe80::1",
            Known::IpAddr => "text such as 10.0.0.1 or fe80::1",
            Known::SocketAddrV4 => "text such as 10.0.0.1:80",
            Known::SocketAddrV6 => "text such as [::1]:80",
            Known::SocketAddr => "text such as 10.0.0.1:80 or [::1]:80",
            Known::Duration => "a number and a unit, such as 1.5s, 200ms or 2m",
            _ => "text such as 2024-01-31T12:00:00Z",
        }
    }
}

fn put<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Option<()> {
    out.extend(postcard::to_allocvec(value).ok()?);
    Some(())
}

fn parse<T: FromStr + Serialize>(text: &str, out: &mut Vec<u8>) -> Option<()> {
    put(&text.parse::<T>().ok()?, out)
}

fn show<'a, T: serde::Deserialize<'a> + fmt::Display>(
    bytes: &'a [u8],
) -> Option<(String, &'a [u8])> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).ok()?;
    Some((value.to_string(), rest))
}

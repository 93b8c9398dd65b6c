//! Machines on the way to another, as `ProxyJump` and `ssh -J` name them.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use crate::name::{NameError, check_host, check_user};

/// One machine on the way to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The user there, if it is named.
    pub user: Option<String>,
    /// Its name, to be looked up in the configuration as any other.
    pub host: String,
    /// Its port, if it is named.
    pub port: Option<u16>,
}

/// A text that names no machines on the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HopError {
    /// It has another form.
    #[error("`{}`: expected hosts like user@host:22, with commas between them, or none", _0.escape_debug())]
    Form(String),
    /// One of its names is refused.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Hop {
    /// Reads `[user@]host[:port]`, or several with commas between them, in the order in which
    /// they are passed: what `ProxyJump` takes. `none` is no hop at all.
    ///
    /// An address of version 6 with a port has brackets: `[::1]:22`.
    ///
    /// # Errors
    ///
    /// Fails when it is anything else, and for names that [`check_host`] and [`check_user`] refuse.
    pub fn list(text: &str) -> Result<Vec<Self>, HopError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("none") {
            return Ok(Vec::new());
        }
        text.split(',').map(|hop| Self::one(hop, text)).collect()
    }

    /// One of the hops in `list`, also as an `ssh://` address.
    fn one(text: &str, list: &str) -> Result<Self, HopError> {
        let form = || HopError::Form(list.to_owned());
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, text),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']').ok_or_else(form)?;
                match after.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if after.is_empty() => (host, None),
                    None => return Err(form()),
                }
            }
            // More than one colon is an address of version 6, without a port.
            None if place.matches(':').count() == 1 => {
                let (host, port) = place.split_once(':').ok_or_else(form)?;
                (host, Some(port))
            }
            None => (place, None),
        };
        if host.is_empty() || user.as_deref() == Some("") {
            return Err(form());
        }
        check_host(host)?;
        user.as_deref().map_or(Ok(()), check_user)?;
        let port = port.map(|port| port.parse().ok().filter(|&port: &u16| port != 0));
        Ok(Self {
            user,
            host: host.to_owned(),
            port: port.map(|port| port.ok_or_else(form)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn b001_lists_of_hops() {
        let check = |text: &str, want: &[(Option<&str>, &str, Option<u16>)]| {
            let got = Hop::list(text).unwrap();
            let got: Vec<_> = got
                .iter()
                .map(|hop| (hop.user.as_deref(), hop.host.as_str(), hop.port))
                .collect();
            assert_eq!(got, want, "{text}");
        };
        check("a", &[(None, "a", None)]);
        check(
            " u@a:23,[fe80::1]:24,::1 ",
            &[
                (Some("u"), "a", Some(23)),
                (None, "fe80::1", Some(24)),
                (None, "::1", None),
            ],
        );
        check("None", &[]);
        check("a@c@b", &[(Some("a@c"), "b", None)]);
        check("ssh://a@b:23/", &[(Some("a"), "b", Some(23))]);
        check("[::1]:22", &[(None, "::1", Some(22))]);
        check("fe80::1", &[(None, "fe80::1", None)]);
    }

    #[test]
    fn b001_what_is_no_list_of_hops() {
        for bad in [
            "", ",", "a,", "a,,b", "a:x", "b:0", "@b", "a@", "[::1", "[::1]x",
        ] {
            let error = Hop::list(bad).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{bad}`: expected hosts")),
                "{error}"
            );
        }
        for (bad, character) in [
            ("-o,b", '-'),
            ("-oProxyCommand=x", '-'),
            ("a b", ' '),
            ("x;y", ';'),
            ("a,$(id)", '$'),
            ("b;id@c", ';'),
            ("-l@c", '-'),
        ] {
            let Err(HopError::Name(error)) = Hop::list(bad) else {
                panic!("{bad}");
            };
            assert_eq!(error.character(), Some(character), "{bad}");
        }
    }
}

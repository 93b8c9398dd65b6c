//! Reads single values: switches, numbers, times, jumps.

use std::time::Duration;

/// What a value should have been.
pub(crate) type Expected = &'static str;

pub(crate) fn switch(word: &str) -> Result<bool, Expected> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("yes or no"),
    }
}

pub(crate) fn port(word: &str) -> Result<u16, Expected> {
    let port = word.parse().ok().filter(|&port: &u16| port != 0);
    port.ok_or("a port from 1 to 65535")
}

pub(crate) fn number(word: &str) -> Result<u32, Expected> {
    let number = word.parse().ok().filter(|&n: &u32| n <= i32::MAX as u32);
    number.ok_or("a number")
}

/// A time like `90`, `1m30s` or `2h`.
pub(crate) fn time(word: &str) -> Result<Duration, Expected> {
    const EXPECTED: Expected = "a time like 30, 90s or 1m30s";
    let mut total = 0_u64;
    let mut rest = word;
    if rest.is_empty() {
        return Err(EXPECTED);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit());
        let (number, after) = rest.split_at(digits.unwrap_or(rest.len()));
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        let mut unit = after.chars();
        let factor = match unit.next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 60 * 60,
            Some('d' | 'D') => 24 * 60 * 60,
            Some('w' | 'W') => 7 * 24 * 60 * 60,
            Some(_) => return Err(EXPECTED),
        };
        rest = unit.as_str();
        total = number
            .checked_mul(factor)
            .and_then(|seconds| total.checked_add(seconds))
            .filter(|&total| total <= i32::MAX as u64)
            .ok_or(EXPECTED)?;
    }
    Ok(Duration::from_secs(total))
}

/// A number of bytes like `512`, `64K` or `1G`.
pub(crate) fn bytes(word: &str) -> Result<u64, Expected> {
    const EXPECTED: Expected = "a number of bytes like 64K or 1G";
    let (number, shift) = match word.as_bytes().last() {
        Some(b'k' | b'K') => (&word[..word.len() - 1], 10),
        Some(b'm' | b'M') => (&word[..word.len() - 1], 20),
        Some(b'g' | b'G') => (&word[..word.len() - 1], 30),
        _ => (word, 0),
    };
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    number
        .checked_shl(shift)
        .filter(|bytes| bytes >> shift == number)
        .ok_or(EXPECTED)
}

/// One machine on the way to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Who to be there, if it says so.
    pub user: Option<String>,
    /// Its name, to be looked up in the configuration as any other.
    pub host: String,
    /// Its port, if it says so.
    pub port: Option<u16>,
}

impl Hop {
    /// Reads `[user@]host[:port]`, or several with commas between them, in the order in which
    /// they are passed: what `ProxyJump` takes. `none` is no hop at all.
    ///
    /// An address of version 6 with a port has brackets: `[::1]:22`.
    ///
    /// # Errors
    ///
    /// Fails when it is anything else.
    pub fn list(text: &str) -> Result<Vec<Self>, HopError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("none") {
            return Ok(Vec::new());
        }
        hops(text).map_err(|expected| HopError {
            text: text.to_owned(),
            expected,
        })
    }
}

/// A text that names no machines on the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: expected {expected}")]
pub struct HopError {
    text: String,
    expected: Expected,
}

/// The hops of a `ProxyJump`, in the order in which they are passed.
pub(crate) fn hops(value: &str) -> Result<Vec<Hop>, Expected> {
    value.split(',').map(hop).collect()
}

/// `[user@]host[:port]`, also as `ssh://` address.
pub(crate) fn hop(text: &str) -> Result<Hop, Expected> {
    const EXPECTED: Expected = "hosts like user@host:22, with commas between them, or none";
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, text),
    };
    let (host, port_text) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or(EXPECTED)?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(EXPECTED),
            }
        }
        // More than one colon is an address of version 6, without a port.
        None if place.matches(':').count() == 1 => {
            let (host, port) = place.split_once(':').ok_or(EXPECTED)?;
            (host, Some(port))
        }
        None => (place, None),
    };
    if host.is_empty() || user.as_deref() == Some("") {
        return Err(EXPECTED);
    }
    // What starts like an option, or could mean something to a shell, is no name.
    if host.starts_with('-')
        || host
            .chars()
            .any(|c| c.is_control() || " '`\"$\\;&<>|(){},".contains(c))
    {
        return Err(EXPECTED);
    }
    let port = port_text.map(port).transpose().map_err(|_| EXPECTED)?;
    Ok(Hop {
        user,
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Hop, bytes, hop, time};

    #[test]
    fn b001_times() {
        for (word, want) in [
            ("0", Some(0)),
            ("30", Some(30)),
            ("1m30s", Some(90)),
            ("1h10", Some(3610)),
            ("2W", Some(1_209_600)),
            ("", None),
            ("s", None),
            ("1x", None),
            ("99999999999999999999", None),
            ("3550w", Some(2_147_040_000)),
            ("3551w", None),
        ] {
            assert_eq!(time(word).ok(), want.map(Duration::from_secs), "{word:?}");
        }
    }

    #[test]
    fn b001_bytes() {
        assert_eq!(bytes("16K"), Ok(16384));
        assert_eq!(bytes("1G"), Ok(1 << 30));
        assert!(bytes("99999999999G").is_err());
        assert!(bytes("G").is_err());
    }

    #[test]
    fn b001_lists_of_hops() {
        let check = |text: &str, want: &[(&str, Option<u16>)]| {
            let got = Hop::list(text).unwrap();
            let got: Vec<_> = got
                .iter()
                .map(|hop| (hop.host.as_str(), hop.port))
                .collect();
            assert_eq!(got, want, "{text}");
        };
        check("a", &[("a", None)]);
        check(
            " u@a:23,[fe80::1]:24,::1 ",
            &[("a", Some(23)), ("fe80::1", Some(24)), ("::1", None)],
        );
        check("None", &[]);
        for bad in ["", ",", "a,", "a,,b", "a:x", "-o,b", "a b"] {
            let error = Hop::list(bad).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{bad}`: expected hosts")),
                "{error}"
            );
        }
    }

    #[test]
    fn b001_hops() {
        let check = |text: &str, user: Option<&str>, host: &str, port: Option<u16>| {
            let want = Hop {
                user: user.map(str::to_owned),
                host: host.to_owned(),
                port,
            };
            assert_eq!(hop(text), Ok(want), "{text}");
        };
        check("b", None, "b", None);
        check("a@b:23", Some("a"), "b", Some(23));
        check("a@c@b", Some("a@c"), "b", None);
        check("ssh://a@b:23/", Some("a"), "b", Some(23));
        check("[::1]:22", None, "::1", Some(22));
        check("fe80::1", None, "fe80::1", None);
        for bad in [
            "",
            "@b",
            "a@",
            "b:0",
            "b:x",
            "[::1",
            "-oProxyCommand=x",
            "a b",
            "x;y",
        ] {
            assert!(hop(bad).is_err(), "{bad}");
        }
    }
}

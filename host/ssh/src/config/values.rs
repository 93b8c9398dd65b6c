//! Reads single values: switches, numbers, times.

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, time};

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
}

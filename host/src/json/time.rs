//! Durations and times as text, exact to the nanosecond.

use std::time::Duration;

/// Nanoseconds of a second.
pub(super) const NANOS: u32 = 1_000_000_000;

const DAY: u64 = 24 * 60 * 60;

/// Units of a duration, in nanoseconds.
const UNITS: [(&str, u64); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// A duration as people write it: a number and a unit (`ns`, `us`, `ms`, `s`, `m` or `min`, `h`, `d`),
/// such as `1.5s` or `200ms`, or several of them, such as `1h30m`. `None` for anything else, and for
/// what is not a whole number of nanoseconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(end);
        let end = behind
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scaled(number, *nanos)?)?;
        rest = behind;
    }
    let seconds = u64::try_from(total / u128::from(NANOS)).ok()?;
    let nanos = (total % u128::from(NANOS)) as u32;
    (!text.is_empty()).then(|| Duration::new(seconds, nanos))
}

/// A decimal number times a unit, in nanoseconds; what is not a whole number of them is refused.
fn scaled(number: &str, unit: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let mut total = whole.parse::<u128>().ok()?.checked_mul(unit.into())?;
    let mut place = unit;
    fraction.parse::<u128>().ok()?;
    for digit in fraction.trim_end_matches('0').bytes() {
        place = place.is_multiple_of(10).then_some(place / 10)?;
        total += u128::from(place) * u128::from(digit - b'0');
    }
    Some(total)
}

/// The duration in the largest unit up to seconds of which it is at least one.
pub(super) fn show_duration((seconds, nanos): (u64, u32)) -> String {
    let (whole, part, digits, unit) = match (seconds, nanos) {
        (0, 0) => return "0s".to_owned(),
        (0, 1..1_000) => (nanos.into(), 0, 0, "ns"),
        (0, 1_000..1_000_000) => (u64::from(nanos / 1_000), nanos % 1_000, 3, "us"),
        (0, _) => (u64::from(nanos / 1_000_000), nanos % 1_000_000, 6, "ms"),
        _ => (seconds, nanos, 9, "s"),
    };
    format!("{whole}{}{unit}", fraction(part, digits))
}

/// `.5` for a part of `500` of 3 digits; nothing for nothing.
fn fraction(part: u32, digits: usize) -> String {
    match part {
        0 => String::new(),
        part => format!(".{part:0digits$}").trim_end_matches('0').to_owned(),
    }
}

/// Seconds since 1970 and nanoseconds of a text such as `2024-01-31T12:00:00.5Z` (RFC 3339).
pub(super) fn parse_time(text: &str) -> Option<(u64, u32)> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let days = days_in(year, month)?;
    let is_time = (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (part, zone) = rest.split_at(end);
    let nanos = match part.strip_prefix('.') {
        None if part.is_empty() => 0,
        None => return None,
        Some(digits) if (1..=9).contains(&digits.len()) => {
            digits.parse::<u32>().ok()? * 10u32.pow(9 - digits.len() as u32)
        }
        Some(_) => return None,
    };
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
            let seconds = (hours * 60 + minutes) as i64 * 60;
            match zone.as_bytes()[0] {
                _ if hours > 23 || minutes > 59 => return None,
                b'+' => seconds,
                b'-' => -seconds,
                _ => return None,
            }
        }
    };
    let since = days_before(year, month) + (day.checked_sub(1)?) as i64;
    let seconds = since * DAY as i64 + (hour * 3600 + minute * 60 + second) as i64 - offset;
    let seconds = u64::try_from(seconds).ok()?;
    is_time.then_some((seconds, nanos))
}

/// Numbers of exactly so many digits with a mark between them.
fn numbers<const N: usize>(text: &str, mark: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(mark);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = is_number.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

fn days_in(year: u64, month: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    })
}

/// Days from 1970 to the first of a month in the Gregorian calendar.
fn days_before(year: u64, month: u64) -> i64 {
    // Years begin in March here, so that the day of a leap year is the last.
    let (year, month) = match month {
        1 | 2 => (year as i64 - 1, month + 9),
        _ => (year as i64, month - 3),
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (153 * month as i64 + 2) / 5 - 719_468
}

/// The time in UTC, as RFC 3339 has it.
pub(super) fn show_time((seconds, nanos): (u64, u32)) -> String {
    let (days, clock) = (seconds / DAY, seconds % DAY);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year_of_era + era * 400 + next;
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let part = fraction(nanos, 9);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{part}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds, nanos) in [
            ("1.5s", 1, 500_000_000),
            ("200ms", 0, 200_000_000),
            ("2m", 120, 0),
            ("1h30min", 5400, 0),
            ("0.000000001s", 0, 1),
            ("3us", 0, 3_000),
            ("0s", 0, 0),
            ("18446744073709551615.999999999s", u64::MAX, 999_999_999),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::new(seconds, nanos)),
                "{text}"
            );
        }
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.2.3s",
            "0.5ns",
            "1 s",
            "1y",
            ".s",
            "18446744073709551616s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2024-01-01T00:00:00Z", 1_704_067_200, 0),
            ("2024-02-29T23:59:59.5Z", 1_709_251_199, 500_000_000),
            ("2000-03-01 00:00:00+01:00", 951_865_200, 0),
            ("2100-02-28T00:00:00-00:30", 4_107_457_800, 0),
        ] {
            assert_eq!(parse_time(text), Some((seconds, nanos)), "{text}");
        }
        for text in [
            "2024-01-01",
            "2023-02-29T00:00:00Z",
            "2024-00-10T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+1:00",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(seconds: u64, of_years in 0..253_402_300_800u64, nanos in 0..NANOS) {
            for seconds in [seconds, seconds % 100, 0] {
                let duration = Duration::new(seconds, nanos);
                prop_assert_eq!(parse_duration(&show_duration((seconds, nanos))), Some(duration));
            }
            prop_assert_eq!(parse_time(&show_time((of_years, nanos))), Some((of_years, nanos)));
            // Whatever comes from a plugin is shown.
            show_time((seconds, nanos));
        }
    }
}

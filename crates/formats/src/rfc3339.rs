//! Times as command lines and files write them (RFC 3339 §5.6), in milliseconds since 1970. Pure.

use crate::date::{checked_days, civil_from_days};

const DAY_MS: i64 = 86_400_000;

/// `2025-03-05T00:00:00Z`.
pub fn format(unix_ms: i64) -> String {
    let days = unix_ms.div_euclid(DAY_MS);
    let seconds = unix_ms.rem_euclid(DAY_MS) / 1000;
    let (year, month, day) = civil_from_days(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Reads `2025-03-05T00:00:00Z`, with an offset such as `+01:00` instead of Z as well.
///
/// # Errors
/// A text that shows what was expected.
pub fn parse(text: &str) -> Result<i64, String> {
    read(text).ok_or_else(|| {
        format!("{text} is no time; expected RFC 3339 such as 2025-03-05T00:00:00+01:00")
    })
}

fn read(text: &str) -> Option<i64> {
    let (year, month, day) = (
        number(text, 0..4)?,
        number(text, 5..7)?,
        number(text, 8..10)?,
    );
    let (hour, minute, second) = (
        number(text, 11..13)?,
        number(text, 14..16)?,
        number(text, 17..19)?,
    );
    let bytes = text.as_bytes();
    let marks = [(4, b"-"), (7, b"-"), (10, b"T"), (13, b":"), (16, b":")];
    let marked = marks
        .iter()
        .all(|(at, mark)| bytes[*at].eq_ignore_ascii_case(&mark[0]));
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !marked || !in_range {
        return None;
    }
    let offset_minutes = match &text[19..] {
        "Z" | "z" => 0,
        zone if zone.len() == 6 && zone.as_bytes()[3] == b':' => {
            let minutes = number(zone, 1..3)? * 60 + number(zone, 4..6)?;
            match zone.as_bytes()[0] {
                b'+' => minutes,
                b'-' => -minutes,
                _ => return None,
            }
        }
        _ => return None,
    };
    let seconds = checked_days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second;
    Some((seconds - offset_minutes * 60) * 1000)
}

fn number(text: &str, range: std::ops::Range<usize>) -> Option<i64> {
    let digits = text.get(range)?;
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_are_taken_off() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(
            parse("2025-03-05T00:00:00+01:00"),
            parse("2025-03-04T23:00:00Z")
        );
        assert_eq!(format(1_741_129_200_000), "2025-03-04T23:00:00Z");
        assert_eq!(
            format(parse("2024-02-29T12:30:45Z").unwrap()),
            "2024-02-29T12:30:45Z"
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2025-13-01T00:00:00Z",
            "2025-03-05 00:00",
            "2025-03-05T00:00:00+1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_reads_back(seconds in 0_i64..4_000_000_000) {
            prop_assert_eq!(parse(&format(seconds * 1000)), Ok(seconds * 1000));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = parse(&text);
        }
    }
}

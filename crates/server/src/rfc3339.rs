//! Times as the command line writes them (RFC 3339 §5.6). Pure.

use platform::clock::Timestamp;

/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
const DAYS_TO_1970: i64 = 719_468;
const DAY_MS: i64 = 86_400_000;

/// `2025-03-05T00:00:00Z`.
pub(crate) fn format(time: Timestamp) -> String {
    let days = time.0.div_euclid(DAY_MS);
    let seconds = time.0.rem_euclid(DAY_MS) / 1000;
    let (year, month, day) = date_of(days);
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
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    read(text).ok_or_else(|| {
        format!("{text} is no time; expected RFC 3339 such as 2025-03-05T00:00:00+01:00")
    })
}

fn read(text: &str) -> Option<Timestamp> {
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
    let seconds = days_of(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_seconds(seconds - offset_minutes * 60))
}

fn number(text: &str, range: std::ops::Range<usize>) -> Option<i64> {
    let digits = text.get(range)?;
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// Days since 1970-01-01; the year begins in March so that the leap day is its last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - DAYS_TO_1970
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_are_taken_off() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Ok(Timestamp(0)));
        assert_eq!(
            parse("2025-03-05T00:00:00+01:00"),
            parse("2025-03-04T23:00:00Z")
        );
        assert_eq!(format(Timestamp(1_741_129_200_000)), "2025-03-04T23:00:00Z");
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
            let time = Timestamp::from_seconds(seconds);
            prop_assert_eq!(parse(&format(time)), Ok(time));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = parse(&text);
        }
    }
}

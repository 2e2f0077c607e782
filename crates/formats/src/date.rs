//! Dates of mail: RFC 5322 §3.3 with its obsolete forms, and IMAP's INTERNALDATE (RFC 3501 §9).
//! Pure arithmetic on milliseconds since 1970-01-01T00:00:00Z; never asks for the time or a zone.

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
/// A date value longer than this is not looked at; real ones have about 40 bytes.
const VALUE_BYTES_MAX: usize = 200;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
// 1970-01-01 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A point in time together with the zone it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: i64,
    /// Minutes east of UTC, within -1439..=1439.
    pub offset_minutes: i16,
}

impl DateTime {
    /// In UTC.
    pub fn utc(unix_ms: i64) -> Self {
        Self {
            unix_ms,
            offset_minutes: 0,
        }
    }

    /// The day as written in its own zone, in days since 1970-01-01 (RFC 3501 §6.4.4 disregards time
    /// and zone when it compares dates).
    pub fn day(self) -> i64 {
        self.local_ms().div_euclid(DAY_MS)
    }

    fn local_ms(self) -> i64 {
        self.unix_ms
            .saturating_add(i64::from(self.offset_minutes) * MINUTE_MS)
    }

    fn civil(self) -> Civil {
        // Printed years have four digits; what lies outside is shown as the nearest that fits.
        let ms = self.local_ms().clamp(YEAR_1_MS, YEAR_9999_END_MS);
        let second = ms.rem_euclid(DAY_MS) / 1000;
        let (year, month, day) = civil_from_days(ms.div_euclid(DAY_MS));
        Civil {
            year,
            month,
            day,
            second,
        }
    }

    fn sign_and_zone(self) -> (char, i32) {
        let offset = i32::from(self.offset_minutes);
        let sign = if offset < 0 { '-' } else { '+' };
        (sign, offset.abs() / 60 * 100 + offset.abs() % 60)
    }
}

const YEAR_1_MS: i64 = -62_135_596_800_000;
const YEAR_9999_END_MS: i64 = 253_402_300_799_999;

struct Civil {
    year: i64,
    month: usize,
    day: i64,
    /// Of the day.
    second: i64,
}

// Days since 1970-01-01 to the proleptic Gregorian calendar; counts in 400-year eras that begin on
// 1 March, so that the leap day is the last of its year.
pub(crate) fn civil_from_days(days: i64) -> (i64, usize, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
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
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

pub(crate) fn checked_days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    ((1..=9999).contains(&year) && (1..=last).contains(&day))
        .then(|| days_from_civil(year, month, day))
}

fn month_number(word: &[u8]) -> Option<i64> {
    let short = word.get(..3)?;
    let at = MONTHS
        .iter()
        .position(|month| short.eq_ignore_ascii_case(month.as_bytes()))?;
    i64::try_from(at + 1).ok()
}

fn number(word: &[u8]) -> Option<i64> {
    if word.is_empty() || word.len() > 9 || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        word.iter()
            .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')),
    )
}

/// Reads a `Date:` value, leniently: weekday, seconds and zone may be missing, comments and obsolete
/// zone names are understood, two-digit years follow RFC 5322 §4.3, asctime's order is accepted.
pub fn parse_rfc5322(value: &[u8]) -> Option<DateTime> {
    let value = value.get(..VALUE_BYTES_MAX).unwrap_or(value);
    let mut words = Words { rest: value };
    let mut word = words.next()?;
    let starts_with_letter = |word: &[u8]| word.first().is_some_and(u8::is_ascii_alphabetic);
    if starts_with_letter(word) && month_number(word).is_none() {
        word = words.next()?;
    }
    let (day, month, year, time);
    if let Some(named) = month_number(word).filter(|_| starts_with_letter(word)) {
        // asctime: Wed Jul 17 02:44:25 1996
        month = named;
        day = number(words.next()?)?;
        time = words.next();
        year = words.next()?;
    } else if let Some((first, second, third)) = split_dashes(word) {
        (day, month, year) = (number(first)?, month_number(second)?, third);
        time = words.next();
    } else {
        day = number(word)?;
        month = month_number(words.next()?)?;
        year = words.next()?;
        time = words.next();
    }
    let days = checked_days(full_year(year)?, month, day)?;
    let second = match time {
        Some(time) => time_of_day(time)?,
        None => 0,
    };
    let offset_minutes = words.next().map_or(Some(0), zone)?;
    let local_ms = days * DAY_MS + second * 1000;
    Some(DateTime {
        unix_ms: local_ms - i64::from(offset_minutes) * MINUTE_MS,
        offset_minutes,
    })
}

// RFC 5322 §4.3: 00-49 are this century, 50-99 and three digits the last one.
fn full_year(word: &[u8]) -> Option<i64> {
    let year = number(word)?;
    Some(match (word.len(), year) {
        (1 | 2, 0..=49) => year + 2000,
        (1 | 2, _) | (3, _) => year + 1900,
        _ => year,
    })
}

// hour ":" minute [ ":" second ], in seconds of the day
fn time_of_day(word: &[u8]) -> Option<i64> {
    let mut parts = word.split(|&byte| byte == b':');
    let hour = number(parts.next()?)?;
    let minute = number(parts.next()?)?;
    let second = match parts.next() {
        // Some senders add a fraction.
        Some(second) => number(second.split(|&byte| byte == b'.').next()?)?,
        None => 0,
    };
    // 60 is a leap second (RFC 5322 §3.3).
    (hour < 24 && minute < 60 && second <= 60 && parts.next().is_none())
        .then_some(hour * 3600 + minute * 60 + second)
}

// RFC 5322 §4.3; names it does not list count as unknown, which is UTC.
fn zone(word: &[u8]) -> Option<i16> {
    if let [sign @ (b'+' | b'-'), digits @ ..] = word {
        return numeric_zone(*sign, digits);
    }
    let hours = match word.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => 0,
    };
    Some(hours * 60)
}

fn numeric_zone(sign: u8, digits: &[u8]) -> Option<i16> {
    let digits: Vec<u8> = digits
        .iter()
        .copied()
        .filter(|&byte| byte != b':')
        .collect();
    let value = number(&digits)?;
    let minutes = match digits.len() {
        4 => value / 100 * 60 + value % 100,
        1 | 2 => value * 60,
        _ => return None,
    };
    if minutes >= 1440 || (digits.len() == 4 && value % 100 >= 60) {
        return None;
    }
    let minutes = i16::try_from(minutes).ok()?;
    Some(if sign == b'-' { -minutes } else { minutes })
}

// 17-Jul-1996, as old senders write it
fn split_dashes(word: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut parts = word.split(|&byte| byte == b'-');
    let split = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(split)
}

/// The words of a date: separated by white space and commas, comments left out.
struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut comment_depth = 0usize;
        while let Some((&byte, rest)) = self.rest.split_first() {
            match byte {
                b'(' => comment_depth += 1,
                b')' => comment_depth = comment_depth.saturating_sub(1),
                b' ' | b'\t' | b'\r' | b'\n' | b',' => {}
                _ if comment_depth > 0 => {}
                _ => break,
            }
            self.rest = rest;
        }
        let ends = |&byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b'(');
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// Writes `Wed, 17 Jul 1996 02:44:25 -0700` (RFC 5322 §3.3).
pub fn format_rfc5322(date: DateTime) -> String {
    let civil = date.civil();
    let weekday = usize::try_from(date.day().rem_euclid(7)).unwrap_or(0);
    let (sign, zone) = date.sign_and_zone();
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} {sign}{zone:04}",
        WEEKDAYS.get(weekday).unwrap_or(&"Thu"),
        civil.day,
        MONTHS.get(civil.month - 1).unwrap_or(&"Jan"),
        civil.year,
        civil.second / 3600,
        civil.second / 60 % 60,
        civil.second % 60,
    )
}

/// Reads IMAP's date-time without its quotes: `17-Jul-1996 02:44:25 -0700` (RFC 3501 §9).
pub fn parse_internaldate(value: &[u8]) -> Option<DateTime> {
    let value = value.strip_prefix(b" ").unwrap_or(value);
    let mut words = value.split(|&byte| byte == b' ');
    let (date, time, offset) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || time.len() != 8 || offset.len() != 5 {
        return None;
    }
    let days = parse_search_date(date)?;
    let offset_minutes = match offset {
        [sign @ (b'+' | b'-'), digits @ ..] => numeric_zone(*sign, digits)?,
        _ => return None,
    };
    let local_ms = days * DAY_MS + time_of_day(time)? * 1000;
    Some(DateTime {
        unix_ms: local_ms - i64::from(offset_minutes) * MINUTE_MS,
        offset_minutes,
    })
}

/// Writes IMAP's date-time without quotes; the day is padded with a space (RFC 3501 §9 date-day-fixed).
pub fn format_internaldate(date: DateTime) -> String {
    let civil = date.civil();
    let (sign, zone) = date.sign_and_zone();
    format!(
        "{:2}-{}-{:04} {:02}:{:02}:{:02} {sign}{zone:04}",
        civil.day,
        MONTHS.get(civil.month - 1).unwrap_or(&"Jan"),
        civil.year,
        civil.second / 3600,
        civil.second / 60 % 60,
        civil.second % 60,
    )
}

/// Reads IMAP's date of SEARCH keys, `1-Feb-1994`, as days since 1970-01-01 (quotes already removed).
pub fn parse_search_date(value: &[u8]) -> Option<i64> {
    let (day, month, year) = split_dashes(value)?;
    if day.len() > 2 || month.len() != 3 || year.len() != 4 {
        return None;
    }
    checked_days(number(year)?, month_number(month)?, number(day)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_of_real_mail_are_read() {
        for (text, seconds, offset) in [
            ("Wed, 17 Jul 1996 02:44:25 -0700", 837_596_665, -420),
            ("17 Jul 1996 02:44:25 -0700", 837_596_665, -420),
            ("17 Jul 96 02:44:25 PDT", 837_596_665, -420),
            ("Wed, 17 Jul 1996 09:44:25 GMT", 837_596_665, 0),
            ("Wed, 17 Jul 1996 09:44:25", 837_596_665, 0),
            (
                "Wed, 17 Jul 1996 02:44:25 -0700 (PDT (summer))",
                837_596_665,
                -420,
            ),
            ("Wed,17 Jul 1996\r\n 02:44:25 -07:00", 837_596_665, -420),
            (
                "(c) Wed, 17 (x) July 1996 02:44:25.123 -0700",
                837_596_665,
                -420,
            ),
            ("Wed Jul 17 09:44:25 1996", 837_596_665, 0),
            ("17-Jul-1996 02:44:25 -0700", 837_596_665, -420),
            ("Thu, 1 Jan 1970 00:00:00 +0000", 0, 0),
            ("Thu, 1 Jan 1970 01:00 +0100", 0, 60),
            ("29 Feb 2000 00:00:00 Z", 951_782_400, 0),
            ("31 Dec 103 23:59:60 +0000", 1_072_915_200, 0),
            ("1 Jan 49 00:00:00 XYZ", 2_493_072_000, 0),
            ("Fri, 01 Jan 1999 12:00:00 A", 915_192_000, 0),
        ] {
            let date = parse_rfc5322(text.as_bytes()).expect(text);
            assert_eq!(
                (date.unix_ms, date.offset_minutes),
                (seconds * 1000, offset),
                "{text}"
            );
        }
    }

    #[test]
    fn nonsense_is_no_date() {
        for text in [
            "",
            "Wed",
            "yesterday",
            "30 Feb 2000 00:00:00 +0000",
            "29 Feb 1900 00:00:00 Z",
            "1 Foo 2000 00:00:00",
            "1 Jan 2000 24:00:00",
            "1 Jan 2000 00:60:00",
            "1 Jan 2000 00:00:00 +2460",
            "1 Jan 0 0:0",
            "0 Jan 2000 00:00",
            "1 Jan 99999 00:00:00",
            "((((",
            "1 Jan 2000 00:00:00 +9999",
        ] {
            // A one-digit year is read as 2000, so that one is the exception that proves the rule.
            let expected_some = text == "1 Jan 0 0:0";
            assert_eq!(
                parse_rfc5322(text.as_bytes()).is_some(),
                expected_some,
                "{text}"
            );
        }
    }

    #[test]
    fn internal_dates_read_and_print() {
        let date = parse_internaldate(b"17-Jul-1996 02:44:25 -0700").expect("date");
        assert_eq!(date.unix_ms, 837_596_665_000);
        assert_eq!(format_internaldate(date), "17-Jul-1996 02:44:25 -0700");
        assert_eq!(format_rfc5322(date), "Wed, 17 Jul 1996 02:44:25 -0700");
        let early = parse_internaldate(b" 1-Feb-2026 00:00:00 +0130").expect("date");
        assert_eq!(format_internaldate(early), " 1-Feb-2026 00:00:00 +0130");
        assert_eq!(early.day(), parse_search_date(b"1-Feb-2026").expect("day"));
        for bad in [
            "17-Jul-1996",
            "17-Jul-1996 02:44 -0700",
            "17-Jul-96 02:44:25 -0700",
            "17-Jul-1996 02:44:25 PDT",
            "32-Jul-1996 02:44:25 -0700",
            "",
            "17-Jul-1996  02:44:25 -0700",
        ] {
            assert_eq!(parse_internaldate(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60), ms in any::<i64>()) {
            let _ = parse_rfc5322(&bytes);
            let _ = parse_internaldate(&bytes);
            let _ = parse_search_date(&bytes);
            let _ = format_rfc5322(DateTime::utc(ms));
            let _ = format_internaldate(DateTime { unix_ms: ms, offset_minutes: -1439 });
        }

        #[test]
        fn dates_survive_printing(second in -62_135_500_000i64..253_402_200_000, offset_minutes in -1439i16..=1439) {
            let date = DateTime { unix_ms: second * 1000, offset_minutes };
            prop_assert_eq!(parse_rfc5322(format_rfc5322(date).as_bytes()), Some(date));
            prop_assert_eq!(parse_internaldate(format_internaldate(date).as_bytes()), Some(date));
        }
    }
}

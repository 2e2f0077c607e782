//! The two dates of IMAP: the day of SEARCH and the date-time of APPEND (RFC 3501 §9).
//! Finds where they end; `formats::date` reads them and refuses impossible days such as 31-Feb.

use super::cursor::Cursor;
use super::{Fault, Parsed};
use formats::date::{DateTime, parse_internaldate, parse_search_date};

/// A day: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i64);

const NO_DATE: Fault = Fault::new("A date such as 1-Feb-2026 was expected.");
const NO_DATE_TIME: Fault =
    Fault::new("A date and time such as \" 1-Feb-2026 13:05:00 +0100\" was expected.");

/// ```abnf
/// date      = date-text / DQUOTE date-text DQUOTE
/// date-text = date-day "-" date-month "-" date-year
/// ```
pub fn date(cursor: &mut Cursor<'_>) -> Parsed<Day> {
    let quoted = cursor.take(b'"');
    let text = cursor.run(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let day = parse_search_date(text).ok_or(NO_DATE)?;
    if quoted {
        cursor.expect(b'"', NO_DATE.text)?;
    }
    Ok(Day(day))
}

/// ```abnf
/// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
/// zone      = ("+" / "-") 4DIGIT
/// ```
pub fn date_time(cursor: &mut Cursor<'_>) -> Parsed<DateTime> {
    cursor.expect(b'"', NO_DATE_TIME.text)?;
    let text = cursor.run(|byte| byte != b'"');
    let value = parse_internaldate(text).ok_or(NO_DATE_TIME)?;
    cursor.expect(b'"', NO_DATE_TIME.text)?;
    Ok(value)
}

//! Dates of mail: RFC 5322 §3.3 with its obsolete forms, and IMAP's INTERNALDATE (RFC 3501 §9).
//! Pure arithmetic on milliseconds since 1970-01-01T00:00:00Z; never asks for the time or a zone.

/// A point in time together with the zone it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: i64,
    /// Minutes east of UTC, within -1439..=1439.
    pub offset_minutes: i16,
}

/// Reads a `Date:` value, leniently: weekday, seconds and zone may be missing, comments and obsolete
/// zone names are understood, two-digit years follow RFC 5322 §4.3.
pub fn parse_rfc5322(value: &[u8]) -> Option<DateTime> {
    let _ = value;
    None
}

/// Writes `Wed, 17 Jul 1996 02:44:25 -0700`.
pub fn format_rfc5322(date: DateTime) -> String {
    format!("{}", date.unix_ms)
}

/// Reads IMAP's date-time without its quotes: `17-Jul-1996 02:44:25 -0700` (RFC 3501 §9).
pub fn parse_internaldate(value: &[u8]) -> Option<DateTime> {
    let _ = value;
    None
}

/// Writes IMAP's date-time without quotes; the day is padded with a space (RFC 3501 §9 date-day-fixed).
pub fn format_internaldate(date: DateTime) -> String {
    format!("{}", date.unix_ms)
}

/// Reads IMAP's date of SEARCH keys, `1-Feb-1994`, as days since 1970-01-01 (quotes already removed).
pub fn parse_search_date(value: &[u8]) -> Option<i64> {
    let _ = value;
    None
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
        (self.unix_ms + i64::from(self.offset_minutes) * 60_000).div_euclid(86_400_000)
    }
}

//! Times of the day and days as people mean them: in the installation's time zone, summer time included.
//! Pure; the time is an argument.

use jiff::tz::TimeZone;
use jiff::{Timestamp as Moment, civil};
use platform::clock::Timestamp;

/// The zone where nobody set one.
pub(crate) const DEFAULT_ZONE: &str = "Europe/Berlin";

/// The time zone with this IANA name.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    // Only names of the database: no paths, no POSIX rules.
    let known = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b));
    known.then(|| TimeZone::get(name).ok()).flatten()
}

/// What calendar and clock in `zone` show at `now`; `None` past the end of the calendar.
pub(crate) fn local(now: Timestamp, zone: &TimeZone) -> Option<civil::DateTime> {
    let moment = Moment::from_millisecond(now.0).ok()?;
    Some(zone.to_datetime(moment))
}

/// The day of `now`, counted from 1970-01-01, as the calendar in `zone` shows it.
pub(crate) fn day(now: Timestamp, zone: &TimeZone) -> i64 {
    let utc = now.0.div_euclid(24 * 3600 * 1000);
    let Ok(moment) = Moment::from_millisecond(now.0) else {
        return utc;
    };
    let offset = i64::from(zone.to_offset(moment).seconds());
    now.seconds().saturating_add(offset).div_euclid(24 * 3600)
}

/// When the day of `now` is over in `zone`.
pub(crate) fn day_end(now: Timestamp, zone: &TimeZone) -> Timestamp {
    let next = local(now, zone).and_then(|here| here.date().tomorrow().ok());
    let midnight = next.and_then(|day| {
        zone.to_timestamp(day.to_datetime(civil::Time::midnight()))
            .ok()
    });
    midnight.map_or_else(
        || Timestamp(now.0.saturating_add(24 * 3600 * 1000)),
        |at| Timestamp(at.as_millisecond()),
    )
}

/// When a window of the day that opens at `from` and closes at `to` (minutes after midnight) lets
/// something through that waits since `now`; `None`: at once.
pub(crate) fn opens_at(from: u16, to: u16, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let here = local(now, zone)?;
    let minute = u16::try_from(i32::from(here.hour()) * 60 + i32::from(here.minute())).ok()?;
    let open = if from < to {
        (from..to).contains(&minute)
    } else {
        minute >= from || minute < to
    };
    if open {
        return None;
    }
    let opening = civil::time(
        i8::try_from(from / 60).ok()?,
        i8::try_from(from % 60).ok()?,
        0,
        0,
    );
    let mut date = here.date();
    if minute >= from {
        date = date.tomorrow().ok()?;
    }
    // In the gap of a summer time change this is the moment after it.
    let moment = zone.to_timestamp(date.to_datetime(opening)).ok()?;
    Some(Timestamp(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<Moment>().unwrap().as_millisecond())
    }

    #[test]
    fn a_window_over_midnight_opens_in_local_time() {
        let berlin = zone("Europe/Berlin").unwrap();
        let night = |now| opens_at(22 * 60, 6 * 60, at(now), &berlin);
        assert_eq!(night("2026-11-22T21:30:00Z"), None, "22:30 in Berlin");
        assert_eq!(night("2026-11-22T04:59:59Z"), None, "05:59 in Berlin");
        assert_eq!(
            night("2026-11-22T05:00:00Z"),
            Some(at("2026-11-22T21:00:00Z"))
        );
        assert_eq!(
            night("2026-07-22T12:00:00Z"),
            Some(at("2026-07-22T20:00:00Z")),
            "summer"
        );
    }

    #[test]
    fn a_window_of_the_day_opens_tomorrow_once_it_closed() {
        let utc = zone("UTC").unwrap();
        let office = |now| opens_at(8 * 60, 17 * 60, at(now), &utc);
        assert_eq!(
            office("2026-11-22T17:00:00Z"),
            Some(at("2026-11-23T08:00:00Z"))
        );
        assert_eq!(
            office("2026-11-22T07:59:00Z"),
            Some(at("2026-11-22T08:00:00Z"))
        );
        assert_eq!(office("2026-11-22T08:00:00Z"), None);
    }

    #[test]
    fn a_missing_hour_and_the_end_of_time_do_no_harm() {
        let berlin = zone("Europe/Berlin").unwrap();
        // 02:30 does not exist on this day.
        let opens = opens_at(150, 160, at("2027-03-28T00:00:00Z"), &berlin);
        assert_eq!(opens, Some(at("2027-03-28T01:30:00Z")));
        for extreme in [i64::MIN, i64::MAX] {
            assert_eq!(opens_at(0, 1, Timestamp(extreme), &berlin), None);
            let _ = day(Timestamp(extreme), &berlin);
        }
    }

    #[test]
    fn days_change_at_local_midnight() {
        let berlin = zone("Europe/Berlin").unwrap();
        let (late, early) = (at("2026-11-22T22:59:59Z"), at("2026-11-22T23:00:00Z"));
        assert_eq!(day(late, &berlin) + 1, day(early, &berlin));
        assert!(zone("../etc/passwd").is_none());
    }
}

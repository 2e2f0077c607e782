//! Schedules as text and as moments: dates of the calendar, summer time, canaries, pauses.

use super::*;
use crate::model::{Sender, Stage};
use directory::AccountId;
use platform::clock::Timestamp;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn berlin() -> Zone {
    Zone::default()
}

fn timeline(text: &str) -> Timeline {
    Timeline::new(&text.parse().unwrap(), &berlin(), "cleartext")
}

fn account(number: i64) -> Sender<'static> {
    Sender {
        account: Some(AccountId(number)),
        domain: "firma.test",
        group: None,
    }
}

fn stage(timeline: &Timeline, now: &str) -> Stage {
    timeline.stage(&account(1), at(now))
}

#[test]
fn what_is_shown_is_what_can_be_typed() {
    for (typed, shown) in [
        ("enforce", "enforce"),
        (
            "observe; 2025-03-01 warn; 2025-03-05 enforce",
            "observe; 2025-03-01 warn; 2025-03-05 enforce",
        ),
        (
            " observe 2025-03-01T06:30 warn,2025-03-05 enforce canary=10 paused=observe ",
            "observe; 2025-03-01T06:30 warn; 2025-03-05 enforce; canary=10%; paused=observe",
        ),
        (
            "warn; paused=off; canary=99%",
            "warn; canary=99%; paused=off",
        ),
    ] {
        let schedule: Schedule = typed.parse().unwrap();
        assert_eq!(schedule.to_string(), shown);
        assert_eq!(shown.parse(), Ok(schedule));
    }
}

#[test]
fn nonsense_is_refused_with_what_can_be_given() {
    let many = (1..30).fold("off".to_owned(), |all, day| {
        format!("{all}; 2025-01-{day:02} warn")
    });
    for typed in [
        "",
        "on",
        "2025-03-05 enforce",
        "observe; warn",
        "observe; 2025-03-05 warn; 2025-03-05 enforce",
        "observe; 2025-03-05 warn; 2025-03-01 enforce",
        "observe; 2025-02-30 warn",
        "observe; 2025-3-05 warn",
        "observe; 2025-03-05T24:00 warn",
        "observe; 2025-03-05T1:00 warn",
        "observe; 99999-03-05 warn",
        "observe; 2025-03-05",
        "observe; 2025-03-05 2025-03-06 warn",
        "enforce; canary=0%",
        "enforce; canary=100%",
        "enforce; paused=enforce",
        "enforce; paused=",
        "canary=10%",
        "observe; +025-03-05 warn",
        many.as_str(),
    ] {
        let why = typed.parse::<Schedule>().unwrap_err();
        assert!(why.len() > 20, "{typed}: {why}");
    }
}

#[test]
fn stages_change_at_local_midnight_also_after_the_clocks_went_forward() {
    // S1-01: 5 March is winter time, S0-02: 16 September summer time.
    let march = timeline("warn; 2025-03-05 enforce");
    assert_eq!(stage(&march, "2025-03-04T22:59:59.999Z"), Stage::Warn);
    assert_eq!(stage(&march, "2025-03-04T23:00:00Z"), Stage::Enforce);
    let september = timeline("observe; 2020-09-16 warn; 2020-09-29 enforce");
    assert_eq!(stage(&september, "2020-09-15T21:59:59Z"), Stage::Observe);
    assert_eq!(stage(&september, "2020-09-15T22:00:00Z"), Stage::Warn);
    assert_eq!(stage(&september, "2020-09-28T22:00:00Z"), Stage::Enforce);
}

#[test]
fn an_hour_that_is_missing_or_there_twice_has_one_beginning() {
    // 02:30 does not exist on 28 March 2027 and is there twice on 31 October 2027.
    let missing = timeline("off; 2027-03-28T02:30 enforce");
    assert_eq!(stage(&missing, "2027-03-28T01:29:59Z"), Stage::Off);
    assert_eq!(stage(&missing, "2027-03-28T01:30:00Z"), Stage::Enforce);
    let twice = timeline("off; 2027-10-31T02:30 enforce");
    assert_eq!(stage(&twice, "2027-10-31T00:29:59Z"), Stage::Off);
    assert_eq!(stage(&twice, "2027-10-31T00:30:00Z"), Stage::Enforce);
    for extreme in [i64::MIN, i64::MAX] {
        let stage = missing.stage(&account(1), Timestamp(extreme));
        assert_eq!(stage == Stage::Enforce, extreme > 0);
    }
}

#[test]
fn a_day_until_which_something_is_allowed_counts_as_a_whole() {
    let zone = berlin();
    let end = |text: &str| zone.end(text.parse().unwrap());
    assert_eq!(end("2025-05-30"), at("2025-05-30T22:00:00Z"));
    assert_eq!(end("2025-05-30T12:00"), at("2025-05-30T10:00:00Z"));
    assert_eq!(end("2025-12-31"), at("2025-12-31T23:00:00Z"));
}

#[test]
fn a_pause_holds_whatever_the_dates_say() {
    let paused = timeline("warn; 2025-03-05 enforce; paused=observe");
    for now in ["2025-03-01T00:00:00Z", "2026-03-01T00:00:00Z"] {
        assert_eq!(stage(&paused, now), Stage::Observe);
    }
    assert_eq!(paused.changes().count(), 0);
}

#[test]
fn a_canary_is_a_share_of_accounts_that_grows_without_losing_anybody() {
    let of = |text: &str, salt: &str| Timeline::new(&text.parse().unwrap(), &berlin(), salt);
    let chosen = |timeline: &Timeline| -> Vec<i64> {
        let now = at("2026-01-01T00:00:00Z");
        let enforced = |n: &i64| timeline.stage(&account(*n), now) == Stage::Enforce;
        (0..10_000).filter(enforced).collect()
    };
    let ten = chosen(&of("warn; 2025-03-05 enforce; canary=10%", "cleartext"));
    assert!((900..1100).contains(&ten.len()), "{}", ten.len());
    assert_eq!(
        ten.iter().take(5).collect::<Vec<_>>(),
        [&5, &21, &31, &36, &59],
        "the same in every version: nobody is chosen and let go by an update"
    );
    let twenty = chosen(&of("warn; 2025-03-05 enforce; canary=20%", "cleartext"));
    assert!(ten.iter().all(|n| twenty.contains(n)));
    let other = chosen(&of("warn; 2025-03-05 enforce; canary=10%", "tls-version"));
    let both = ten.iter().filter(|n| other.contains(n)).count();
    assert!(both < 300, "{both}: another measure has other canaries");

    let early = of("warn; 2025-03-05 enforce; canary=10%", "cleartext");
    let before = at("2025-03-01T00:00:00Z");
    assert!((0..100).all(|n| early.stage(&account(n), before) == Stage::Warn));
    let single = of("enforce; canary=10%", "cleartext");
    let not = (0..).find(|n| !ten.contains(n)).unwrap();
    assert_eq!(single.stage(&account(not), before), Stage::Warn);
}

#[test]
fn nobody_without_a_name_is_a_canary() {
    let single = timeline("enforce; canary=99%");
    let nobody = Sender {
        account: None,
        domain: "",
        group: None,
    };
    assert_eq!(single.stage(&nobody, Timestamp(0)), Stage::Warn);
}

#[test]
fn measures_are_found_by_their_words() {
    for measure in Measure::built_in().chain([Measure::Rule("no-exe".into())]) {
        assert_eq!(Measure::from_word(&measure.to_string()), Some(measure));
    }
    assert_eq!(
        Measure::from_word("tls-version/imap").unwrap().to_string(),
        "tls-version/imap"
    );
    for word in [
        "",
        "cleartext",
        "cleartext/",
        "cleartext/smtp",
        "rule",
        "rule/",
        "rule/a\nb",
        "sender-ownership/imap",
    ] {
        assert_eq!(Measure::from_word(word), None, "{word}");
    }
    for (n, service) in Service::ALL.into_iter().enumerate() {
        assert_eq!(service as usize, n);
    }
}

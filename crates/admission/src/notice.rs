//! What an account is told at a login that a measure would refuse soon: one line, English and German, with
//! the day and where help is; and whether it was told today. Pure but for that memory.

use crate::outcome::Repeated;
use directory::AccountId;
use platform::clock::Timestamp;
use policy::{Door, Legacy, LocalTime, Measure, Sender, Snapshot, Stage};
use std::collections::HashMap;
use std::sync::Mutex;

/// Accounts of which it is remembered that they were told today; when full, all are forgotten, and some
/// are told twice.
const REMEMBERED_MAX: usize = 100_000;

/// The last moment before the measure refuses, as the calendar says it; `None` where no day is set.
pub(crate) fn ends(
    policy: &Snapshot,
    door: Door,
    sender: &Sender<'_>,
    measure: &Measure,
    now: Timestamp,
) -> Option<LocalTime> {
    if door == Door::Legacy {
        return match policy.legacy(sender, now) {
            Legacy::Until { end, .. } => policy.zone().local(end),
            Legacy::Off | Legacy::Forbidden => None,
        };
    }
    let steps = policy.steps(measure, sender, now).value;
    let enforced = steps
        .iter()
        .find(|step| step.stage == Stage::Enforce && step.from.is_some_and(|from| from > now))?;
    enforced.written
}

/// One line of ASCII without codes, the page that helps at its end.
pub(crate) fn text(measure: &Measure, from: Option<LocalTime>, help: &str) -> String {
    let (english, german, page) = match measure {
        Measure::Cleartext(_) => (
            "Your mail program logs in without encryption; others can read your password.",
            "Ihr Mailprogramm meldet sich unverschluesselt an; andere koennen Ihr Passwort mitlesen.",
            "cleartext",
        ),
        _ => (
            "Your mail program or device uses an outdated TLS version.",
            "Ihr Mailprogramm oder Geraet nutzt eine veraltete TLS-Version.",
            "tls",
        ),
    };
    let (from_english, from_german) = match from {
        Some(day) => (
            format!("From {day} on this is refused."),
            format!("Ab {day} wird das abgelehnt."),
        ),
        None => (
            "This will be refused soon.".to_owned(),
            "Das wird bald abgelehnt.".to_owned(),
        ),
    };
    format!("{english} {from_english} {german} {from_german} Help: {help}{page}")
}

/// Which accounts were told today.
#[derive(Debug, Default)]
pub(crate) struct ToldToday {
    told: Mutex<HashMap<AccountId, i64>>,
}

impl ToldToday {
    /// Remembers that `account` is told on `day`, and says whether it was before.
    pub(crate) fn tell(&self, account: AccountId, day: i64) -> Repeated {
        let mut told = self.told.lock().unwrap_or_else(|e| e.into_inner());
        if told.len() >= REMEMBERED_MAX {
            told.clear();
        }
        match told.insert(account, day) {
            Some(last) if last == day => Repeated::ToldToday,
            _ => Repeated::FirstToday,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Service;

    #[test]
    fn an_account_is_told_once_a_day() {
        let told = ToldToday::default();
        let (anna, bernd) = (AccountId(1), AccountId(2));
        assert_eq!(told.tell(anna, 7), Repeated::FirstToday);
        assert_eq!(told.tell(anna, 7), Repeated::ToldToday);
        assert_eq!(told.tell(bernd, 7), Repeated::FirstToday);
        assert_eq!(told.tell(anna, 8), Repeated::FirstToday);
    }

    #[test]
    fn a_text_is_one_line_of_ascii_and_ends_with_the_page() {
        for measure in [
            Measure::Cleartext(Service::Imap),
            Measure::TlsVersion(Service::Pop3),
        ] {
            let text = text(&measure, None, "https://help.test/");
            assert!(text.is_ascii() && !text.contains(['\r', '\n']), "{text}");
            assert!(text.contains(" Help: https://help.test/"), "{text}");
        }
    }
}

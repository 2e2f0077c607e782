//! The built-in texts (`texts/*.toml`), and how one is said: by a provider, in a language, with what a rollout
//! says differently. Pure; `compose`, `page` and `preview` use it.

use crate::fill::{FillError, Values, fill};
use crate::model::{LocalDate, TextSet};
use crate::voice::{Gender, Voice};
use formats::language::Language;
use jiff::civil::Date;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

type Table = BTreeMap<String, String>;

static GERMAN: LazyLock<Table> = LazyLock::new(|| table(include_str!("../texts/de.toml")));
static ENGLISH: LazyLock<Table> = LazyLock::new(|| table(include_str!("../texts/en.toml")));

/// Months, for dates in texts.
const GERMAN_MONTHS: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];
const ENGLISH_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The keys with dots of a file. An empty table where it cannot be read; a test reads both files.
fn table(text: &str) -> Table {
    let mut table = Table::new();
    if let Ok(read) = text.parse::<toml::Table>() {
        flatten(&read, String::new(), &mut table);
    }
    table
}

fn flatten(from: &toml::Table, prefix: String, into: &mut Table) {
    for (key, value) in from {
        let name = match prefix.as_str() {
            "" => key.clone(),
            _ => format!("{prefix}.{key}"),
        };
        match value {
            toml::Value::Table(inner) => flatten(inner, name, into),
            toml::Value::String(text) => {
                into.insert(name, text.clone());
            }
            _ => {}
        }
    }
}

fn built_in(language: Language) -> &'static Table {
    match language {
        Language::German => &GERMAN,
        Language::English => &ENGLISH,
    }
}

/// Whether a built-in text has this name, so that a rollout may say it differently.
pub fn is_text(key: &str) -> bool {
    GERMAN.contains_key(key)
}

/// A date as people read it.
pub fn date(day: Date, language: Language) -> String {
    let month = usize::try_from(day.month()).unwrap_or(1).saturating_sub(1);
    match language {
        Language::German => format!(
            "{}. {} {}",
            day.day(),
            GERMAN_MONTHS.get(month).unwrap_or(&""),
            day.year()
        ),
        Language::English => format!(
            "{} {} {}",
            day.day(),
            ENGLISH_MONTHS.get(month).unwrap_or(&""),
            day.year()
        ),
    }
}

/// A date, with its time of the day where one is named.
pub fn moment(at: LocalDate, language: Language) -> String {
    let day = date(at.day, language);
    match (at.time, language) {
        (None, _) => day,
        (Some(time), Language::German) => {
            format!("{day}, {:02}:{:02} Uhr", time.hour(), time.minute())
        }
        (Some(time), Language::English) => {
            format!("{day}, {:02}:{:02}", time.hour(), time.minute())
        }
    }
}

/// A day counted from 1970-01-01.
pub fn epoch_day(day: i64) -> Date {
    let start = Date::constant(1970, 1, 1);
    let days = i32::try_from(day).unwrap_or_default();
    start
        .checked_add(jiff::Span::new().days(days))
        .unwrap_or(start)
}

/// Somebody who says texts.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'s> {
    /// How the provider speaks.
    pub voice: &'s Voice,
    /// In which language.
    pub language: Language,
    /// What a rollout says differently.
    pub own: Option<&'s TextSet>,
}

impl<'s> Speaker<'s> {
    /// The template with this name: the rollout's, else the built-in one. An unknown name is empty, which
    /// no built-in text is.
    pub fn template(&self, key: &str) -> &'s str {
        let own = self.own.and_then(|own| own.wording.get(key));
        let text = own.or_else(|| built_in(self.language).get(key));
        text.map_or("", |text| text.trim_end_matches('\n'))
    }

    /// Says a text.
    ///
    /// # Errors
    /// Where it names something that is not known.
    pub fn say(&self, key: &str, with: &Values<'_>) -> Result<String, FillError> {
        self.say_text(self.template(key), with)
    }

    /// Says a text without values of its own.
    ///
    /// # Errors
    /// As `say`.
    pub fn plain(&self, key: &str) -> Result<String, FillError> {
        self.say(key, &Values::new())
    }

    /// Says a template that somebody wrote.
    ///
    /// # Errors
    /// As `say`.
    pub fn say_text(&self, template: &str, with: &Values<'_>) -> Result<String, FillError> {
        let mut values = self.values();
        for (name, value) in with {
            values.insert(name, Cow::Borrowed(value.as_ref()));
        }
        fill(template, &values, self.voice.address)
    }

    /// What every text may name.
    fn values(&self) -> Values<'_> {
        let voice = self.voice;
        let customers = match voice.gender {
            Gender::Pair => "customers.pair",
            Gender::Colon => "customers.colon",
        };
        let text = |value: &'s str| Cow::Borrowed(value);
        Values::from([
            ("provider", text(&voice.provider)),
            ("phone", text(&voice.phone)),
            ("hours", text(&voice.hours)),
            ("remote_help", text(&voice.remote_help)),
            ("site", text(&voice.site)),
            ("imap_host", text(&voice.imap_host)),
            ("pop3_host", text(&voice.pop3_host)),
            ("smtp_host", text(&voice.smtp_host)),
            ("legacy_hosts", Cow::Owned(self.legacy_hosts())),
            ("customers", text(self.template(customers))),
        ])
    }

    fn legacy_hosts(&self) -> String {
        let voice = self.voice;
        [
            &voice.legacy_imap_host,
            &voice.legacy_pop3_host,
            &voice.legacy_smtp_host,
        ]
        .map(String::as_str)
        .join(", ")
    }

    /// Whom to ask (S1-36): telephone, hours, remote help; the site where nothing of that is set.
    ///
    /// # Errors
    /// As `say`.
    pub fn support(&self) -> Result<Vec<String>, FillError> {
        let mut lines = vec![self.plain("support.intro")?];
        let voice = self.voice;
        match (voice.phone.as_str(), voice.hours.as_str()) {
            ("", _) => {}
            (_, "") => lines.push(self.plain("support.phone")?),
            _ => lines.push(self.plain("support.phone_hours")?),
        }
        if !voice.remote_help.is_empty() {
            lines.push(self.plain("support.remote")?);
        }
        if lines.len() == 1 {
            lines.push(self.plain("support.page")?);
        }
        Ok(lines)
    }

    /// A date as people read it.
    pub fn date(&self, at: LocalDate) -> String {
        moment(at, self.language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_texts_and_none_is_empty() {
        let keys = |language| built_in(language).keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(Language::German), keys(Language::English));
        assert!(keys(Language::German).len() > 60);
        for language in [Language::German, Language::English] {
            for (key, text) in built_in(language) {
                assert!(!text.trim().is_empty(), "{key}");
            }
        }
    }

    #[test]
    fn support_changes_in_one_place() {
        let mut voice = Voice::of_host("mx.provider.test");
        let speaker = |voice: &Voice| {
            let speaker = Speaker {
                voice,
                language: Language::English,
                own: None,
            };
            speaker.support().unwrap().join("\n")
        };
        assert!(speaker(&voice).contains("https://mx.provider.test/"));
        voice.phone = "030 123".into();
        assert!(speaker(&voice).ends_with("Telephone: 030 123"));
        voice.hours = "Mo-Fr 9-17".into();
        voice.remote_help = "https://help.test/".into();
        let text = speaker(&voice);
        assert!(text.contains("030 123 (Mo-Fr 9-17)") && text.ends_with("https://help.test/"));
    }

    #[test]
    fn dates_are_said_as_people_read_them() {
        assert_eq!(
            moment("2025-03-05".parse().unwrap(), Language::German),
            "5. März 2025"
        );
        assert_eq!(
            moment("2025-03-05T08:30".parse().unwrap(), Language::English),
            "5 March 2025, 08:30"
        );
        assert_eq!(epoch_day(20_000), Date::constant(2024, 10, 4));
    }
}

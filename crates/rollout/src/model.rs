//! What a rollout is: its steps with their dates, the plan of its rounds, its texts. Plain data, written and
//! read as TOML; `check` says what is wrong with one. Dates are local to the installation's time zone.

use jiff::civil;
use policy::{Measure, Stage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A local date, or date and time; `2025-03-05` or `2025-03-05T08:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDate {
    /// The day.
    pub day: civil::Date,
    /// The time of the day, where one was given.
    pub time: Option<civil::Time>,
}

impl LocalDate {
    /// As a date and time; `otherwise` where only the day was given.
    pub fn at(self, otherwise: civil::Time) -> civil::DateTime {
        self.day.to_datetime(self.time.unwrap_or(otherwise))
    }
}

impl fmt::Display for LocalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.day.fmt(f)?;
        match self.time {
            Some(time) => write!(f, "T{:02}:{:02}", time.hour(), time.minute()),
            None => Ok(()),
        }
    }
}

impl FromStr for LocalDate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("\"{text}\" is no date; examples are 2025-03-05 and 2025-03-05T08:00");
        let (day, time) = match text.split_once('T') {
            Some((day, time)) => (day, Some(time)),
            None => (text, None),
        };
        let fits = day.len() == 10 && time.is_none_or(|time| time.len() == 5);
        if !fits {
            return Err(wrong());
        }
        Ok(Self {
            day: day.parse().map_err(|_| wrong())?,
            time: time
                .map(str::parse)
                .transpose()
                .map_err(|_: jiff::Error| wrong())?,
        })
    }
}

impl Serialize for LocalDate {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalDate {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How far a rollout is.
///
/// ```text
///  Draft --announce--> Announced --start--> Running <--resume/pause--> Paused
///                                              |  \                       |
///                                             end  rollback <-------------+
///                                              v        v
///                                            Done   RolledBack
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nobody sees it.
    Draft,
    /// Its page is public; nothing is set, no letters but the newsletter's.
    Announced,
    /// Its schedules are set, its rounds go out.
    Running,
    /// Its schedules hold at observe, no letters go out.
    Paused,
    /// It is over; what it set stays.
    Done,
    /// What it set was taken back.
    RolledBack,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Draft,
        Self::Announced,
        Self::Running,
        Self::Paused,
        Self::Done,
        Self::RolledBack,
    ];

    /// The word in the store and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Announced => "announced",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::RolledBack => "rolled-back",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether a rollout in this state may go on to `next`.
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Draft, Self::Announced)
                | (Self::Announced, Self::Running | Self::RolledBack)
                | (Self::Running, Self::Paused | Self::Done | Self::RolledBack)
                | (Self::Paused, Self::Running | Self::RolledBack)
                | (Self::Done, Self::RolledBack)
        )
    }
}

mod measure_word {
    use policy::Measure;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(measure: &Measure, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(measure)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Measure, D::Error> {
        let word = String::deserialize(from)?;
        Measure::from_word(&word).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "\"{word}\" is no measure; examples are tls-version/imap, cleartext/submission and \
                 sender-ownership"
            ))
        })
    }
}

mod stage_word {
    use policy::Stage;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(stage: &Stage, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(stage.word())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Stage, D::Error> {
        let word = String::deserialize(from)?;
        Stage::from_word(&word).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "\"{word}\" is no stage; give off, observe, warn or enforce"
            ))
        })
    }
}

/// Who may know of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// It stands on the page and in letters.
    #[default]
    Public,
    /// Only operators see it.
    Internal,
}

/// One measure reaching one stage on one date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Such as `tls-version/imap` or `cleartext/imap`.
    #[serde(with = "measure_word")]
    pub measure: Measure,
    /// What is demanded, where the measure has a choice (`1.2` or `1.3` of `tls-version`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// How far it is from then on.
    #[serde(with = "stage_word")]
    pub stage: Stage,
    /// From when on; the beginning of that day where no time is given.
    pub date: LocalDate,
    /// Who may know of it.
    #[serde(default)]
    pub visibility: Visibility,
}

/// What goes on working at the legacy hosts, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Legacy {
    /// The last day; or the last moment, where a time is given.
    pub until: LocalDate,
    /// TLS versions that are taken there beside the new ones: `1.0`, `1.1`.
    #[serde(default)]
    pub tls: Vec<String>,
    /// Whether logins in clear are taken there.
    #[serde(default)]
    pub cleartext: bool,
}

/// When letters go out. Nothing given: none do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rounds {
    /// Round 0: the newsletter to the whole audience.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newsletter: Option<LocalDate>,
    /// Round 1: letters to those whom it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<LocalDate>,
    /// Days between two rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_days: Option<u16>,
    /// No round begins after this day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LocalDate>,
    /// How many days back a sighting still makes an account one that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look_back_days: Option<u16>,
}

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts<T> {
    /// German.
    pub de: T,
    /// English.
    pub en: T,
}

impl<T> Texts<T> {
    /// That of one language.
    pub fn of(&self, language: formats::language::Language) -> &T {
        match language {
            formats::language::Language::German => &self.de,
            formats::language::Language::English => &self.en,
        }
    }
}

/// The four parts of an announcement. An empty part is made of the built-in text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextSet {
    /// Why it is done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What it means for the reader.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub means: String,
    /// What holds until when.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub transition: String,
    /// What is behind it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub background: String,
    /// Built-in texts that this rollout says differently, such as `letter.round.body`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub wording: BTreeMap<String, String>,
}

/// Something operators wrote down for themselves, such as what other providers do. Never published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Where it was found.
    pub source: String,
    /// On which day.
    pub seen: LocalDate,
    /// What was found.
    pub note: String,
}

/// A rollout as operators write it. Its state is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Its name in addresses of pages and on the command line: lower-case letters, digits, hyphens.
    pub slug: String,
    /// Its title.
    pub title: Texts<String>,
    /// Why, for the history of settings; operators only.
    pub reason: String,
    /// The day its texts were last true; shown on the page.
    pub as_of: LocalDate,
    /// Whom it concerns: `installation`, or groups, domains and accounts as the CLI names scopes.
    pub audience: Vec<String>,
    /// The last stage holds for that many of a hundred accounts only, always the same ones; 1 to 99.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<u8>,
    /// Plan of its rounds.
    #[serde(default)]
    pub rounds: Rounds,
    /// What goes on at the legacy hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<Legacy>,
    /// Its texts.
    #[serde(default)]
    pub texts: Texts<TextSet>,
    /// Measures reaching stages.
    pub steps: Vec<Step>,
    /// For operators only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

//! One entry of the catalogue as it is written in TOML: what a client is, how it shows itself, what its versions can.
//! Reading refuses what it does not know, with an example. Used for the data in `clients/` and for operators' own.

use super::pattern::Pattern;
use super::{Class, Platform, TlsAbility};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Longest name, vendor, identifier or label, in bytes.
const TEXT_BYTES_MAX: usize = 60;
/// Patterns of one kind in one entry.
const PATTERNS_MAX: usize = 40;
/// Versions of one entry.
const VERSIONS_MAX: usize = 60;
/// Longest identifier that goes into a key, in bytes.
const ID_BYTES_MAX: usize = 32;
/// Of `version-from`.
const SYSTEM: &str = "system";

/// The label of versions that are called by their first number.
pub const MAJOR: &str = "{major}";

/// Shown with every error.
const EXAMPLE: &str = r#"[[client]]
id = "label-printer"
name = "Muster label printer"
vendor = "Muster"
class = "printer"
platform = "device"
guide = "printer"
newest-tls = "1.0"
mailer = ["MusterMailer {version}"]
hello = ["MLP{hex:6}"]

[[client.version]]
label = "firmware 3"
is = ["3..4"]
newest-tls = "1.2"
support-ended = "2022-12-31"
"#;

/// A client, as the catalogue knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its identifier: the first part of every key. Lower-case letters, digits and hyphens.
    pub id: Arc<str>,
    /// As people call it.
    pub name: Arc<str>,
    /// Who makes it; empty where nobody does.
    pub vendor: Box<str>,
    /// What kind of thing it is.
    pub class: Class,
    /// Where it runs, where that is always the same.
    pub platform: Platform,
    /// The guide for it.
    pub guide: Arc<str>,
    /// The newest TLS of versions that are not listed.
    pub newest_tls: Option<TlsAbility>,
    /// Which version of the IMAP command ID tells what it can.
    pub version_from: VersionFrom,
    /// Its names in the IMAP command ID.
    pub imap_id: Vec<Pattern>,
    /// Its X-Mailer and User-Agent.
    pub mailer: Vec<Pattern>,
    /// What it says with EHLO.
    pub hello: Vec<Pattern>,
    /// Fingerprints of its ClientHello, as `platform::tls` writes them.
    pub fingerprint: Vec<Pattern>,
    /// Its versions, oldest first.
    pub versions: Vec<Version>,
}

/// Where the version of an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VersionFrom {
    /// The program: its field `version`.
    #[default]
    Program,
    /// The system it runs on, whose TLS it uses: its field `os`.
    System,
}

/// Versions that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As people call it: "2010"; `MAJOR` where that is the first number.
    pub label: Arc<str>,
    /// The numbers the client itself gives, from (included) to (excluded).
    pub ranges: Vec<(Number, Number)>,
    /// Fingerprints only these versions have.
    pub fingerprint: Vec<Pattern>,
    /// The newest TLS it speaks as installed.
    pub newest_tls: Option<TlsAbility>,
    /// The newest TLS it speaks after an update or a setting the guide tells of.
    pub updated_tls: Option<TlsAbility>,
    /// The last day of the vendor's support, `2020-10-13`.
    pub support_ended: Option<Box<str>>,
    /// A guide of its own.
    pub guide: Option<Arc<str>>,
}

/// The first numbers of a version: `14.0.7` is 14, 0, 7; what is missing is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub [u32; 3]);

impl Number {
    /// Reads leading numbers; letters end them, so that Apple's build `13G36` is 13.
    pub fn parse(text: &str) -> Option<Self> {
        let mut number = [0; 3];
        for (index, (slot, part)) in number.iter_mut().zip(text.split('.')).enumerate() {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            match part.get(..digits).map(str::parse) {
                Some(Ok(value)) => *slot = value,
                _ if index == 0 => return None,
                _ => break,
            }
            if digits < part.len() {
                break;
            }
        }
        Some(Self(number))
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [a, 0, 0] => write!(f, "{a}"),
            [a, b, 0] => write!(f, "{a}.{b}"),
            [a, b, c] => write!(f, "{a}.{b}.{c}"),
        }
    }
}

impl Entry {
    /// The versions a number belongs to.
    pub fn version_of(&self, number: Number) -> Option<&Version> {
        self.versions.iter().find(|version| {
            version
                .ranges
                .iter()
                .any(|(from, below)| *from <= number && number < *below)
        })
    }

    /// The version people call so.
    pub fn version_labelled(&self, label: &str) -> Option<&Version> {
        self.versions
            .iter()
            .find(|version| version.label.as_ref() == label)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    client: Vec<RawEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawEntry {
    id: String,
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    vendor: String,
    class: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    guide: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest_tls: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version_from: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    imap_id: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mailer: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hello: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fingerprint: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    version: Vec<RawVersion>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawVersion {
    label: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    is: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fingerprint: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest_tls: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_tls: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    support_ended: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guide: Option<String>,
}

/// Reads entries from TOML.
///
/// # Errors
/// What is wrong and where, with an example; for an operator.
pub fn parse(text: &str) -> Result<Vec<Entry>, String> {
    read(text).map_err(|problem| {
        format!(
            "{}\n\nEntries of the catalogue look like this:\n\n{EXAMPLE}",
            problem.trim_end()
        )
    })
}

fn read(text: &str) -> Result<Vec<Entry>, String> {
    let raw: RawFile = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut entries: Vec<Entry> = Vec::with_capacity(raw.client.len());
    for client in raw.client {
        let id = client.id.clone();
        let entry = entry(client).map_err(|problem| format!("client \"{id}\": {problem}"))?;
        if entries.iter().any(|known| known.id == entry.id) {
            return Err(format!("client \"{id}\" stands here a second time"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The entries as TOML; `parse` reads it again.
pub fn write<'e>(entries: impl Iterator<Item = &'e Entry>) -> String {
    let raw = RawFile {
        client: entries.map(raw_entry).collect(),
    };
    // Strings and lists always have a TOML form.
    toml::to_string(&raw).unwrap_or_default()
}

fn raw_entry(entry: &Entry) -> RawEntry {
    let texts = |patterns: &[Pattern]| patterns.iter().map(|p| p.as_str().to_owned()).collect();
    let tls = |ability: Option<TlsAbility>| ability.map(|tls| tls.word().to_owned());
    RawEntry {
        id: entry.id.to_string(),
        name: entry.name.to_string(),
        vendor: entry.vendor.to_string(),
        class: entry.class.word().to_owned(),
        platform: (entry.platform != Platform::Any).then(|| entry.platform.word().to_owned()),
        guide: entry.guide.to_string(),
        newest_tls: tls(entry.newest_tls),
        version_from: (entry.version_from == VersionFrom::System).then(|| SYSTEM.to_owned()),
        imap_id: texts(&entry.imap_id),
        mailer: texts(&entry.mailer),
        hello: texts(&entry.hello),
        fingerprint: texts(&entry.fingerprint),
        version: entry
            .versions
            .iter()
            .map(|version| RawVersion {
                label: version.label.to_string(),
                is: version
                    .ranges
                    .iter()
                    .map(|(from, below)| format!("{from}..{below}"))
                    .collect(),
                fingerprint: texts(&version.fingerprint),
                newest_tls: tls(version.newest_tls),
                updated_tls: tls(version.updated_tls),
                support_ended: version.support_ended.as_deref().map(str::to_owned),
                guide: version.guide.as_deref().map(str::to_owned),
            })
            .collect(),
    }
}

fn entry(raw: RawEntry) -> Result<Entry, String> {
    identifier("id", &raw.id)?;
    identifier("guide", &raw.guide)?;
    named("name", &raw.name)?;
    if raw.vendor.len() > TEXT_BYTES_MAX {
        return Err(format!("vendor has at most {TEXT_BYTES_MAX} bytes"));
    }
    if raw.id == super::UNKNOWN {
        return Err("\"unknown\" means that nobody knows; choose another id".to_owned());
    }
    if raw.version.len() > VERSIONS_MAX {
        return Err(format!("it has at most {VERSIONS_MAX} versions"));
    }
    let platform = match raw.platform {
        None => Platform::Any,
        Some(word) => Platform::from_word(&word).ok_or_else(|| {
            format!(
                "platform is one of {}",
                words(Platform::ALL, Platform::word)
            )
        })?,
    };
    Ok(Entry {
        class: Class::from_word(&raw.class)
            .ok_or_else(|| format!("class is one of {}", words(Class::ALL, Class::word)))?,
        platform,
        newest_tls: ability(raw.newest_tls.as_deref())?,
        version_from: match raw.version_from.as_deref() {
            None => VersionFrom::Program,
            Some(SYSTEM) => VersionFrom::System,
            Some(_) => return Err(format!("version-from is \"{SYSTEM}\" or left out")),
        },
        imap_id: patterns(&raw.imap_id)?,
        mailer: patterns(&raw.mailer)?,
        hello: patterns(&raw.hello)?,
        fingerprint: patterns(&raw.fingerprint)?,
        versions: raw
            .version
            .into_iter()
            .map(version)
            .collect::<Result<_, _>>()?,
        id: raw.id.into(),
        name: raw.name.into(),
        vendor: raw.vendor.into(),
        guide: raw.guide.into(),
    })
}

fn version(raw: RawVersion) -> Result<Version, String> {
    named("label", &raw.label)?;
    if raw.label.contains(['/', '?']) {
        return Err("a label has neither / nor ?, which divide the parts of a key".to_owned());
    }
    if let Some(guide) = &raw.guide {
        identifier("guide", guide)?;
    }
    if let Some(day) = &raw.support_ended {
        day.parse::<jiff::civil::Date>()
            .map_err(|_| format!("support-ended is a day such as 2020-10-13, not \"{day}\""))?;
    }
    let ranges = raw.is.iter().map(|text| range(text));
    Ok(Version {
        ranges: ranges.collect::<Result<_, _>>()?,
        fingerprint: patterns(&raw.fingerprint)?,
        newest_tls: ability(raw.newest_tls.as_deref())?,
        updated_tls: ability(raw.updated_tls.as_deref())?,
        support_ended: raw.support_ended.map(Box::from),
        guide: raw.guide.map(Arc::from),
        label: raw.label.into(),
    })
}

fn range(text: &str) -> Result<(Number, Number), String> {
    text.split_once("..")
        .and_then(|(from, below)| Some((Number::parse(from)?, Number::parse(below)?)))
        .filter(|(from, below)| from < below)
        .ok_or_else(|| format!("\"{text}\" is no range; 14..15 means 14.0 and all before 15"))
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>, String> {
    if texts.len() > PATTERNS_MAX {
        return Err(format!("it has at most {PATTERNS_MAX} patterns of a kind"));
    }
    texts.iter().map(|text| Pattern::parse(text)).collect()
}

fn ability(word: Option<&str>) -> Result<Option<TlsAbility>, String> {
    word.map(|word| {
        TlsAbility::from_word(word).ok_or_else(|| {
            format!(
                "newest TLS is one of {}",
                words(TlsAbility::ALL, TlsAbility::word)
            )
        })
    })
    .transpose()
}

fn identifier(what: &str, text: &str) -> Result<(), String> {
    let fits = (1..=ID_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    fits.then_some(()).ok_or_else(|| {
        format!(
            "{what} has 1 to {ID_BYTES_MAX} lower-case letters, digits and hyphens, not \"{text}\""
        )
    })
}

fn named(what: &str, text: &str) -> Result<(), String> {
    let fits = (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then_some(())
        .ok_or_else(|| format!("{what} has 1 to {TEXT_BYTES_MAX} bytes on one line"))
}

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> String {
    let words: Vec<_> = all.iter().map(|one| word(*one)).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_right_and_survives_its_text() {
        let entries = parse(EXAMPLE).unwrap();
        let again = parse(&write(entries.iter())).unwrap();
        assert_eq!(entries, again);
        let version = entries[0].version_of(Number::parse("3.1").unwrap());
        assert_eq!(version.unwrap().label.as_ref(), "firmware 3");
        assert_eq!(entries[0].version_of(Number::parse("4").unwrap()), None);
    }

    #[test]
    fn a_mistake_is_named_with_its_entry() {
        for (from, to, says) in [
            (
                "class = \"printer\"",
                "class = \"toaster\"",
                "class is one of",
            ),
            ("\"3..4\"", "\"4..3\"", "no range"),
            ("2022-12-31", "soon", "support-ended"),
            ("newest-tls = \"1.0\"", "newest-tls = \"9\"", "newest TLS"),
            ("id = \"label-printer\"", "id = \"unknown\"", "nobody knows"),
            ("vendor", "vendors", "unknown field"),
        ] {
            let problem = parse(&EXAMPLE.replacen(from, to, 1)).unwrap_err();
            assert!(problem.contains(says), "{problem}");
            assert!(problem.contains("look like this"), "{problem}");
        }
    }

    #[test]
    fn numbers_compare_as_numbers() {
        let number = |text| Number::parse(text).unwrap();
        assert!(number("9.1") < number("10"));
        assert_eq!(number("13G36"), number("13"));
        assert_eq!(number("2.1878.6"), Number([2, 1878, 6]));
        assert_eq!(Number::parse("Mail"), None);
        assert_eq!(Number::parse("99999999999"), None);
    }
}

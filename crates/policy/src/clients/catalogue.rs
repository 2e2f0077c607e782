//! The catalogue and the recognition by it. Pure but for a small memory of what was recognised before, because the same
//! programs connect all day. Made by `Policies` from the built-in data and the operator's entries.

use super::entry::{self, Entry, MAJOR, Number, Version, VersionFrom};
use super::pattern::{Pattern, cut};
use super::{Confidence, Hints, Platform, Recognised};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::sync::{Arc, LazyLock, Mutex};

/// Recognitions remembered; when full, all are forgotten, which costs some microseconds each.
const REMEMBERED_MAX: usize = 4096;

/// The data that comes with the program, a file per kind of client.
pub(super) const BUILT_IN: &[&str] = &[
    include_str!("../../clients/mail-programs.toml"),
    include_str!("../../clients/phones.toml"),
    include_str!("../../clients/devices.toml"),
    include_str!("../../clients/programs.toml"),
];

/// What is known about clients.
#[derive(Debug)]
pub struct Catalogue {
    /// Operators' entries first: they go before ours.
    entries: Vec<Entry>,
    /// How many of them are the operator's.
    own: usize,
    remembered: Mutex<HashMap<u128, Recognised>>,
    /// Unforeseeable, so that no client finds two hints that count as one.
    hashers: (RandomState, RandomState),
}

impl Catalogue {
    /// The catalogue with an operator's `own` entries; one with the id of a built-in entry replaces it.
    pub fn new(own: Vec<Entry>) -> Self {
        let mut entries = own;
        let own = entries.len();
        for entry in built_in() {
            if !entries.iter().any(|known| known.id == entry.id) {
                entries.push(entry.clone());
            }
        }
        Self {
            entries,
            own,
            remembered: Mutex::default(),
            hashers: Default::default(),
        }
    }

    /// Whether both know the same.
    pub(crate) fn has_same_entries(&self, other: &Self) -> bool {
        self.entries == other.entries
    }

    /// Every entry; those of the operator come first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Whether an entry is the operator's.
    pub fn is_own(&self, id: &str) -> bool {
        let mut own = self.entries.iter().take(self.own);
        own.any(|entry| entry.id.as_ref() == id)
    }

    /// The entry with this identifier.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id.as_ref() == id)
    }

    /// Who shows these hints. Pure and bounded; asked at each login. Who is known from before costs less than a
    /// microsecond.
    pub fn recognise(&self, hints: &Hints<'_>) -> Recognised {
        let key = self.key_of(hints);
        let held = || self.remembered.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(known) = held().get(&key) {
            return known.clone();
        }
        let found = self.look(hints);
        let mut remembered = held();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(key, found.clone());
        found
    }

    fn key_of(&self, hints: &Hints<'_>) -> u128 {
        let Hints {
            fingerprint,
            // Says nothing that the fingerprint does not, but for clients without one.
            offered_versions,
            imap_id_name,
            imap_id_version,
            imap_id_os,
            hello,
            mailer,
        } = hints;
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            for hint in [
                fingerprint,
                offered_versions,
                imap_id_name,
                imap_id_version,
                imap_id_os,
                hello,
                mailer,
            ] {
                hint.map(cut).hash(&mut hasher);
            }
            u128::from(hasher.finish())
        };
        hash(&self.hashers.0) << 64 | hash(&self.hashers.1)
    }

    fn look(&self, hints: &Hints<'_>) -> Recognised {
        self.by_own_words(hints)
            .or_else(|| self.by_host_name(hints))
            .or_else(|| self.by_fingerprint(hints))
            .unwrap_or_else(Recognised::unknown)
    }

    /// What the client says of itself, in the IMAP command ID or in its messages.
    fn by_own_words(&self, hints: &Hints<'_>) -> Option<Recognised> {
        let (entry, version) = self
            .first_fit(hints.imap_id_name, |entry| &entry.imap_id)
            .map(|(entry, found)| match entry.version_from {
                VersionFrom::Program => (entry, hints.imap_id_version.map(cut).or(found)),
                VersionFrom::System => (entry, hints.imap_id_os.map(cut)),
            })
            .or_else(|| self.first_fit(hints.mailer, |entry| &entry.mailer))?;
        Some(describe(entry, version, hints, Confidence::Certain))
    }

    fn by_host_name(&self, hints: &Hints<'_>) -> Option<Recognised> {
        let (entry, version) = self.first_fit(hints.hello, |entry| &entry.hello)?;
        Some(describe(entry, version, hints, Confidence::Likely))
    }

    /// A fingerprint with its last hash is a program's; one without only a family's.
    fn by_fingerprint(&self, hints: &Hints<'_>) -> Option<Recognised> {
        let fingerprint = hints.fingerprint?;
        let mut guess = None;
        for entry in &self.entries {
            let of_versions = entry.versions.iter().flat_map(|v| &v.fingerprint);
            for pattern in entry.fingerprint.iter().chain(of_versions) {
                if pattern.fit(fingerprint).is_none() {
                    continue;
                }
                if pattern.has_fixed_end() {
                    return Some(describe(entry, None, hints, Confidence::Likely));
                }
                guess = guess.or(Some(entry));
            }
        }
        guess.map(|entry| describe(entry, None, hints, Confidence::Guess))
    }

    fn first_fit<'e, 't>(
        &'e self,
        text: Option<&'t str>,
        patterns: impl Fn(&'e Entry) -> &'e [Pattern],
    ) -> Option<(&'e Entry, Option<&'t str>)> {
        let text = text?;
        self.entries.iter().find_map(|entry| {
            let mut of_entry = patterns(entry).iter();
            let fit = of_entry.find_map(|pattern| pattern.fit(text))?;
            Some((entry, fit.version))
        })
    }

    /// What `Recognised::key` was made of. An entry that is no longer there keeps its identifier as its name.
    pub fn from_key(&self, key: &str) -> Recognised {
        let (key, confidence) = match key.strip_suffix('?') {
            Some(key) => (key, Confidence::Guess),
            None => (key, Confidence::Certain),
        };
        let mut parts = key.splitn(3, '/');
        let (Some(product), Some(label), Some(platform)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Recognised::unknown();
        };
        let platform = Platform::from_word(platform).unwrap_or(Platform::Any);
        let label = (label != "-").then_some(label);
        let Some(entry) = self.get(product) else {
            return Recognised {
                product: product.into(),
                name: product.into(),
                version: label.map(Arc::from),
                platform,
                confidence,
                ..Recognised::unknown()
            };
        };
        let version = label.and_then(|label| {
            let by_number = || entry.version_of(Number::parse(label)?);
            let labelled = entry.version_labelled(label);
            labelled.or_else(|| by_number().filter(|version| version.label.as_ref() == MAJOR))
        });
        let label = match version {
            Some(version) if version.label.as_ref() != MAJOR => Some(version.label.clone()),
            _ => label.map(Arc::from),
        };
        recognised(entry, version, label, platform, confidence)
    }
}

/// The entries that come with the program.
fn built_in() -> &'static [Entry] {
    // A file that cannot be read would make every client unknown; a test reads them all.
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        let files = BUILT_IN.iter().filter_map(|text| entry::parse(text).ok());
        files.flatten().collect()
    });
    &ENTRIES
}

/// The entry with the version the hints tell.
fn describe(
    entry: &Entry,
    version: Option<&str>,
    hints: &Hints<'_>,
    confidence: Confidence,
) -> Recognised {
    let number = version.and_then(first_number);
    let known = number
        .and_then(|number| entry.version_of(number))
        .or_else(|| version_by_fingerprint(entry, hints.fingerprint));
    let label = match (known, number) {
        (Some(version), _) if version.label.as_ref() != MAJOR => Some(version.label.clone()),
        // What nobody labelled is told by its first number; five digits are no version any more.
        (_, Some(Number([major, ..]))) if (1..10_000).contains(&major) => {
            Some(major.to_string().into())
        }
        _ => None,
    };
    let platform = match entry.platform {
        Platform::Any => said_platform(hints),
        fixed => fixed,
    };
    recognised(entry, known, label, platform, confidence)
}

/// The first number in a text such as `7.3 (1878.6)` or `Version 102.1`.
fn first_number(text: &str) -> Option<Number> {
    let at = text.find(|c: char| c.is_ascii_digit())?;
    Number::parse(text.get(at..)?)
}

fn version_by_fingerprint<'e>(entry: &'e Entry, fingerprint: Option<&str>) -> Option<&'e Version> {
    let fingerprint = fingerprint?;
    entry.versions.iter().find(|version| {
        let mut patterns = version.fingerprint.iter();
        patterns.any(|pattern| pattern.fit(fingerprint).is_some())
    })
}

/// Where the client says it runs.
fn said_platform(hints: &Hints<'_>) -> Platform {
    let said = [hints.imap_id_os, hints.mailer, hints.imap_id_name];
    said.into_iter()
        .flatten()
        .map(|text| Platform::from_text(cut(text)))
        .find(|platform| *platform != Platform::Any)
        .unwrap_or(Platform::Any)
}

fn recognised(
    entry: &Entry,
    version: Option<&Version>,
    label: Option<Arc<str>>,
    platform: Platform,
    confidence: Confidence,
) -> Recognised {
    let guide = version.and_then(|version| version.guide.as_ref());
    let newest_tls = match version {
        Some(version) => version.newest_tls.or(entry.newest_tls),
        None => entry.newest_tls,
    };
    Recognised {
        product: entry.id.clone(),
        name: entry.name.clone(),
        version: label,
        platform,
        class: entry.class,
        guide: guide.unwrap_or(&entry.guide).clone(),
        newest_tls,
        updated_tls: version.and_then(|version| version.updated_tls),
        confidence,
    }
}

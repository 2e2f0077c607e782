//! The guides as they are written in TOML, read once. Shared sections (the table of settings, the three options for
//! devices) stand in `shared.toml` and are taken into a guide by name.

use super::Guide;
use formats::language::Language;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const SHARED: &str = include_str!("../../guides/shared.toml");

/// A file per guide, in the order they are listed to people.
const FILES: &[&str] = &[
    include_str!("../../guides/outlook.toml"),
    include_str!("../../guides/outlook-new.toml"),
    include_str!("../../guides/windows-mail.toml"),
    include_str!("../../guides/thunderbird.toml"),
    include_str!("../../guides/apple-mail.toml"),
    include_str!("../../guides/ios.toml"),
    include_str!("../../guides/android.toml"),
    include_str!("../../guides/samsung.toml"),
    include_str!("../../guides/k9.toml"),
    include_str!("../../guides/printer.toml"),
    include_str!("../../guides/device.toml"),
    include_str!("../../guides/website.toml"),
    include_str!("../../guides/program.toml"),
    include_str!("../../guides/generic.toml"),
];

/// A text in both languages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Both {
    de: String,
    en: String,
}

/// Texts in both languages.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BothLists {
    de: Vec<String>,
    en: Vec<String>,
}

impl Both {
    pub(super) fn of(&self, language: Language) -> &str {
        match language {
            Language::German => &self.de,
            Language::English => &self.en,
        }
    }
}

impl BothLists {
    pub(super) fn of(&self, language: Language) -> &[String] {
        match language {
            Language::German => &self.de,
            Language::English => &self.en,
        }
    }
}

/// Which readers see a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum When {
    #[default]
    Always,
    /// While there is a transitional access.
    Transition,
}

#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) when: When,
    pub(super) block: Block,
}

/// What a section says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Block {
    pub(super) heading: Both,
    #[serde(default)]
    pub(super) paragraphs: BothLists,
    #[serde(default)]
    pub(super) steps: BothLists,
    pub(super) picture: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGuide {
    id: Box<str>,
    title: Both,
    brief: Both,
    section: Vec<RawSection>,
}

/// A section of its own, or the name of a shared one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSection {
    shared: Option<String>,
    #[serde(default)]
    when: When,
    heading: Option<Both>,
    #[serde(default)]
    paragraphs: BothLists,
    #[serde(default)]
    steps: BothLists,
    picture: Option<Box<str>>,
}

/// The guides; empty of what cannot be read, which a test would tell.
pub(super) fn guides() -> &'static [Guide] {
    static GUIDES: LazyLock<Vec<Guide>> = LazyLock::new(|| {
        let shared = shared().unwrap_or_default();
        FILES
            .iter()
            .filter_map(|text| guide(text, &shared).ok())
            .collect()
    });
    &GUIDES
}

fn shared() -> Result<BTreeMap<String, Block>, String> {
    toml::from_str(SHARED).map_err(|error| error.to_string())
}

fn guide(text: &str, shared: &BTreeMap<String, Block>) -> Result<Guide, String> {
    let raw: RawGuide = toml::from_str(text).map_err(|error| error.to_string())?;
    let sections = raw.section.into_iter().map(|section| {
        let block = match (section.shared, section.heading) {
            (Some(name), None) => shared
                .get(&name)
                .cloned()
                .ok_or_else(|| format!("{}: no shared section {name}", raw.id))?,
            (None, Some(heading)) => Block {
                heading,
                paragraphs: section.paragraphs,
                steps: section.steps,
                picture: section.picture,
            },
            _ => return Err(format!("{}: a section is shared or has a heading", raw.id)),
        };
        Ok(Section {
            when: section.when,
            block,
        })
    });
    Ok(Guide {
        sections: sections.collect::<Result<_, _>>()?,
        id: raw.id,
        title: raw.title,
        brief: raw.brief,
    })
}

/// Every file as it is read, for tests.
#[cfg(test)]
pub(super) fn problems() -> Vec<String> {
    let shared = match shared() {
        Ok(shared) => shared,
        Err(problem) => return vec![problem],
    };
    let read = FILES.iter().map(|text| guide(text, &shared));
    read.filter_map(Result::err).collect()
}

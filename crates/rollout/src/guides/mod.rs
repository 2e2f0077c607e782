//! Step-by-step guides for customers: data in `guides/*.toml`, German and English, filled with the provider's own hosts
//! and ports. Pure. A guide never names a setting without encryption or a host of the transitional access. Letters,
//! pages and the support view render them.

mod data;
mod show;

#[cfg(test)]
mod tests;

use crate::fill::{Values, fill};
use crate::voice::Voice;
use data::{Block, Both, When};
use formats::language::Language;
use jiff::civil;
use policy::clients::{GENERIC_GUIDE, Recognised};
use std::borrow::Cow;

/// The ports of the normal hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// IMAP in TLS from the first byte; RFC 8314 §3 prefers it and the next two.
    pub imap_tls: u16,
    /// POP3 in TLS from the first byte.
    pub pop3_tls: u16,
    /// Submission in TLS from the first byte.
    pub smtp_tls: u16,
    /// IMAP with STARTTLS.
    pub imap_starttls: u16,
    /// POP3 with STARTTLS (STLS).
    pub pop3_starttls: u16,
    /// Submission with STARTTLS.
    pub smtp_starttls: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            imap_tls: 993,
            pop3_tls: 995,
            smtp_tls: 465,
            imap_starttls: 143,
            pop3_starttls: 110,
            smtp_starttls: 587,
        }
    }
}

/// The transitional access, where there still is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition<'a> {
    /// Its last day.
    pub end: civil::Date,
    /// Where a customer asks for it; `https`.
    pub page: &'a str,
}

/// What a guide is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Hosts, support, name and tone of the provider.
    pub voice: &'a Voice,
    /// Ports of its hosts.
    pub ports: Ports,
    /// `None` where there is no transitional access (any more).
    pub transition: Option<Transition<'a>>,
}

/// A guide.
#[derive(Debug)]
pub struct Guide {
    id: Box<str>,
    title: Both,
    brief: Both,
    sections: Vec<data::Section>,
}

/// A guide in one language, filled: no placeholder is left in it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Rendered {
    /// The guide's identifier.
    pub id: &'static str,
    /// What it is about.
    pub title: String,
    /// The shortest way in one or two sentences, to stand in a letter or to be read aloud.
    pub brief: String,
    /// In the order to be read.
    pub sections: Vec<Section>,
}

/// A part of a guide.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Section {
    /// What it is about.
    pub heading: String,
    /// Paragraphs before the steps.
    pub paragraphs: Vec<String>,
    /// What to do, one after the other; may be empty.
    pub steps: Vec<String>,
    /// The name of a picture that belongs here.
    pub picture: Option<&'static str>,
}

/// Every guide, in a stable order.
pub fn all() -> &'static [Guide] {
    data::guides()
}

/// The guide with this identifier.
pub fn get(id: &str) -> Option<&'static Guide> {
    all().iter().find(|guide| guide.id.as_ref() == id)
}

/// The guide for a client; the general one for clients nobody knows. `None` only without any data.
pub fn for_client(client: &Recognised) -> Option<&'static Guide> {
    get(&client.guide).or_else(|| get(GENERIC_GUIDE))
}

impl Guide {
    /// Its name in addresses of pages and in the catalogue.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The guide in `language`, for `account` where it is known whose it is.
    pub fn render(
        &'static self,
        language: Language,
        places: &Places<'_>,
        account: Option<&str>,
    ) -> Rendered {
        let filler = Filler {
            language,
            values: values(language, places, account),
            voice: places.voice,
        };
        let wanted = self.sections.iter().filter(|section| match section.when {
            When::Always => true,
            When::Transition => places.transition.is_some(),
        });
        let mut sections: Vec<_> = wanted.map(|section| filler.section(section)).collect();
        sections.extend(filler.support());
        Rendered {
            id: &self.id,
            title: filler.one(&self.title),
            brief: filler.one(&self.brief),
            sections,
        }
    }
}

/// What the placeholders of the data stand for.
fn values<'v>(language: Language, places: &Places<'v>, account: Option<&'v str>) -> Values<'v> {
    let Places { voice, ports, .. } = places;
    let of_reader = match language {
        Language::German => "{ihre-adresse@ihre|deine-adresse@deine}-domain.example",
        Language::English => "you@your-domain.example",
    };
    let reader = account.map_or_else(
        || {
            // The form of address inside a value is settled here; values are not looked through again.
            let filled = fill(of_reader, &Values::new(), voice.address);
            Cow::Owned(filled.unwrap_or_default())
        },
        Cow::Borrowed,
    );
    let port = |number: u16| Cow::Owned(number.to_string());
    let (end, page) = match places.transition {
        Some(transition) => (day(language, transition.end), transition.page),
        None => (String::new(), ""),
    };
    Values::from([
        ("provider", voice.provider.as_str().into()),
        ("account", reader),
        ("imap", voice.imap_host.as_str().into()),
        ("pop3", voice.pop3_host.as_str().into()),
        ("smtp", voice.smtp_host.as_str().into()),
        ("imap-tls", port(ports.imap_tls)),
        ("pop3-tls", port(ports.pop3_tls)),
        ("smtp-tls", port(ports.smtp_tls)),
        ("imap-starttls", port(ports.imap_starttls)),
        ("pop3-starttls", port(ports.pop3_starttls)),
        ("smtp-starttls", port(ports.smtp_starttls)),
        ("end", end.into()),
        ("page", page.into()),
    ])
}

/// A day as people write it.
fn day(language: Language, day: civil::Date) -> String {
    match language {
        Language::German => day.strftime("%d.%m.%Y").to_string(),
        Language::English => day.strftime("%-d %B %Y").to_string(),
    }
}

struct Filler<'a> {
    language: Language,
    values: Values<'a>,
    voice: &'a Voice,
}

impl Filler<'_> {
    fn fill(&self, template: &str) -> Option<String> {
        match fill(template, &self.values, self.voice.address) {
            Ok(text) => Some(text),
            Err(error) => {
                // A test renders every variant; a gap is worse than a sentence less.
                tracing::error!(%error, "a guide has a placeholder nobody knows");
                None
            }
        }
    }

    fn one(&self, both: &Both) -> String {
        self.fill(both.of(self.language)).unwrap_or_default()
    }

    fn list(&self, texts: &data::BothLists) -> Vec<String> {
        let texts = texts.of(self.language).iter();
        texts.filter_map(|text| self.fill(text)).collect()
    }

    fn section(&self, section: &'static data::Section) -> Section {
        let Block {
            heading,
            paragraphs,
            steps,
            picture,
        } = &section.block;
        Section {
            heading: self.one(heading),
            paragraphs: self.list(paragraphs),
            steps: self.list(steps),
            picture: picture.as_deref(),
        }
    }

    /// Whom to ask; nothing where the provider said nothing.
    fn support(&self) -> Option<Section> {
        let Voice {
            phone,
            hours,
            remote_help,
            ..
        } = self.voice;
        let german = self.language == Language::German;
        let mut paragraphs = Vec::new();
        if !phone.is_empty() {
            let word = if german { "Telefon" } else { "Telephone" };
            let hours = match hours.as_str() {
                "" => String::new(),
                hours => format!(" ({hours})"),
            };
            paragraphs.push(format!("{word}: {phone}{hours}"));
        }
        if !remote_help.is_empty() {
            let word = if german { "Fernwartung" } else { "Remote help" };
            paragraphs.push(format!("{word}: {remote_help}"));
        }
        if paragraphs.is_empty() {
            return None;
        }
        Some(Section {
            heading: if german {
                "Hilfe von uns"
            } else {
                "Help from us"
            }
            .to_owned(),
            paragraphs,
            steps: Vec::new(),
            picture: None,
        })
    }
}

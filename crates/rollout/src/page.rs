//! What public pages show of announcements: structured texts, with their date and reading time.
//! Internal steps, evidence and drafts never come here. Whoever serves pages lays them out; `to_html` is the
//! plain way.

use crate::admin::{RolloutError, Rollouts};
use crate::announce::Announced;
use crate::fill::{FillError, Values};
use crate::model::{Rollout, State};
use crate::questions::{self, Answered};
use crate::rows;
use crate::voice::Voice;
use crate::wording::Speaker;
use formats::language::Language;
use platform::store::Tx;
use std::borrow::Cow;

/// Words a reader takes in, per minute.
const WORDS_PER_MINUTE: usize = 200;

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Section {
    /// What it is about; also its anchor's text.
    pub heading: String,
    /// Paragraphs.
    pub paragraphs: Vec<String>,
    /// Lines of a list; may be empty.
    pub list: Vec<String>,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Document {
    /// Its name in the page's address.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// `Stand: 10. Dezember 2024`.
    pub as_of: String,
    /// `Lesezeit: 2 Min.`
    pub reading_time: String,
    /// Minutes.
    pub minutes: usize,
    /// Its parts.
    pub sections: Vec<Section>,
    /// Questions that were answered in public.
    pub questions: Vec<Answered>,
}

/// An announcement in a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// Its name in the page's address.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Its date, as people read it.
    pub as_of: String,
}

/// Whether everybody may read of a rollout.
fn is_public(state: State) -> bool {
    matches!(
        state,
        State::Announced | State::Running | State::Paused | State::Done
    )
}

impl Rollouts {
    /// The page of an announcement; `None` where there is none that is public.
    ///
    /// # Errors
    /// `Invalid` where a text has a gap; `Store`.
    pub async fn announcement(
        &self,
        slug: &str,
        language: Language,
    ) -> Result<Option<Document>, RolloutError> {
        let wanted = slug.to_owned();
        let found = self
            .store
            .read(move |tx: &mut dyn Tx| {
                let kept = match rows::get(tx, &wanted) {
                    Err(RolloutError::Missing(_)) => return Ok(None),
                    kept => kept?,
                };
                let answered = questions::answered(tx, &wanted)?;
                Ok::<_, RolloutError>(Some((kept, answered)))
            })
            .await?;
        let Some((kept, answered)) = found.filter(|(kept, _)| is_public(kept.state)) else {
            return Ok(None);
        };
        let voice = self.voice().await?;
        announcement(&kept.rollout, &voice, language, answered)
            .map(Some)
            .map_err(|error| RolloutError::Invalid(error.to_string()))
    }

    /// Every public announcement, newest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn announcements(&self, language: Language) -> Result<Vec<Listed>, RolloutError> {
        let kept = self.list().await?;
        let public = kept.into_iter().filter(|kept| is_public(kept.state));
        Ok(public
            .map(|kept| Listed {
                title: kept.rollout.title.of(language).clone(),
                as_of: crate::wording::moment(kept.rollout.as_of, language),
                slug: kept.rollout.slug,
            })
            .collect())
    }
}

/// The page of a rollout.
///
/// # Errors
/// Where a text has a gap.
pub fn announcement(
    rollout: &Rollout,
    voice: &Voice,
    language: Language,
    questions: Vec<Answered>,
) -> Result<Document, FillError> {
    let speaker = Speaker {
        voice,
        language,
        own: Some(rollout.texts.of(language)),
    };
    let announced = Announced::of(rollout, &speaker)?;
    let section = |heading: &str, text: &str, list: Vec<String>| -> Result<Section, FillError> {
        Ok(Section {
            heading: speaker.plain(&format!("heading.{heading}"))?,
            paragraphs: paragraphs(text),
            list,
        })
    };
    let mut sections = vec![
        section("why", &announced.why, Vec::new())?,
        section("means", &announced.means, Vec::new())?,
    ];
    if !announced.dates.is_empty() {
        sections.push(section("dates", "", announced.dates)?);
    }
    sections.push(section("transition", &announced.transition, Vec::new())?);
    sections.push(section("background", &announced.background, Vec::new())?);
    sections.push(support(&speaker)?);
    let as_of = Values::from([("date", Cow::Owned(speaker.date(rollout.as_of)))]);
    let minutes = minutes(&sections);
    Ok(Document {
        slug: rollout.slug.clone(),
        title: rollout.title.of(language).clone(),
        as_of: speaker.say("page.as_of", &as_of)?,
        reading_time: reading_time(minutes, &speaker)?,
        minutes,
        sections,
        questions,
    })
}

fn support(speaker: &Speaker<'_>) -> Result<Section, FillError> {
    let mut lines = speaker.support()?;
    let intro = lines.drain(..lines.len().min(1)).collect();
    Ok(Section {
        heading: speaker.plain("heading.help")?,
        paragraphs: intro,
        list: lines,
    })
}

fn reading_time(minutes: usize, speaker: &Speaker<'_>) -> Result<String, FillError> {
    let with = Values::from([("minutes", Cow::Owned(minutes.to_string()))]);
    speaker.say("page.reading_time", &with)
}

fn paragraphs(text: &str) -> Vec<String> {
    text.split("\n\n")
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn minutes(sections: &[Section]) -> usize {
    let words: usize = sections
        .iter()
        .flat_map(|section| section.paragraphs.iter().chain(&section.list))
        .map(|text| text.split_whitespace().count())
        .sum();
    words.div_ceil(WORDS_PER_MINUTE).max(1)
}

impl Document {
    /// The sections as HTML: `<section>` with `<h2>`, `<p>` and `<ul>`, everything escaped. No script, no style.
    pub fn to_html(&self) -> String {
        let mut html = String::new();
        for section in &self.sections {
            html.push_str(&format!(
                "<section>\n<h2>{}</h2>\n",
                escaped(&section.heading)
            ));
            for paragraph in &section.paragraphs {
                html.push_str(&format!("<p>{}</p>\n", escaped(paragraph)));
            }
            if !section.list.is_empty() {
                html.push_str("<ul>\n");
                for line in &section.list {
                    html.push_str(&format!("<li>{}</li>\n", escaped(line)));
                }
                html.push_str("</ul>\n");
            }
            html.push_str("</section>\n");
        }
        html
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rollout;

    fn shown(language: Language) -> Document {
        let mut voice = Voice::of_host("mx.provider.test");
        voice.phone = "030 <1>".into();
        announcement(&rollout(), &voice, language, Vec::new()).unwrap()
    }

    #[test]
    fn an_announcement_has_its_parts_date_and_reading_time() {
        let german = shown(Language::German);
        let headings: Vec<_> = german.sections.iter().map(|s| s.heading.as_str()).collect();
        assert_eq!(
            headings,
            [
                "Warum diese Änderungen?",
                "Was bedeutet das für Sie?",
                "Termine",
                "Übergangszeit",
                "Hintergrund",
                "Hilfe"
            ]
        );
        assert_eq!(german.as_of, "Stand: 10. Dezember 2024");
        assert!(german.reading_time.starts_with("Lesezeit: "));
        assert!(german.minutes >= 1);
        let html = shown(Language::English).to_html();
        assert!(html.contains("RFC 8996") && html.contains("1999"), "{html}");
        assert!(html.contains("030 &lt;1&gt;"), "{html}");
        assert!(
            html.contains("<li>5 March 2025: IMAP: TLS 1.2 or newer</li>"),
            "{html}"
        );
        assert!(html.contains("<li>30 May 2025: "), "{html}");
    }

    #[test]
    fn what_is_internal_leaves_no_trace() {
        for language in [Language::German, Language::English] {
            let html = shown(language).to_html();
            assert!(!html.contains("GEHEIM"), "{html}");
            assert!(!html.contains("April 2025"), "{html}");
            assert!(!html.contains("DMARC"), "{html}");
        }
    }
}

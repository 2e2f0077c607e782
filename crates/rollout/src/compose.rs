//! Writes letters: a kind, what it is about and who speaks become a subject and a text, in the reader's
//! language first and the other after it. Pure; the chore calls it for letters that leave, `preview` for all.

use crate::announce::{self, Announced};
use crate::facts::{Facts, Sighting, is_of_connections, kind};
use crate::fill::{FillError, Values, wrap};
use crate::guides::{self, Places, Ports, Transition};
use crate::model::{LocalDate, Rollout};
use crate::voice::Voice;
use crate::wording::{Speaker, date, epoch_day};
use formats::language::Language;
use policy::clients::{Catalogue, Confidence};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Width of a letter's lines, in characters (RFC 5322 §2.1.1 asks for at most 78).
const WIDTH: usize = 72;
/// Sightings named in one letter.
const SEEN_MAX: usize = 8;
/// The page on which customers see how they connect and help themselves, below the provider's site.
const STATUS: &str = "status";
/// Guides in one letter.
const GUIDES_MAX: usize = 2;

/// What a letter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Round 0, to everybody of the audience.
    Newsletter,
    /// A round, to an account it concerns.
    Round,
    /// To an account it no longer concerns, once.
    Thanks,
    /// To the contact of a domain.
    Digest,
    /// To an account that was warned of while it logged in.
    Nudge,
    /// To an account that was secure and is not any more.
    Regression,
    /// To an account that may use the legacy hosts now.
    LegacyEnrolled,
    /// To an account that still uses them.
    LegacyReminder,
    /// To an account that used them until they ended.
    LegacyEnded,
    /// To accounts cut off by an emergency.
    Emergency,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Newsletter,
        Self::Round,
        Self::Thanks,
        Self::Digest,
        Self::Nudge,
        Self::Regression,
        Self::LegacyEnrolled,
        Self::LegacyReminder,
        Self::LegacyEnded,
        Self::Emergency,
    ];

    /// The word in the store and on the command line; `letter.WORD.body` is its text.
    pub fn word(self) -> &'static str {
        match self {
            Self::Newsletter => "newsletter",
            Self::Round => "round",
            Self::Thanks => "thanks",
            Self::Digest => "digest",
            Self::Nudge => "nudge",
            Self::Regression => "regression",
            Self::LegacyEnrolled => "legacy-enrolled",
            Self::LegacyReminder => "legacy-reminder",
            Self::LegacyEnded => "legacy-ended",
            Self::Emergency => "emergency",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether it belongs to a rollout.
    pub fn is_of_rollout(self) -> bool {
        matches!(
            self,
            Self::Newsletter | Self::Round | Self::Thanks | Self::Digest | Self::Nudge
        )
    }
}

/// A letter to be written.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'d> {
    /// What for.
    pub kind: Kind,
    /// Of which rollout; `None` for what belongs to none.
    pub rollout: Option<&'d Rollout>,
    /// The address of the account, or the domain of a digest.
    pub about: &'d str,
    /// What it is about.
    pub facts: &'d Facts,
    /// Where one click ends the newsletter; empty for other letters.
    pub unsubscribe: &'d str,
    /// The last day on which the legacy hosts are open to the reader; `None` where they are not.
    pub legacy_until: Option<LocalDate>,
}

/// A letter as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Subject, one line.
    pub subject: String,
    /// Text, wrapped.
    pub text: String,
}

/// Who writes.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'w> {
    /// How the provider speaks.
    pub voice: &'w Voice,
    /// What is known about mail programs.
    pub catalogue: &'w Catalogue,
    /// The ports of the provider's hosts.
    pub ports: Ports,
}

impl Writer<'_> {
    /// Writes a letter in `first` and, below, in the other language.
    ///
    /// # Errors
    /// Where a text names something that is not known.
    pub fn write(&self, draft: &Draft<'_>, first: Language) -> Result<Written, FillError> {
        let (subject, mut text) = self.in_language(draft, first)?;
        let (_, other) = self.in_language(draft, other(first))?;
        text.push_str(&format!("\n{}\n\n", "-".repeat(WIDTH)));
        text.push_str(&other);
        Ok(Written { subject, text })
    }

    /// Writes a letter in one language.
    ///
    /// # Errors
    /// As `write`.
    pub fn in_language(
        &self,
        draft: &Draft<'_>,
        language: Language,
    ) -> Result<(String, String), FillError> {
        let speaker = Speaker {
            voice: self.voice,
            language,
            own: draft.rollout.map(|rollout| rollout.texts.of(language)),
        };
        let values = self.values(draft, &speaker)?;
        let key = |part| format!("letter.{}.{part}", draft.kind.word());
        let subject = speaker.say(&key("subject"), &values)?;
        let body = speaker.say(&key("body"), &values)?;
        let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok((subject, wrap(&squeezed(&body), WIDTH)))
    }

    fn values(
        &self,
        draft: &Draft<'_>,
        speaker: &Speaker<'_>,
    ) -> Result<Values<'static>, FillError> {
        let facts = draft.facts;
        let mut values = Values::new();
        let mut put = |name, text: String| values.insert(name, Cow::Owned(text));
        put("account", draft.about.to_owned());
        put("domain", draft.about.to_owned());
        put("count", facts.count.to_string());
        put("unsubscribe", draft.unsubscribe.to_owned());
        put("support", speaker.support()?.join("\n"));
        put("seen", self.seen(&facts.seen, speaker)?);
        put("guide", self.guide(draft, speaker)?);
        put("done", done(draft, speaker)?);
        let of_programs = facts.all().any(|seen| is_of_connections(seen.kind()));
        let way = if of_programs { "connection" } else { "other" };
        put("still", speaker.plain(&format!("still.{way}"))?);
        let with = Values::from([("account", Cow::Owned(draft.about.to_owned()))]);
        put("again", speaker.say(&format!("again.{way}"), &with)?);
        put("list", self.list(facts, speaker)?);
        let until = facts.legacy_until.or(draft.legacy_until);
        if let Some(rollout) = draft.rollout {
            let announced = Announced::of(rollout, speaker)?;
            let measures: BTreeSet<_> = facts.all().map(|seen| seen.measure.clone()).collect();
            let deadline = announce::deadline(rollout, &measures);
            let deadline = deadline.map(|at| speaker.date(at)).unwrap_or_default();
            put("consequence", consequence(facts, &deadline, speaker)?);
            put("deadline", deadline);
            put("title", rollout.title.of(speaker.language).clone());
            put("page", announce::page(speaker.voice, &rollout.slug));
            put("why", announced.why);
            put("means", announced.means);
            put("transition", announced.transition);
            put("dates", announced.dates.join("\n"));
        }
        let hint = match (until, draft.kind) {
            (Some(until), Kind::Round | Kind::Digest | Kind::Nudge) if of_programs => {
                let status = self.status_page();
                let with = Values::from([
                    ("legacy_until", Cow::Owned(speaker.date(until))),
                    ("status", Cow::Owned(status)),
                ]);
                format!("{}\n\n", speaker.say("legacy.hint", &with)?)
            }
            _ => String::new(),
        };
        put("legacy", hint);
        if let Some(until) = until {
            put("legacy_until", speaker.date(until));
        }
        Ok(values)
    }

    fn status_page(&self) -> String {
        format!("{}{STATUS}", self.voice.site)
    }

    /// The mail program as people call it.
    fn client(&self, key: &str, speaker: &Speaker<'_>) -> Result<String, FillError> {
        let client = self.catalogue.from_key(key);
        if !client.is_known() {
            return speaker.plain("seen.unknown_client");
        }
        let name = Values::from([("client", Cow::Owned(client.in_words(speaker.language)))]);
        match client.confidence {
            Confidence::Guess => speaker.say("seen.guess", &name),
            _ => Ok(client.in_words(speaker.language)),
        }
    }

    fn sighting(&self, seen: &Sighting, speaker: &Speaker<'_>) -> Result<String, FillError> {
        let client = match seen.kind() {
            "sender-ownership" | "rule" => seen.client.clone(),
            _ => self.client(&seen.client, speaker)?,
        };
        let service = match seen.service.as_str() {
            "" => String::new(),
            word => speaker.plain(&format!("service.{word}"))?,
        };
        let tls = match &seen.tls {
            Some(tls) => tls.clone(),
            None => speaker.plain("tls.unknown")?,
        };
        let day = date(epoch_day(seen.last_day), speaker.language);
        let with = Values::from([
            ("client", Cow::Owned(client)),
            ("service", Cow::Owned(service)),
            ("tls", Cow::Owned(tls)),
            ("date", Cow::Owned(day)),
            ("says", Cow::Borrowed(seen.says.as_str())),
        ]);
        let key = match seen.kind() {
            "sender-ownership" => "seen.sender",
            "rule" if seen.says.is_empty() => "seen.rule",
            "rule" => "seen.rule_says",
            _ if seen.clear => "seen.clear",
            "tls-version" => "seen.tls",
            _ => "seen.other",
        };
        speaker.say(key, &with)
    }

    fn seen(&self, seen: &[Sighting], speaker: &Speaker<'_>) -> Result<String, FillError> {
        let lines = seen
            .iter()
            .take(SEEN_MAX)
            .map(|one| Ok(format!("  - {}", self.sighting(one, speaker)?)));
        Ok(lines.collect::<Result<Vec<_>, FillError>>()?.join("\n"))
    }

    fn list(&self, facts: &Facts, speaker: &Speaker<'_>) -> Result<String, FillError> {
        let mut lines = Vec::new();
        for mailbox in &facts.mailboxes {
            let clients: BTreeSet<_> = mailbox
                .seen
                .iter()
                .map(|seen| self.sighting(seen, speaker))
                .collect::<Result<_, _>>()?;
            let clients: Vec<_> = clients.into_iter().collect();
            let with = Values::from([
                ("account", Cow::Owned(mailbox.account.clone())),
                ("client", Cow::Owned(clients.join("; "))),
            ]);
            lines.push(format!("  - {}", speaker.say("digest.line", &with)?));
        }
        if facts.count > facts.mailboxes.len() {
            lines.push("  - ...".to_owned());
        }
        Ok(lines.join("\n"))
    }

    /// What to do, for each mail program that was seen.
    fn guide(&self, draft: &Draft<'_>, speaker: &Speaker<'_>) -> Result<String, FillError> {
        // The letter says whom to call by itself.
        let voice = Voice {
            phone: String::new(),
            remote_help: String::new(),
            ..self.voice.clone()
        };
        let page = self.status_page();
        // Who has legacy access need not be told how to ask for it.
        let asks = matches!(draft.kind, Kind::Round | Kind::Nudge | Kind::Regression);
        let transition = draft.legacy_until.filter(|_| asks);
        let places = Places {
            voice: &voice,
            ports: self.ports,
            transition: transition.map(|until| Transition {
                end: until.day,
                page: &page,
            }),
        };
        let mut parts: Vec<String> = Vec::new();
        for seen in &draft.facts.seen {
            let part = match seen.kind() {
                "sender-ownership" => speaker.plain("guide.sender")?,
                "rule" => of_rule(draft, speaker)?,
                _ => match guides::for_client(&self.catalogue.from_key(&seen.client)) {
                    Some(guide) => guide
                        .render(speaker.language, &places, Some(draft.about))
                        .to_text(),
                    None => speaker.plain("guide.none")?,
                },
            };
            if !parts.contains(&part) && parts.len() < GUIDES_MAX {
                parts.push(part);
            }
        }
        if parts.is_empty() {
            parts.push(speaker.plain("guide.none")?);
        }
        Ok(parts.join("\n\n"))
    }
}

/// What to do about a rule: what the rollout says of it, because no built-in text knows.
fn of_rule(draft: &Draft<'_>, speaker: &Speaker<'_>) -> Result<String, FillError> {
    let said = match draft.rollout {
        Some(rollout) if !rollout.texts.of(speaker.language).means.trim().is_empty() => {
            Announced::of(rollout, speaker)?.means
        }
        _ => String::new(),
    };
    match said.is_empty() {
        true => speaker.plain("guide.rule"),
        false => Ok(said),
    }
}

/// What thanks are for.
fn done(draft: &Draft<'_>, speaker: &Speaker<'_>) -> Result<String, FillError> {
    let steps = draft
        .rollout
        .map(announce::public_steps)
        .unwrap_or_default();
    let connects = steps
        .iter()
        .any(|step| is_of_connections(kind(&step.measure)));
    let with = Values::from([("account", Cow::Owned(draft.about.to_owned()))]);
    match connects {
        true => speaker.say("done.connection", &with),
        false => speaker.say("done.other", &with),
    }
}

fn consequence(facts: &Facts, deadline: &str, speaker: &Speaker<'_>) -> Result<String, FillError> {
    let kinds: BTreeSet<_> = facts
        .seen
        .iter()
        .map(|seen| match seen.kind() {
            "outbound-tls" | "inbound-tls" => "other",
            kind => kind,
        })
        .collect();
    let with = Values::from([("deadline", Cow::Owned(deadline.to_owned()))]);
    let sentences = kinds
        .into_iter()
        .map(|kind| speaker.say(&format!("consequence.{kind}"), &with));
    Ok(sentences.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

fn other(language: Language) -> Language {
    match language {
        Language::German => Language::English,
        Language::English => Language::German,
    }
}

/// At most one empty line between two others: what a value left empty leaves no hole.
fn squeezed(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    let mut empty = true;
    for line in text.lines() {
        if line.trim().is_empty() {
            if !empty {
                squeezed.push('\n');
            }
            empty = true;
        } else {
            squeezed.push_str(line);
            squeezed.push('\n');
            empty = false;
        }
    }
    squeezed
}

//! Mail from outside that says it is from a domain hosted here, and nobody answers for it in that domain's name: what
//! becomes of it. Pure: `signing` says what the message proves, `smtp` carries the ruling out. Mail of other authors is
//! never judged here.
//!
//! That a domain is hosted here is what makes this a local decision: what the domain publishes by DMARC for others is
//! not asked (RFC 9989 does not let a receiver reject for p=reject alone).

use crate::measure::Schedule;
use crate::model::Stage;

/// How far a message that is not proved falls. Ordered: the greater is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spoofed {
    /// It counts as one sign of a forgery. Where nobody at all answers for the message, in whosever name, that is the
    /// second sign: it goes to Junk.
    Score,
    /// To Junk.
    Junk,
    /// 550 5.7.26.
    Reject,
}

impl Spoofed {
    /// Every level, the mildest first.
    pub const ALL: [Self; 3] = [Self::Score, Self::Junk, Self::Reject];

    /// The word on the command line, in files and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Junk => "junk",
            Self::Reject => "reject",
        }
    }

    /// The level with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }

    fn milder(self) -> Option<Self> {
        match self {
            Self::Score => None,
            Self::Junk => Some(Self::Score),
            Self::Reject => Some(Self::Junk),
        }
    }
}

/// What is demanded, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoofedDemand {
    /// What becomes of such mail once it is enforced.
    pub level: Spoofed,
    /// The stages of that. `Warn` does what the next milder level does.
    pub schedule: Schedule,
}

/// Whether somebody answers for a message in the name of its author's domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proved {
    /// SPF, DKIM, or a server that is believed.
    Yes,
    /// Nobody.
    No,
    /// The DNS did not answer, and the answer might have been a proof.
    Unknown,
}

/// What is known of a message and one author domain.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The author's address or domain, for texts.
    pub author: &'a str,
    /// Whether it is proved.
    pub proved: Proved,
    /// Whether anybody answers for the message in whosever name.
    pub vouched: bool,
    /// What is demanded for this author.
    pub level: Spoofed,
    /// How far that is.
    pub stage: Stage,
    /// Where refusals point for help, with a final slash.
    pub help: &'a str,
}

/// What becomes of a message. Ordered: of several authors the greatest counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ruling {
    /// Nothing is to be said.
    Accept,
    /// A finding; it is delivered as if nothing were.
    Note,
    /// A finding; it goes to Junk.
    Junk,
    /// A temporary refusal: 451 4.4.3. Holds the text for the peer, without codes.
    TryLater(String),
    /// 550 5.7.26, a finding. Holds the text for the peer, without codes.
    Refuse(String),
}

/// The word for logs of a refusal; never changes.
pub const REASON: &str = "spoofed-sender";

/// What becomes of a message with this author.
pub fn rule(facts: &Facts<'_>) -> Ruling {
    let acts = match facts.stage {
        Stage::Off => return Ruling::Accept,
        Stage::Observe => None,
        Stage::Warn => facts.level.milder(),
        Stage::Enforce => Some(facts.level),
    };
    match (facts.proved, acts) {
        (Proved::Yes, _) => Ruling::Accept,
        // Whoever makes the DNS slow must not get past Junk by it; who is honest is asked again.
        (Proved::Unknown, Some(Spoofed::Junk | Spoofed::Reject))
            if facts.stage == Stage::Enforce =>
        {
            Ruling::TryLater(try_later(facts))
        }
        // Elsewhere what is not known harms nobody.
        (Proved::Unknown, _) => Ruling::Accept,
        (Proved::No, None) => Ruling::Note,
        (Proved::No, Some(Spoofed::Score)) if facts.vouched => Ruling::Note,
        (Proved::No, Some(Spoofed::Score | Spoofed::Junk)) => Ruling::Junk,
        (Proved::No, Some(Spoofed::Reject)) => Ruling::Refuse(refusal(facts)),
    }
}

/// ASCII, as replies are (RFC 5321 §2.4); so is the German.
fn refusal(facts: &Facts<'_>) -> String {
    let (author, help) = (shown(facts.author), facts.help);
    format!(
        "The message says it is from {author}, but it did not come through the servers of that domain: neither SPF nor \
         DKIM nor a trusted forwarder answers for it. If you are {author}, send through your provider's server with \
         your password, or have the other service sign with DKIM. \
         Die Nachricht nennt {author} als Absender, kam aber nicht ueber dessen Server und ist weder durch SPF noch \
         durch DKIM belegt. Senden Sie ueber den Server Ihres Anbieters. Help: {help}spoofed"
    )
}

fn try_later(facts: &Facts<'_>) -> String {
    let (author, help) = (shown(facts.author), facts.help);
    format!(
        "The DNS does not tell at the moment whether {author} sent this message; it was not accepted. Try again later. \
         Das DNS sagt gerade nicht, ob {author} das gesendet hat. Bitte spaeter erneut senden. Help: {help}spoofed"
    )
}

/// An author as it fits into a reply.
fn shown(author: &str) -> &str {
    let fits = author.len() <= 100 && author.bytes().all(|byte| byte.is_ascii_graphic());
    match (fits, author.rsplit_once('@')) {
        (true, _) => author,
        (false, Some((_, domain))) if domain.len() <= 253 && domain.is_ascii() => domain,
        _ => "a domain hosted here",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruled(proved: Proved, vouched: bool, level: Spoofed, stage: Stage) -> Ruling {
        rule(&Facts {
            author: "anna@firma.test",
            proved,
            vouched,
            level,
            stage,
            help: "https://rp.test/h/",
        })
    }

    #[test]
    fn each_level_is_milder_before_it_is_enforced() {
        let kind = |level, vouched| {
            let stages = [Stage::Observe, Stage::Warn, Stage::Enforce];
            stages.map(|stage| match ruled(Proved::No, vouched, level, stage) {
                Ruling::Accept => "accept",
                Ruling::Note => "note",
                Ruling::Junk => "junk",
                Ruling::TryLater(_) => "later",
                Ruling::Refuse(_) => "refuse",
            })
        };
        assert_eq!(kind(Spoofed::Reject, false), ["note", "junk", "refuse"]);
        assert_eq!(kind(Spoofed::Junk, false), ["note", "junk", "junk"]);
        assert_eq!(kind(Spoofed::Junk, true), ["note", "note", "junk"]);
        assert_eq!(kind(Spoofed::Score, false), ["note", "note", "junk"]);
        assert_eq!(kind(Spoofed::Score, true), ["note", "note", "note"]);
    }

    #[test]
    fn what_is_proved_or_switched_off_passes_and_what_is_not_known_is_not_refused_for_good() {
        for stage in Stage::ALL {
            for level in Spoofed::ALL {
                assert_eq!(ruled(Proved::Yes, false, level, stage), Ruling::Accept);
                let unknown = ruled(Proved::Unknown, false, level, stage);
                match (level, stage) {
                    (Spoofed::Junk | Spoofed::Reject, Stage::Enforce) => {
                        assert!(matches!(unknown, Ruling::TryLater(_)), "{unknown:?}");
                    }
                    _ => assert_eq!(unknown, Ruling::Accept),
                }
            }
        }
        let off = ruled(Proved::No, false, Spoofed::Reject, Stage::Off);
        assert_eq!(off, Ruling::Accept);
    }

    #[test]
    fn refusals_say_in_both_languages_what_helps() {
        let Ruling::Refuse(text) = ruled(Proved::No, false, Spoofed::Reject, Stage::Enforce) else {
            panic!("not refused");
        };
        assert!(text.is_ascii() && text.ends_with("https://rp.test/h/spoofed"));
        for part in ["anna@firma.test", "DKIM", "Senden Sie"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(shown("ä@firma.test"), "firma.test");
        assert_eq!(shown("a\r\n@firma.test"), "firma.test");
    }
}

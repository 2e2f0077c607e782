//! Whether a hosted domain keeps the rules large receivers have published for senders: Google and Yahoo (in force
//! since February 2024) and Microsoft (since May 2025). Pure: the facts come in (`facts` gathers them), each rule comes
//! out with its verdict and what to do.

pub mod facts;

use crate::dmarc::record::Wish;
use formats::language::Language;

/// Messages a day to one receiver from which on a sender counts as bulk sender.
pub const BULK_MESSAGES_PER_DAY: u64 = 5_000;

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Gmail.
    Google,
    /// Yahoo and AOL.
    Yahoo,
    /// Outlook.com, Hotmail, Live.
    Microsoft,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Google, Self::Yahoo, Self::Microsoft];

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Yahoo => "yahoo",
            Self::Microsoft => "microsoft",
        }
    }

    /// The profile with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.word() == word)
    }
}

/// What was found out about something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is so.
    Yes,
    /// It is not.
    No,
    /// Nobody could say.
    Unknown,
}

/// What is known about a domain and what its mail leaves with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// SPF passes for every address mail leaves from.
    pub spf: Found,
    /// A published DKIM key signs its mail, with the domain itself as signer.
    pub dkim: Found,
    /// Its DMARC policy; `None`: it has no record.
    pub dmarc: Option<Wish>,
    /// Whether the record could be looked up.
    pub dmarc_known: Found,
    /// Each address has a name that leads back to it.
    pub names: Found,
    /// Mail leaves over TLS where the receiver offers it.
    pub tls: Found,
    /// Messages a day that others saw, at most; `None` where no reports came.
    pub messages_per_day: Option<u64>,
    /// Messages a day that passed DMARC, in thousandths; `None` where no reports came.
    pub aligned_per_mille: Option<u64>,
}

/// What becomes of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept.
    Pass,
    /// It is not.
    Fail,
    /// It cannot be seen from here.
    Unknown,
    /// It is for bulk senders only, and this domain is none.
    NotNeeded,
}

impl Verdict {
    /// The word in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::NotNeeded => "not-needed",
        }
    }
}

/// A rule with its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Its short name.
    pub rule: &'static str,
    /// Whether it is kept.
    pub verdict: Verdict,
    /// What it wants, and what to do where it is not kept.
    pub text: &'static str,
}

/// Judges a domain by the rules of one receiver.
pub fn judge(profile: Profile, facts: &Facts, language: Language) -> Vec<Judged> {
    let bulk = facts.messages_per_day.map(|n| n >= BULK_MESSAGES_PER_DAY);
    let for_bulk = |found: Found| match (found, bulk) {
        (Found::Yes, _) => Verdict::Pass,
        (_, Some(false)) => Verdict::NotNeeded,
        (Found::No, _) => Verdict::Fail,
        (Found::Unknown, _) => Verdict::Unknown,
    };
    let mut judged = Vec::new();
    let mut add = |rule, verdict, [de, en]: [&'static str; 2]| {
        let text = match language {
            Language::German => de,
            Language::English => en,
        };
        judged.push(Judged {
            rule,
            verdict,
            text,
        });
    };
    match profile {
        Profile::Microsoft => {
            add("spf", for_bulk(facts.spf), SPF);
            add("dkim", for_bulk(facts.dkim), DKIM);
        }
        Profile::Google | Profile::Yahoo => {
            add("spf-or-dkim", plain(either(facts.spf, facts.dkim)), EITHER);
            add("spf-and-dkim", for_bulk(both(facts.spf, facts.dkim)), BOTH);
            add("ptr", plain(facts.names), NAMES);
        }
    }
    if profile == Profile::Google {
        add("tls", plain(facts.tls), TLS);
    }
    let record = match (facts.dmarc, facts.dmarc_known) {
        (Some(_), _) => Found::Yes,
        (None, Found::Yes) => Found::No,
        (None, _) => Found::Unknown,
    };
    add("dmarc", for_bulk(record), DMARC);
    let aligned = match facts.aligned_per_mille {
        Some(share) if share >= 990 => Found::Yes,
        Some(_) => Found::No,
        None => Found::Unknown,
    };
    add("alignment", for_bulk(aligned), ALIGNED);
    add(
        "one-click-unsubscribe",
        for_bulk(Found::Unknown),
        UNSUBSCRIBE,
    );
    if profile != Profile::Microsoft {
        add("spam-rate", Verdict::Unknown, SPAM);
    }
    judged
}

const SPF: [&str; 2] = [
    "SPF muss für jede Adresse bestehen, von der Post ausgeht (rohrpost dns check DOMAIN).",
    "SPF must pass for every address mail leaves from (rohrpost dns check DOMAIN).",
];
const DKIM: [&str; 2] = [
    "Die Post muss mit der eigenen Domain signiert sein (rohrpost dkim list).",
    "Mail must be signed with the domain itself (rohrpost dkim list).",
];
const EITHER: [&str; 2] = [
    "SPF oder DKIM muss bestehen: für alle Absender.",
    "SPF or DKIM must pass: for all senders.",
];
const BOTH: [&str; 2] = [
    "SPF und DKIM müssen bestehen: für alle, die 5000 Nachrichten am Tag und mehr senden.",
    "SPF and DKIM must pass: for whoever sends 5000 messages a day and more.",
];
const NAMES: [&str; 2] = [
    "Jede Adresse, von der Post ausgeht, braucht einen Namen (PTR), der zu ihr zurückführt.",
    "Every address mail leaves from needs a name (PTR) that leads back to it.",
];
const TLS: [&str; 2] = [
    "Post muss über TLS gesendet werden.",
    "Mail must be sent over TLS.",
];
const DMARC: [&str; 2] = [
    "Die Domain braucht einen DMARC-Eintrag, p=none genügt (rohrpost dmarc status DOMAIN).",
    "The domain needs a DMARC record; p=none will do (rohrpost dmarc status DOMAIN).",
];
const ALIGNED: [&str; 2] = [
    "Die Domain in From muss zur Domain von SPF oder DKIM passen; Berichte zeigen, ob sie es tut.",
    "The domain in From must fit that of SPF or DKIM; reports show whether it does.",
];
const UNSUBSCRIBE: [&str; 2] = [
    "Werbung und Rundbriefe brauchen eine Abmeldung mit einem Klick (RFC 8058); das entscheidet, wer sie \
     schreibt.",
    "Marketing mail needs unsubscribing by one click (RFC 8058); that is up to whoever writes it.",
];
const SPAM: [&str; 2] = [
    "Weniger als 0,1 % Beschwerden, nie 0,3 %: zu sehen nur bei der Gegenseite (Postmaster Tools).",
    "Fewer than 0.1 % complaints, never 0.3 %: only the other side can see it (Postmaster Tools).",
];

fn plain(found: Found) -> Verdict {
    match found {
        Found::Yes => Verdict::Pass,
        Found::No => Verdict::Fail,
        Found::Unknown => Verdict::Unknown,
    }
}

fn either(one: Found, other: Found) -> Found {
    match (one, other) {
        (Found::Yes, _) | (_, Found::Yes) => Found::Yes,
        (Found::No, Found::No) => Found::No,
        _ => Found::Unknown,
    }
}

fn both(one: Found, other: Found) -> Found {
    match (one, other) {
        (Found::Yes, Found::Yes) => Found::Yes,
        (Found::No, _) | (_, Found::No) => Found::No,
        _ => Found::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Facts = Facts {
        spf: Found::Yes,
        dkim: Found::Yes,
        dmarc: Some(Wish::None),
        dmarc_known: Found::Yes,
        names: Found::Yes,
        tls: Found::Yes,
        messages_per_day: Some(10_000),
        aligned_per_mille: Some(1000),
    };

    fn failing(profile: Profile, facts: &Facts) -> Vec<&'static str> {
        let judged = judge(profile, facts, Language::English);
        let failing = judged.iter().filter(|j| j.verdict == Verdict::Fail);
        failing.map(|j| j.rule).collect()
    }

    #[test]
    fn a_good_domain_fails_nowhere() {
        for profile in Profile::ALL {
            assert_eq!(failing(profile, &GOOD), [""; 0], "{profile:?}");
        }
    }

    #[test]
    fn each_fault_is_found_where_it_counts() {
        let no_dkim = Facts {
            dkim: Found::No,
            ..GOOD
        };
        assert_eq!(failing(Profile::Google, &no_dkim), ["spf-and-dkim"]);
        assert_eq!(failing(Profile::Microsoft, &no_dkim), ["dkim"]);
        let neither = Facts {
            spf: Found::No,
            ..no_dkim
        };
        assert_eq!(
            failing(Profile::Yahoo, &neither),
            ["spf-or-dkim", "spf-and-dkim"]
        );
        let nameless = Facts {
            names: Found::No,
            ..GOOD
        };
        assert_eq!(failing(Profile::Google, &nameless), ["ptr"]);
        assert_eq!(failing(Profile::Microsoft, &nameless), [""; 0]);
        let bare = Facts {
            dmarc: None,
            ..GOOD
        };
        assert_eq!(failing(Profile::Microsoft, &bare), ["dmarc"]);
        let crooked = Facts {
            aligned_per_mille: Some(989),
            ..GOOD
        };
        assert_eq!(failing(Profile::Google, &crooked), ["alignment"]);
        let clear = Facts {
            tls: Found::No,
            ..GOOD
        };
        assert_eq!(failing(Profile::Google, &clear), ["tls"]);
    }

    #[test]
    fn rules_for_bulk_senders_are_for_them_only() {
        let small = Facts {
            messages_per_day: Some(BULK_MESSAGES_PER_DAY - 1),
            dkim: Found::No,
            dmarc: None,
            ..GOOD
        };
        assert_eq!(failing(Profile::Google, &small), [""; 0]);
        // Nobody knows how many: better told.
        let unknown = Facts {
            messages_per_day: None,
            ..small
        };
        assert_eq!(
            failing(Profile::Google, &unknown),
            ["spf-and-dkim", "dmarc"]
        );
        let dark = Facts {
            dmarc_known: Found::Unknown,
            ..unknown
        };
        assert_eq!(failing(Profile::Google, &dark), ["spf-and-dkim"]);
    }
}

//! Whether a customer may send under the names a message carries: the envelope's sender, and every
//! From, Sender, Resent-From and Resent-Sender of its header. Pure: `claims` reads the names, the rim
//! asks the directory about each (`Standing`), `envelope` and `header` rule. Called by `smtp` on
//! submission; mail from other servers is never judged here.

mod claims;
mod lookalike;

pub use claims::{CLAIMS_MAX, Claim, Claims, Fault, Place, read};
pub use lookalike::resembled_domain;

use crate::model::Stage;
use formats::address::Address;

/// What the directory says about one address and the account that uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It leads to the account (its own address, an alias, a subaddress, a catch-all), was granted to
    /// it, or is an address elsewhere whose control the account has proven.
    Owned,
    /// Its domain is hosted here, but it is not the account's.
    Hosted,
    /// Its domain is hosted elsewhere.
    Foreign,
    /// Its domain is none of ours, but is written with letters that look like those of one.
    LooksLikeOurs,
}

/// Whether a message says of itself that nobody wrote it by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// A report (`multipart/report`, which receipts are) or `Auto-Submitted` other than `no`.
    Automatic,
    /// Anything else.
    Personal,
}

/// What stands against a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// A word for logs and statistics; never changes once released.
    pub reason: &'static str,
    /// What the customer is told in English and German, without codes, ASCII where the address is.
    pub text: String,
    /// A sentence for the operator.
    pub explain: &'static str,
    /// The sender that was used, for the finding.
    pub used: String,
}

/// What becomes of a message with the sender it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// Go on.
    Accept,
    /// Go on, but note this: at the stages `Observe` and `Warn`.
    Note(Objection),
    /// 550 5.7.1: at the stage `Enforce`.
    Refuse(Objection),
}

/// How far the measure has come decides what an objection does.
pub fn at_stage(stage: Stage, objection: Option<Objection>) -> Ruling {
    match (stage, objection) {
        (Stage::Off, _) | (_, None) => Ruling::Accept,
        (Stage::Observe | Stage::Warn, Some(objection)) => Ruling::Note(objection),
        (Stage::Enforce, Some(objection)) => Ruling::Refuse(objection),
    }
}

/// What customers are told they can do, and where to read on.
#[derive(Debug, Clone, Copy)]
pub struct Help<'a> {
    /// Who logged in.
    pub login: &'a str,
    /// Where refusals point, with a final slash.
    pub url: &'a str,
}

impl Help<'_> {
    /// The same in German behind it, without umlauts: a reply is ASCII (RFC 5321 §2.4).
    fn sentence(self, text: &str, german: &str) -> String {
        format!("{text} {german} Help: {}sender", self.url)
    }
}

/// The objection to MAIL FROM, `None` where it may be used. The null sender is not judged here:
/// receipts must have it (RFC 8098 §3) and nothing shows at MAIL whether this is one; `header` judges
/// it when the header is known.
pub fn envelope(address: &Address, standing: Standing, help: Help<'_>) -> Option<Objection> {
    not_owned(Place::Envelope, address, standing, help)
}

/// What is known about the header of a message when it came in whole.
#[derive(Debug, Clone, Copy)]
pub struct HeaderFacts<'a> {
    /// What the header claims, or why it cannot be said.
    pub claims: Result<&'a Claims, Fault>,
    /// One for each claim, in their order.
    pub standings: &'a [Standing],
    /// Set where MAIL FROM was the null sender.
    pub null_sender: Option<Nature>,
}

/// The objection to the header, `None` where its senders may be used. RFC 5322 §3.6.2: several
/// authors need a Sender; here all of them must be the account's as well.
pub fn header(facts: &HeaderFacts<'_>, help: Help<'_>) -> Option<Objection> {
    let claims = match facts.claims {
        Ok(claims) => claims,
        Err(fault) => return Some(faulty(fault, help)),
    };
    let pairs = claims.claims.iter().zip(facts.standings);
    for (claim, standing) in pairs {
        let objection = match claim.place {
            Place::Shown => shown(&claim.address, *standing, help),
            place => not_owned(place, &claim.address, *standing, help),
        };
        if objection.is_some() {
            return objection;
        }
    }
    // What has no standing was not looked up: never taken for owned.
    if facts.standings.len() < claims.claims.len() {
        return Some(faulty(Fault::TooMany, help));
    }
    if claims.count(Place::From) > 1 && claims.count(Place::Sender) == 0 {
        return Some(faulty(Fault::AuthorsWithoutSender, help));
    }
    (facts.null_sender == Some(Nature::Personal)).then(|| Objection {
        reason: "null-sender",
        text: help.sentence(
            "An empty envelope sender is for receipts and automatic replies only, because nobody \
             could be told if this message is lost. Send it with your own address as sender.",
            "Ein leerer Absender ist nur fuer Quittungen und automatische Antworten da; senden Sie mit \
             Ihrer eigenen Adresse.",
        ),
        explain: "MAIL FROM:<> with a message that is neither a report nor marked Auto-Submitted.",
        used: "<>".into(),
    })
}

fn not_owned(
    place: Place,
    address: &Address,
    standing: Standing,
    help: Help<'_>,
) -> Option<Objection> {
    let (reason, explain) = match standing {
        Standing::Owned => return None,
        Standing::Hosted => (
            "sender-of-others",
            "The address is hosted here but does not lead to the account that used it; make an \
             alias or grant the identity if it should.",
        ),
        Standing::Foreign => (
            "sender-elsewhere",
            "The address is hosted elsewhere and the account has not proven that it controls it.",
        ),
        Standing::LooksLikeOurs => (
            "sender-lookalike",
            "The domain is written with letters that look like those of a domain hosted here.",
        ),
    };
    let (what_to_do, german) = match standing {
        Standing::Foreign => (
            "Choose one of your own addresses as sender, or have this one confirmed by a code \
             mailed to it first.",
            "Absender nicht erlaubt: Bitte waehlen Sie eine eigene Adresse, oder lassen Sie diese erst \
             durch einen Code bestaetigen.",
        ),
        _ => (
            "Choose one of your own addresses as sender in the mail program, or ask whoever runs \
             your mail domain to give you this one as an alias.",
            "Absender nicht erlaubt: Bitte waehlen Sie im Mailprogramm eine eigene Adresse.",
        ),
    };
    let text = format!(
        "Sender not allowed: {address} ({}) does not belong to the login {}. {what_to_do}",
        place.words(),
        help.login,
    );
    Some(Objection {
        reason,
        text: help.sentence(&text, german),
        explain,
        used: address.to_string(),
    })
}

/// Mail programs show the display name and hide the address; an address there is read as the sender.
fn shown(address: &Address, standing: Standing, help: Help<'_>) -> Option<Objection> {
    match standing {
        // An address of strangers there is common (`x@example via form`) and fools nobody about us.
        Standing::Owned | Standing::Foreign => None,
        Standing::Hosted | Standing::LooksLikeOurs => Some(Objection {
            reason: "sender-shown",
            text: help.sentence(
                &format!(
                    "Sender not allowed: the name beside your address reads {address}, which does \
                     not belong to the login {}. Take the address out of the name in the mail program.",
                    help.login,
                ),
                "Absender nicht erlaubt: Bitte nehmen Sie die fremde Adresse aus dem angezeigten Namen.",
            ),
            explain: "The display name holds an address of a domain hosted here (or one that looks \
                      so) that is not the account's.",
            used: address.to_string(),
        }),
    }
}

fn faulty(fault: Fault, help: Help<'_>) -> Objection {
    let (reason, text, german, explain, used) = match fault {
        Fault::NoFrom => (
            "no-from",
            "Sender not allowed: the message has no From field, or an empty one. Set your address \
             as sender in the mail program.",
            "Absender nicht erlaubt: Bitte tragen Sie im Mailprogramm Ihre Adresse als Absender ein.",
            "The header has no From, or one without an address (RFC 5322 section 3.6).",
            "From: (none)",
        ),
        Fault::TwoFields(place) => (
            "sender-field-twice",
            "Sender not allowed: a From or Sender field stands twice in the message; mail programs \
             would show different ones. Send it with one of each.",
            "Absender nicht erlaubt: From oder Sender steht zweimal in der Nachricht.",
            "A field that may stand once stands twice (RFC 5322 section 3.6).",
            place.words(),
        ),
        Fault::Group(place) => (
            "sender-group",
            "Sender not allowed: a From or Sender field names a group instead of an address. Set \
             your own address as sender.",
            "Absender nicht erlaubt: From oder Sender nennt eine Gruppe statt einer Adresse.",
            "Group syntax in an originator field (RFC 6854), which shows no sender at all.",
            place.words(),
        ),
        Fault::Unreadable(place) => (
            "sender-unreadable",
            "Sender not allowed: a From or Sender field cannot be read clearly. Write it as \
             \"Name\" <address>, with quotes around a name that has a comma, an @ or brackets.",
            "Absender nicht erlaubt: Bitte setzen Sie den Namen vor der Adresse in Anfuehrungszeichen.",
            "An originator field is not an RFC 5322 mailbox list; mail programs would read it in \
             different ways.",
            place.words(),
        ),
        Fault::TooMany => (
            "sender-too-many",
            "Sender not allowed: the message names too many senders. Set one address as sender.",
            "Absender nicht erlaubt: Bitte nennen Sie nur eine Adresse als Absender.",
            "More addresses in originator fields than are looked up.",
            "From: (many)",
        ),
        Fault::AuthorsWithoutSender => (
            "authors-without-sender",
            "Sender not allowed: From has several addresses and there is no Sender field that says \
             who sent it (RFC 5322 section 3.6.2). Set one address as sender.",
            "Absender nicht erlaubt: Bitte nennen Sie nur eine Adresse als Absender.",
            "Several From addresses without Sender.",
            "From: (several)",
        ),
    };
    Objection {
        reason,
        text: help.sentence(text, german),
        explain,
        used: used.to_owned(),
    }
}

#[cfg(test)]
mod tests;

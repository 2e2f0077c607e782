//! What a rule may ask about: every fact by name, its kind, and at which points it is known. Data only; the
//! reader of rules, the linter, the web form and the manual are made from this one table.

use super::rule::Point;
use formats::language::Language;
use std::fmt;
use std::str::FromStr;

/// What kind of value a fact has, and so which operators fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Yes or no.
    Flag,
    /// A whole number from 0.
    Number,
    /// Text; upper and lower case of ASCII letters are the same.
    Text,
    /// An IP address.
    Address,
    /// A TLS version.
    Version,
    /// A time of the day, as clocks show it where the installation is.
    Time,
    /// A day of the week there.
    Weekday,
}

/// What there is to know about a fact.
#[derive(Debug)]
pub struct Described {
    /// The word in rules.
    pub word: &'static str,
    /// The kind of its value.
    pub kind: Kind,
    /// The first point at which it can be known.
    pub from: Point,
    /// For people, English and German.
    pub says: [&'static str; 2],
}

macro_rules! facts {
    ($($name:ident $word:literal $kind:ident $from:ident $en:literal $de:literal;)*) => {
        /// Something a rule may ask about.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Fact {
            $(#[doc = $en] $name,)*
            /// The values of the header field with this name, in lower case.
            Header(Box<str>),
            /// How many header fields have this name, in lower case.
            HeaderCount(Box<str>),
        }

        /// Every fact but those of the header, in the order in which they are shown.
        pub const FACTS: &[(Fact, Described)] = &[$((Fact::$name, Described {
            word: $word,
            kind: Kind::$kind,
            from: Point::$from,
            says: [$en, $de],
        }),)*];

        impl Fact {
            /// The fact's place in `FACTS`; those of the header come after all.
            pub(super) fn place(&self) -> usize {
                #[allow(non_camel_case_types)]
                enum Place { $($name,)* Header, HeaderCount }
                match self {
                    $(Self::$name => Place::$name as usize,)*
                    Self::Header(_) => Place::Header as usize,
                    Self::HeaderCount(_) => Place::HeaderCount as usize,
                }
            }
        }
    };
}

facts! {
    Client "client" Address Connect "the client's address" "die Adresse des Clients";
    ReverseName "reverse-name" Text Connect "the client's name in the DNS" "der Name des Clients im DNS";
    Port "port" Number Connect "the listener's port" "der Port";
    Service "service" Text Connect "the service (mx, securemx, submission)" "der Dienst (mx, securemx, submission)";
    Door "door" Text Connect "the door (normal, legacy)" "der Zugang (normal, legacy)";
    Tls "tls" Flag Connect "the connection uses TLS" "die Verbindung nutzt TLS";
    TlsVersion "tls-version" Version Connect "the TLS version" "die TLS-Version";
    Cipher "cipher" Text Connect "the TLS cipher suite" "die TLS-Chiffre";
    Program "program" Text Hello "the mail program, as product/version/platform" "das Mailprogramm als Produkt/Version/Plattform";
    Hello "hello" Text Hello "the name after EHLO" "der Name nach EHLO";
    Mechanism "mechanism" Text Auth "the way of logging in" "das Anmeldeverfahren";
    Authenticated "authenticated" Flag Connect "somebody is logged in" "jemand ist angemeldet";
    Account "account" Text Connect "the account that is logged in" "das angemeldete Konto";
    AccountGroup "account-group" Text Connect "the group of the account that is logged in" "die Gruppe des angemeldeten Kontos";
    Direction "direction" Text Mail "the direction (inbound, outbound)" "die Richtung (inbound, outbound)";
    Sender "sender" Text Mail "the envelope sender" "der Absender im Umschlag";
    SenderDomain "sender-domain" Text Mail "the domain of the envelope sender" "die Domain des Absenders im Umschlag";
    Recipient "recipient" Text Rcpt "a recipient" "ein Empfänger";
    RecipientDomain "recipient-domain" Text Rcpt "the domain of a recipient" "die Domain eines Empfängers";
    RecipientGroup "recipient-group" Text Rcpt "the customer group of a recipient" "die Kundengruppe eines Empfängers";
    Recipients "recipients" Number Rcpt "the number of recipients" "die Zahl der Empfänger";
    Size "size" Number Mail "the size in bytes" "die Größe in Bytes";
    Tag "tag" Text Connect "a tag an earlier rule set" "eine Marke, die eine frühere Regel setzte";
    Time "time" Time Connect "the time of the day" "die Uhrzeit";
    Weekday "weekday" Weekday Connect "the day of the week" "der Wochentag";
}

/// Header fields one rule set may ask about.
pub(super) const HEADER_NAMES_MAX: usize = 100;
/// Longest name of a header field that may be asked about, in bytes.
const NAME_BYTES_MAX: usize = 100;

impl Fact {
    /// The fact of this place in `FACTS`.
    fn described(&self) -> Option<&'static Described> {
        FACTS.get(self.place()).map(|(_, described)| described)
    }

    /// The kind of its value.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Header(_) => Kind::Text,
            Self::HeaderCount(_) => Kind::Number,
            _ => self.described().map_or(Kind::Text, |d| d.kind),
        }
    }

    /// Whether it can be known at this point.
    pub fn known_at(&self, point: Point) -> bool {
        let from = match self {
            Self::Header(_) | Self::HeaderCount(_) => Point::Data,
            _ => self.described().map_or(Point::Connect, |d| d.from),
        };
        // What leaves is tried hours after the session ended: of it the queue knows the envelope only.
        let of_envelope = matches!(
            self,
            Self::AccountGroup
                | Self::Authenticated
                | Self::Direction
                | Self::SenderDomain
                | Self::RecipientDomain
                | Self::Time
                | Self::Weekday
                | Self::Tag
        );
        let asked_in_auth = point == Point::Auth || *self != Self::Mechanism;
        from <= point && asked_in_auth && (point != Point::Deliver || of_envelope)
    }

    /// What it is, for people.
    pub fn says(&self, language: Language) -> String {
        let german = language == Language::German;
        match self {
            Self::Header(name) if german => format!("das Header-Feld {name}"),
            Self::Header(name) => format!("the header field {name}"),
            Self::HeaderCount(name) if german => format!("die Zahl der Header-Felder {name}"),
            Self::HeaderCount(name) => format!("the number of header fields {name}"),
            _ => {
                let says = self.described().map_or(["", ""], |d| d.says);
                says[usize::from(german)].to_owned()
            }
        }
    }
}

impl fmt::Display for Fact {
    /// The word in rules.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::HeaderCount(name) => write!(f, "header-count:{name}"),
            _ => f.write_str(self.described().map_or("", |d| d.word)),
        }
    }
}

impl FromStr for Fact {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("header:") {
            return field_name(name).map(Self::Header);
        }
        if let Some(name) = text.strip_prefix("header-count:") {
            return field_name(name).map(Self::HeaderCount);
        }
        let known = FACTS.iter().find(|(_, d)| d.word == text);
        known.map(|(fact, _)| fact.clone()).ok_or_else(|| {
            let words: Vec<_> = FACTS.iter().map(|(_, d)| d.word).collect();
            format!(
                "there is no fact \"{}\"; give one of {}, header:NAME, header-count:NAME",
                super::rule::shown(text),
                words.join(", ")
            )
        })
    }
}

impl TryFrom<String> for Fact {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Fact> for String {
    fn from(fact: Fact) -> Self {
        fact.to_string()
    }
}

/// RFC 5322 §3.6.8.
fn field_name(name: &str) -> Result<Box<str>, String> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| matches!(b, 33..=57 | 59..=126));
    fits.then(|| name.to_ascii_lowercase().into())
        .ok_or_else(|| {
            format!(
                "\"{}\" is no name of a header field",
                super::rule::shown(name)
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_is_found_by_its_word_and_stands_in_its_place() {
        for (place, (fact, described)) in FACTS.iter().enumerate() {
            assert_eq!(fact.place(), place);
            assert_eq!(described.word.parse::<Fact>().as_ref(), Ok(fact));
            assert_eq!(fact.to_string(), described.word);
        }
        assert_eq!(
            "header:X-Spam".parse(),
            Ok(Fact::Header("x-spam".into())),
            "names have no case"
        );
        assert!("header:a b".parse::<Fact>().is_err());
        assert!("colour".parse::<Fact>().is_err());
    }

    #[test]
    fn what_comes_later_is_not_known_before() {
        assert!(!Fact::Recipient.known_at(Point::Mail));
        assert!(Fact::Recipient.known_at(Point::Rcpt));
        assert!(!Fact::Header("to".into()).known_at(Point::Rcpt));
        assert!(Fact::Header("to".into()).known_at(Point::Route));
        assert!(!Fact::Header("to".into()).known_at(Point::Deliver));
        assert!(Fact::SenderDomain.known_at(Point::Deliver));
    }
}

//! The registry of settings: every name that can be set, where, how several scopes combine, and what it
//! is for. The CLI's help, `policy show` and the state file are made from it. Pure.

mod staged;
mod value;

pub(crate) use value::pool_name;
pub use value::{Switch, Value};

use crate::model::Scope;
use std::fmt;

/// A kind of scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKind {
    /// Everybody here.
    Installation,
    /// A group of customers.
    Group,
    /// A hosted domain.
    Domain,
    /// An account.
    Account,
}

impl ScopeKind {
    /// Of a scope.
    pub fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Installation => Self::Installation,
            Scope::Group(_) => Self::Group,
            Scope::Domain(_) => Self::Domain,
            Scope::Account(_) => Self::Account,
        }
    }

    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Installation => "installation",
            Self::Group => "group",
            Self::Domain => "domain",
            Self::Account => "account",
        }
    }
}

/// How values of several scopes make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combination {
    /// That of the account stands before that of the domain, then group, then installation.
    MostSpecific,
    /// The strictest wins, wherever it was set.
    Strictest,
    /// All of them hold, the installation's first.
    All,
    /// There is only one scope.
    Single,
}

/// What there is to know about a name.
#[derive(Debug)]
pub struct Described {
    /// The name.
    pub name: Name,
    /// The word on the command line, in files and in the store.
    pub word: &'static str,
    /// Where it can be set.
    pub scopes: &'static [ScopeKind],
    /// How several scopes combine.
    pub combination: Combination,
    /// What can be given.
    pub syntax: &'static str,
    /// What holds where nothing is set.
    pub default: &'static str,
    /// What it does.
    pub says: &'static str,
}

macro_rules! names {
    ($($name:ident $word:literal [$($scope:ident)*] $combination:ident $syntax:literal, $default:literal, $says:literal;)*) => {
        /// What can be set.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Name {
            $(#[doc = $says] $name,)*
        }

        /// Every name, in the order in which they are shown.
        pub const NAMES: &[Described] = &[$(Described {
            name: Name::$name,
            word: $word,
            scopes: &[$(ScopeKind::$scope),*],
            combination: Combination::$combination,
            syntax: $syntax,
            default: $default,
            says: $says,
        }),*];
    };
}

names! {
    SenderOwnership "sender-ownership" [Installation Group Domain Account] MostSpecific
        "SCHEDULE", "enforce",
        "Whether accounts may send only as their own addresses.";
    TlsVersion "tls-version" [Installation Group Domain Account] MostSpecific
        "1.2 | 1.3 [SCHEDULE]", "1.2 enforce",
        "The lowest TLS version of a service (mx, submission, imap, pop3, managesieve, http; * for all), and since when. What is below 1.2 can go on at submission, imap and pop3 while 1.2 is not enforced; with 1.3 it is refused in any case.";
    Cleartext "cleartext" [Installation Group Domain Account] MostSpecific
        "SCHEDULE", "enforce",
        "The end of logins in clear at a service (submission, imap, pop3, managesieve; * for all). Below enforce a SCHEDULE must say when it ends.";
    LegacyAccess "legacy-access" [Installation Domain] MostSpecific
        "off | forbidden | until DATE [tls=1.0,1.1] [cleartext]", "off",
        "Until when enrolled accounts may use the legacy hosts, with which old TLS versions, and whether in clear. A domain can forbid it to its accounts.";
    OutboundTls "outbound-tls" [Installation Group Domain Account] Strictest
        "off | required [SCHEDULE] | authenticated [SCHEDULE]", "off",
        "Whether mail leaves only over TLS; authenticated: and only to servers that prove their name.";
    InboundTls "inbound-tls" [Domain] Single
        "off | required [\"[SCHEDULE]\"] [TEXT]", "off",
        "Whether mail for the domain is taken only over TLS; TEXT is what other servers are told at RCPT. Needs consent.";
    SpoofedSender "spoofed-sender" [Installation Group Domain Account] MostSpecific
        "[score | junk | reject] SCHEDULE", "reject observe",
        "What becomes of mail from other servers that says it is from a hosted domain, where neither SPF nor DKIM nor a trusted forwarder answers for that. Each level does at warn what the next milder one does.";
    TrustedSealers "trusted-sealers" [Installation Domain] All
        "DOMAIN ...", "",
        "Forwarders and mailing lists that are believed (d= of their ARC seals) when they say that a sender of a hosted domain was genuine.";
    TrustedRelays "trusted-relays" [Installation Domain] All
        "NETWORK ...", "",
        "Servers of one's own, such as a gateway in front, whose mail with senders of hosted domains is not asked for proofs.";
    Dane "dane" [Installation] Single
        "enforce | audit | off", "enforce",
        "What DANE (RFC 7672) does to outgoing mail; audit checks and reports without stopping anything.";
    Pool "pool" [Installation Group Domain Account] MostSpecific
        "NAME", "",
        "The pool of source addresses mail leaves from; see `rohrpost pool`.";
    Weight "weight" [Installation Group] MostSpecific
        "1 to 1000", "10",
        "A group's share of delivery attempts where several groups wait.";
    Priority "priority" [Installation Group] MostSpecific
        "-9 to 9", "0",
        "Whose mail goes first within a share; the higher first.";
    Delay "delay" [Installation Group] MostSpecific
        "none | 90s | 10m | 2h | HH:MM-HH:MM", "none",
        "When a group's mail may leave: so long after it was accepted, or between two times of the day.";
    HoldBack "hold-back" [Installation Domain Account] MostSpecific
        "0 | 5 | 10 | 20 | 30 (seconds)", "0",
        "How long submitted mail is held so that its sender can take it back.";
    MessagesPerHour "messages-per-hour" [Installation Group Domain Account] MostSpecific
        "NUMBER | none", "none",
        "Messages each account may send in an hour.";
    RecipientsPerDay "recipients-per-day" [Installation Group Domain Account] MostSpecific
        "NUMBER | none", "none",
        "Recipients each account may write to in a day.";
    NewRecipientsPerDay "new-recipients-per-day" [Installation Group Domain Account] MostSpecific
        "NUMBER | none", "none",
        "Recipients each account may write to in a day that it did not write to in the 30 days before.";
    RecipientsPerMessage "recipients-per-message" [Installation Group Domain Account] MostSpecific
        "NUMBER | none", "none",
        "Recipients of one message.";
    DomainMessagesPerHour "domain-messages-per-hour" [Installation Group Domain] MostSpecific
        "NUMBER | none", "none",
        "Messages all accounts of a domain may send in an hour, together.";
    DomainRecipientsPerDay "domain-recipients-per-day" [Installation Group Domain] MostSpecific
        "NUMBER | none", "none",
        "Recipients all accounts of a domain may write to in a day, together.";
    DomainNewRecipientsPerDay "domain-new-recipients-per-day" [Installation Group Domain] MostSpecific
        "NUMBER | none", "none",
        "New recipients all accounts of a domain may write to in a day, together.";
    GroupMessagesPerHour "group-messages-per-hour" [Installation Group] MostSpecific
        "NUMBER | none", "none",
        "Messages all accounts of a group may send in an hour, together.";
    GroupRecipientsPerDay "group-recipients-per-day" [Installation Group] MostSpecific
        "NUMBER | none", "none",
        "Recipients all accounts of a group may write to in a day, together.";
    GroupNewRecipientsPerDay "group-new-recipients-per-day" [Installation Group] MostSpecific
        "NUMBER | none", "none",
        "New recipients all accounts of a group may write to in a day, together.";
    StripOrigin "strip-origin" [Installation Domain] MostSpecific
        "on | off", "on",
        "Whether fields that tell where a sender sits (X-Originating-IP, X-PHP-Script and the like) are removed from outgoing mail.";
    StripMailProgram "strip-mail-program" [Installation Domain] MostSpecific
        "on | off", "off",
        "Whether User-Agent and X-Mailer are removed from outgoing mail.";
    HeadersOutbound "headers-outbound" [Installation Domain] All
        "ACTION ...", "",
        "What is done to header fields of outgoing mail before it is signed, such as \"remove first X-Originating-IP\".";
    HeadersInbound "headers-inbound" [Installation Domain] All
        "ACTION ...", "",
        "What is done to header fields of mail for a domain after it was checked.";
    Language "language" [Installation Domain Account] MostSpecific
        "de | en", "notices.first_language",
        "Which language notices to senders begin with; the other one follows.";
    HelpUrl "help-url" [Installation] Single
        "https://.../", "https://NODE'S-NAME/h/",
        "Where refusals point for help; a short word is put behind it.";
    TimeZone "time-zone" [Installation] Single
        "NAME such as Europe/Berlin", "Europe/Berlin",
        "The time zone in which times of the day and days are meant.";
    RelaySource "relay-source" [Account] Single
        "NETWORK ... [cleartext]", "",
        "A server that hands mail in for an account without a login, such as a web server; see `rohrpost relay-source`.";
    Destination "destination" [Installation Group Domain Account] MostSpecific
        "LEVEL [version=1.3] [names=A,B] [fingerprints=SHA256,..] [next-hop=HOST[:PORT]] [exception]", "",
        "How mail for one destination domain travels; see `rohrpost destination`.";
    PoolAddresses "pool-addresses" [Installation] Single
        "ADDRESS ... [hello=NAME]", "",
        "The addresses of a pool and the name it greets with; see `rohrpost pool`.";
}

impl Name {
    /// What there is to know about it.
    pub fn described(self) -> &'static Described {
        // The table is made of the same list as the enum, in its order.
        &NAMES[self as usize]
    }

    /// The name with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        NAMES.iter().find(|d| d.word == word).map(|d| d.name)
    }

    /// Whether it has several items in one scope, such as destinations.
    pub fn has_items(self) -> bool {
        matches!(
            self,
            Self::Destination
                | Self::PoolAddresses
                | Self::TlsVersion
                | Self::Cleartext
                | Self::RelaySource
        )
    }

    /// Whether somebody's safety rests on it: a value that cannot be read must not be taken for none.
    pub fn is_duty(self) -> bool {
        matches!(
            self,
            Self::SenderOwnership
                | Self::TlsVersion
                | Self::Cleartext
                | Self::LegacyAccess
                | Self::OutboundTls
                | Self::InboundTls
                | Self::SpoofedSender
                | Self::Dane
                | Self::Destination
                | Self::StripOrigin
                // Dates of measures are meant in it.
                | Self::TimeZone
        )
    }

    /// Whether it is a measure: a value with stages and dates.
    pub fn is_measure(self) -> bool {
        matches!(
            self,
            Self::SenderOwnership
                | Self::TlsVersion
                | Self::Cleartext
                | Self::OutboundTls
                | Self::InboundTls
                | Self::SpoofedSender
        )
    }

    /// Whether it can be set at such a scope; otherwise why not and what to do instead.
    ///
    /// # Errors
    /// A sentence for the person who tried.
    pub fn check_scope(self, kind: ScopeKind) -> Result<(), String> {
        let described = self.described();
        if described.scopes.contains(&kind) {
            return Ok(());
        }
        if self == Self::InboundTls {
            return Err(format!(
                "inbound-tls can be set for a whole domain only, not for {}: a server that brings mail \
                 decides about encryption for a domain, and one account would get mail the others lose. \
                 Set it on the domain.\n\
                 inbound-tls gilt nur für ganze Domains, nicht für einzelne Accounts: Stellen Sie es für \
                 die Domain ein.",
                match kind {
                    ScopeKind::Account => "a single account",
                    ScopeKind::Group => "a group",
                    _ => "the installation",
                }
            ));
        }
        let words: Vec<_> = described.scopes.iter().map(|kind| kind.word()).collect();
        Err(format!(
            "{} cannot be set for {}; it can be set for: {}",
            described.word,
            match kind {
                ScopeKind::Installation => "the installation",
                ScopeKind::Group => "a group",
                ScopeKind::Domain => "a domain",
                ScopeKind::Account => "an account",
            },
            words.join(", ")
        ))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.described().word)
    }
}

#[cfg(test)]
mod tests;

//! Changes of records (TXT, A, AAAA) on a date: planned with what is there today, made known faster beforehand (the time to
//! live is lowered), carried out, and taken back on request. What is next is decided by `next`, pure; a chore
//! calls `ZoneChanges::tick`, and a `Publisher` changes zones or says that people do.

pub mod look;
mod rows;
mod service;
#[cfg(test)]
mod tests;

pub use rows::SCHEMA;
pub use service::{
    Held, NewChange, Published, Publisher, Seen, ZoneChangeError, ZoneChanges, remove_domain,
};

use platform::clock::Timestamp;
use platform::dns::update::{RecordKind, ZoneRecord};
use std::time::Duration;

/// The time to live around a change, in seconds: how long a mistake lasts.
pub const SHORT_TTL_SECONDS: u32 = 300;
/// How long before the date the time to live is lowered, beside the old time to live itself.
pub const LEAD_TIME: Duration = Duration::from_secs(3600);
/// How long after the date the short time to live stays.
pub const SETTLE_TIME: Duration = Duration::from_secs(48 * 3600);

/// How far a change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing was done yet.
    Planned,
    /// The old record has a short time to live.
    Shortened,
    /// The new record is there, with a short time to live.
    Published,
    /// The new record has its own time to live.
    Settled,
    /// The old record is there again.
    RolledBack,
    /// It was called off before its date.
    Cancelled,
    /// Somebody else changed the record meanwhile; nothing more is done.
    Overtaken,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Planned,
        Self::Shortened,
        Self::Published,
        Self::Settled,
        Self::RolledBack,
        Self::Cancelled,
        Self::Overtaken,
    ];

    /// The word in the store, in JSON and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Shortened => "shortened",
            Self::Published => "published",
            Self::Settled => "settled",
            Self::RolledBack => "rolled-back",
            Self::Cancelled => "cancelled",
            Self::Overtaken => "overtaken",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether the new record is in the zone.
    pub fn is_published(self) -> bool {
        matches!(self, Self::Published | Self::Settled)
    }

    /// Whether something is still to come.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Planned | Self::Shortened | Self::Published)
    }
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub id: i64,
    /// The hosted domain it is for, or the host name where it is about one of the server's own.
    pub domain: String,
    /// The record's name.
    pub owner: String,
    /// What is there before.
    pub before: ZoneRecord,
    /// What is there after.
    pub after: ZoneRecord,
    /// When.
    pub at: Timestamp,
    /// How far it has come.
    pub state: State,
    /// What went wrong last, in words; empty: nothing.
    pub trouble: String,
    /// Who planned it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Who changes the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// This program.
    Ours,
    /// People; this program only looks whether they did.
    People,
}

/// What is to be done for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing yet.
    Wait,
    /// Give the old record a short time to live.
    Shorten,
    /// Put the new record in its place.
    Publish,
    /// Give the new record its own time to live.
    Settle,
    /// Look whether people have changed it.
    Look,
}

/// Rules on what is next.
pub fn next(change: &Change, hand: Hand, now: Timestamp) -> Act {
    match (change.state, hand) {
        (State::Planned | State::Shortened, Hand::People) if now >= change.at => Act::Look,
        (State::Planned | State::Shortened, Hand::Ours) if now >= change.at => Act::Publish,
        (State::Planned, Hand::Ours) if wants_shortening(change) && now >= shorten_at(change) => {
            Act::Shorten
        }
        (State::Published, Hand::Ours) if now >= change.at.plus(SETTLE_TIME) => Act::Settle,
        _ => Act::Wait,
    }
}

fn wants_shortening(change: &Change) -> bool {
    change.before.text.is_some() && change.before.ttl_seconds > SHORT_TTL_SECONDS
}

/// When the time to live is lowered: whoever asked a moment before has forgotten by the date.
pub fn shorten_at(change: &Change) -> Timestamp {
    let remembered = i64::from(change.before.ttl_seconds) * 1000;
    let lead = i64::try_from(LEAD_TIME.as_millis()).unwrap_or(i64::MAX);
    Timestamp(change.at.0.saturating_sub(remembered).saturating_sub(lead))
}

/// A change as a diff of zone file lines.
pub fn diff(change: &Change) -> String {
    let lines = |sign: char, record: &ZoneRecord| {
        let line = |data: &str| {
            let (owner, kind) = (&change.owner, record.kind.word());
            format!("{sign} {owner}. {} IN {kind} {data}\n", record.ttl_seconds)
        };
        match (&record.text, record.kind) {
            (None, _) => String::new(),
            (Some(text), RecordKind::Txt) => line(&quoted(text)),
            (Some(text), RecordKind::A | RecordKind::Aaaa) => text.split(' ').map(line).collect(),
        }
    };
    lines('-', &change.before) + &lines('+', &change.after)
}

/// A text as a zone file writes it, in strings of at most 255 octets.
pub(crate) fn quoted(text: &str) -> String {
    let mut strings = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(255);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (string, after) = rest.split_at(end);
        let escaped = string.replace('\\', "\\\\").replace('"', "\\\"");
        strings.push(format!("\"{escaped}\""));
        rest = after;
    }
    strings.join(" ")
}

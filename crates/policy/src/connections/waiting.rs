//! Connections that wait in memory for the chore. A login like the one before costs two lookups by a number
//! and an address and allocates nothing. Everything is bounded; what does not fit is counted as lost.

use super::live::{Event, Live, Teller};
use super::{
    CIPHER_BYTES_MAX, CLIENT_BYTES_MAX, Contact, Manner, Outcome, Seen, WAITING_MAX,
    WAITING_PER_ACCOUNT_MAX, day,
};
use directory::AccountId;
use platform::clock::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;

/// An account's address is written again when this long has gone by, in milliseconds.
const ORIGIN_WRITTEN_EVERY_MS: i64 = 6 * 3600 * 1000;
/// Addresses that were written lately and are remembered so that they are not written with every login.
const ORIGINS_REMEMBERED_MAX: usize = 200_000;

/// Something to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// An account logged in from an address.
    Origin {
        address: IpAddr,
        account: AccountId,
        at: Timestamp,
    },
    /// How an account that was named connected.
    Named { account: AccountId, row: Row },
    /// A failure before anybody was named.
    Stranger(Row),
    /// One of an account's logins was counted for the wrong program.
    Mistaken {
        account: AccountId,
        manner: Manner,
        order: u64,
    },
}

/// Connections of one manner, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) manner: Manner,
    /// Where it came from; `None` for logins, which need no other proof.
    pub(super) peer: Option<IpAddr>,
    pub(super) seen: u64,
    pub(super) first_day: i64,
    pub(super) last_day: i64,
    /// Which came later: of two rows the one with the greater number.
    pub(super) order: u64,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    named: HashMap<AccountId, Vec<Row>>,
    strangers: HashMap<(IpAddr, Manner), Row>,
    mistaken: Vec<(AccountId, Manner, u64)>,
    origins: Vec<(IpAddr, AccountId, Timestamp)>,
    /// When an account's address was handed on to be written.
    handed_on: HashMap<(IpAddr, AccountId), Timestamp>,
    watched: HashMap<AccountId, Teller>,
    kept: usize,
    lost: u64,
    order: u64,
}

impl Waiting {
    pub(super) fn note(&mut self, seen: &Seen<'_>) {
        let contact = &seen.contact;
        let peer = contact.peer.to_canonical();
        let proved = contact.outcome == Outcome::LoggedIn;
        if proved {
            self.came_from(peer, seen.account, contact.now);
        }
        if !self.watched.is_empty()
            && let Some(teller) = self.watched.get(&seen.account)
        {
            teller.tell(Event {
                manner: manner(contact),
                at: contact.now,
            });
        }
        self.order += 1;
        let (order, today) = (self.order, day(contact.now));
        let peer = (!proved).then_some(peer);
        let rows = self.named.entry(seen.account).or_default();
        let is_full = self.kept >= WAITING_MAX || rows.len() >= WAITING_PER_ACCOUNT_MAX;
        let known = rows
            .iter_mut()
            .find(|row| row.peer == peer && is_like(&row.manner, contact));
        match known {
            Some(row) => row.again(today, order),
            None if is_full => {
                self.lost += 1;
            }
            None => {
                rows.push(Row::once(manner(contact), peer, today, order));
                self.kept += 1;
            }
        }
    }

    /// The login that was noted as `before` is taken back.
    pub(super) fn take_back(&mut self, before: &Seen<'_>) {
        let rows = self.named.entry(before.account).or_default();
        let waits = rows
            .iter()
            .position(|row| row.peer.is_none() && is_like(&row.manner, &before.contact));
        if let Some(row) = waits.and_then(|n| rows.get_mut(n)) {
            row.seen -= 1;
        } else if self.mistaken.len() < WAITING_MAX {
            self.order += 1;
            let manner = manner(&before.contact);
            self.mistaken.push((before.account, manner, self.order));
        }
        if let Some(n) = waits
            && rows.get(n).is_some_and(|row| row.seen == 0)
        {
            rows.swap_remove(n);
            self.kept -= 1;
        }
    }

    pub(super) fn note_stranger(&mut self, contact: &Contact<'_>) {
        self.order += 1;
        let (order, today) = (self.order, day(contact.now));
        let peer = contact.peer.to_canonical();
        let key = (peer, manner(contact));
        if let Some(row) = self.strangers.get_mut(&key) {
            row.again(today, order);
        } else if self.kept >= WAITING_MAX {
            self.lost += 1;
        } else {
            let row = Row::once(key.1.clone(), Some(peer), today, order);
            self.strangers.insert(key, row);
            self.kept += 1;
        }
    }

    fn came_from(&mut self, peer: IpAddr, account: AccountId, now: Timestamp) {
        let key = (peer, account);
        let fresh = |at: &Timestamp| (0..ORIGIN_WRITTEN_EVERY_MS).contains(&(now.0 - at.0));
        if self.handed_on.get(&key).is_some_and(fresh) {
            return;
        }
        if self.origins.len() >= WAITING_MAX {
            self.lost += 1;
            return;
        }
        if self.handed_on.len() >= ORIGINS_REMEMBERED_MAX {
            self.handed_on.clear();
        }
        self.handed_on.insert(key, now);
        self.origins.push((peer, account, now));
    }

    pub(super) fn watch(&mut self, account: AccountId) -> Live {
        self.watched.retain(|_, teller| teller.is_heard());
        self.watched.entry(account).or_default().listen()
    }

    /// What is to be written, in the order in which it happened and addresses first, and how many could
    /// not be kept.
    pub(super) fn take(&mut self) -> (Vec<Part>, u64) {
        let origins = std::mem::take(&mut self.origins).into_iter();
        let origins = origins.map(|(address, account, at)| Part::Origin {
            address,
            account,
            at,
        });
        let named = std::mem::take(&mut self.named).into_iter();
        let named = named.flat_map(|(account, rows)| {
            rows.into_iter()
                .map(move |row| Part::Named { account, row })
        });
        let strangers = std::mem::take(&mut self.strangers).into_values();
        let mistaken = std::mem::take(&mut self.mistaken).into_iter();
        let mistaken = mistaken.map(|(account, manner, order)| Part::Mistaken {
            account,
            manner,
            order,
        });
        let mut parts: Vec<Part> = named
            .chain(strangers.map(Part::Stranger))
            .chain(mistaken)
            .collect();
        parts.sort_by_key(Part::order);
        self.kept = 0;
        (
            origins.chain(parts).collect(),
            std::mem::take(&mut self.lost),
        )
    }

    /// Something could not be written: it goes on waiting, as long as there is room.
    pub(super) fn put_back(&mut self, part: Part) {
        match part {
            Part::Origin {
                address,
                account,
                at,
            } => self.origins.push((address, account, at)),
            Part::Named { account, row } => {
                let rows = self.named.entry(account).or_default();
                let known = rows
                    .iter_mut()
                    .find(|known| known.peer == row.peer && known.manner == row.manner);
                match known {
                    Some(known) => known.and(&row),
                    None if self.kept >= WAITING_MAX => self.lost += row.seen,
                    None => {
                        rows.push(row);
                        self.kept += 1;
                    }
                }
            }
            Part::Mistaken {
                account,
                manner,
                order,
            } => self.mistaken.push((account, manner, order)),
            Part::Stranger(row) => {
                let Some(peer) = row.peer else { return };
                let known = self.strangers.get_mut(&(peer, row.manner.clone()));
                match known {
                    Some(known) => known.and(&row),
                    None if self.kept >= WAITING_MAX => self.lost += row.seen,
                    None => {
                        self.strangers.insert((peer, row.manner.clone()), row);
                        self.kept += 1;
                    }
                }
            }
        }
    }
}

impl Part {
    fn order(&self) -> u64 {
        match self {
            Self::Origin { .. } => 0,
            Self::Named { row, .. } | Self::Stranger(row) => row.order,
            Self::Mistaken { order, .. } => *order,
        }
    }
}

impl Row {
    fn once(manner: Manner, peer: Option<IpAddr>, day: i64, order: u64) -> Self {
        Self {
            manner,
            peer,
            seen: 1,
            first_day: day,
            last_day: day,
            order,
        }
    }

    fn again(&mut self, day: i64, order: u64) {
        self.seen = self.seen.saturating_add(1);
        self.first_day = self.first_day.min(day);
        self.last_day = self.last_day.max(day);
        self.order = order;
    }

    fn and(&mut self, earlier: &Self) {
        self.seen = self.seen.saturating_add(earlier.seen);
        self.first_day = self.first_day.min(earlier.first_day);
        self.last_day = self.last_day.max(earlier.last_day);
    }
}

fn is_like(manner: &Manner, contact: &Contact<'_>) -> bool {
    manner.outcome == contact.outcome
        && manner.service == contact.service
        && manner.port == contact.port
        && manner.encryption == contact.encryption
        && manner.door == contact.door
        && manner.tls == contact.tls.map(|(version, _)| version)
        && *manner.cipher
            == *cut(
                contact.tls.map_or("", |(_, cipher)| cipher),
                CIPHER_BYTES_MAX,
            )
        && *manner.client == *cut(contact.client, CLIENT_BYTES_MAX)
}

fn manner(contact: &Contact<'_>) -> Manner {
    Manner {
        service: contact.service,
        port: contact.port,
        encryption: contact.encryption,
        door: contact.door,
        tls: contact.tls.map(|(version, _)| version),
        cipher: cut(
            contact.tls.map_or("", |(_, cipher)| cipher),
            CIPHER_BYTES_MAX,
        )
        .into(),
        client: cut(contact.client, CLIENT_BYTES_MAX).into(),
        outcome: contact.outcome,
    }
}

/// At most `bytes_max` bytes of `text`, without what the store cannot hold.
fn cut(text: &str, bytes_max: usize) -> &str {
    let end = text.find('\0').unwrap_or(text.len()).min(bytes_max);
    text.get(..text.floor_char_boundary(end))
        .unwrap_or_default()
}

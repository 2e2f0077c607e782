//! What rules say about an attempt to bring mail to another server: from which addresses, and what TLS must be like.
//! Joined with the settings for the destination, which a rule can only make stricter. Pure; routing and the SMTP
//! client ask.

use super::action::Action;
use super::evaluate::{Decision, evaluate};
use super::facts::{Facts, Known, Recipient, Way};
use super::rule::Point;
use crate::model::{DestinationRule, Pool, Sender, TlsLevel};
use crate::snapshot::Snapshot;
use platform::clock::Timestamp;
use std::borrow::Cow;
use std::net::IpAddr;

/// How a message of one sender leaves for one destination.
#[derive(Debug, Default)]
pub struct Outgoing<'s> {
    /// What its transport must be like; `None`: nothing was said.
    pub destination: Option<Cow<'s, DestinationRule>>,
    /// Where it leaves from; `None`: the system's own addresses.
    pub pool: Option<Cow<'s, Pool>>,
    /// What the rules said, for findings.
    pub decision: Decision<'s>,
}

impl Snapshot {
    /// How mail from `sender` to `domain` (A-labels) leaves: the settings, then the rules at `deliver`.
    pub fn outgoing(&self, sender: &Sender<'_>, domain: &str, now: Timestamp) -> Outgoing<'_> {
        let mut outgoing = Outgoing {
            destination: self.destination(sender, domain).map(Cow::Borrowed),
            pool: self.pool(sender).map(Cow::Borrowed),
            decision: Decision::default(),
        };
        if !self.rules().asks_at(Point::Deliver) {
            return outgoing;
        }
        let recipients = [Recipient {
            address: Known::Unknown,
            domain,
            group: Known::Unknown,
        }];
        let facts = Facts {
            account_number: sender.account,
            account_group: Known::of(sender.group),
            account: match sender.account {
                // Its number is known here, its address is not.
                Some(_) => Known::Unknown,
                None => Known::Absent,
            },
            way: Known::Is(match sender.account {
                Some(_) => Way::Outbound,
                None => Way::Inbound,
            }),
            sender_domain: Known::Is(sender.domain),
            recipients: Known::Is(&recipients),
            ..Facts::default()
        };
        outgoing.decision = evaluate(self.rules(), Point::Deliver, &facts, now);
        let actions = outgoing.decision.actions.clone();
        for acting in actions {
            match acting.action {
                Action::Pool { name } => {
                    if let Some(pool) = self.pool_named(name) {
                        outgoing.pool = Some(Cow::Borrowed(pool));
                    }
                }
                Action::Source { addresses } => {
                    let name = format!("rule:{}", acting.rule.name);
                    outgoing.pool = Some(Cow::Owned(source(name, addresses, &outgoing.pool)));
                }
                Action::RequireTls { lowest, level, .. } => {
                    let level = level.as_ref().map_or(TlsLevel::Encrypt, |level| level.0);
                    let rule = stricter(outgoing.destination.as_deref(), level, lowest.0);
                    outgoing.destination = Some(Cow::Owned(rule));
                }
                _ => {}
            }
        }
        outgoing
    }
}

/// These addresses, and the name that is said from them so far.
fn source(name: String, addresses: &[IpAddr], before: &Option<Cow<'_, Pool>>) -> Pool {
    let mut pool = Pool {
        name,
        hello: before.as_ref().and_then(|pool| pool.hello.clone()),
        ..Pool::default()
    };
    for address in addresses {
        match address {
            IpAddr::V4(v4) => pool.v4.push(*v4),
            IpAddr::V6(v6) => pool.v6.push(*v6),
        }
    }
    pool
}

/// The setting, if there is one, with at least this level and version.
fn stricter(
    set: Option<&DestinationRule>,
    level: TlsLevel,
    version: platform::tls::TlsVersion,
) -> DestinationRule {
    let mut rule = set.cloned().unwrap_or_else(|| DestinationRule {
        level,
        version_min: version,
        names: Vec::new(),
        fingerprints: Vec::new(),
        next_hop: None,
        exception: false,
        by_rule: true,
        expires_at: None,
        origin: std::sync::Arc::new(crate::model::Scope::Installation),
    });
    let before = rule.level;
    // What `dane-only` proves, a name does not.
    if before != TlsLevel::DaneOnly {
        rule.level = before.max(level);
        rule.by_rule |= rule.level != before || before <= TlsLevel::Dane;
    }
    rule.version_min = rule.version_min.max(version);
    rule
}

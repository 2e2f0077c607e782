//! All settings at one moment, made for lookups: one hash per scope asked, nothing allocated. Immutable;
//! `Policies` swaps it as a whole. Pure.

mod build;
mod measures;

pub(crate) use build::Contents;

use crate::identities::Usable;
use crate::legacy::Stopped;
use crate::local_time;
use crate::measure::Zone;
use crate::model::*;
use crate::relay_source::{self, Relaying};
use crate::rules::Compiled;
use build::SetLimits;
use directory::{AccountId, DomainName};
use formats::header_edit::{self, Action};
use measures::{LegacyEnds, Measures, OpenToSomebody};
use platform::clock::Timestamp;
use platform::net::Network;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The settings of one scope; what is `None` was not set there.
#[derive(Debug, Default)]
pub(crate) struct Scoped {
    pub(crate) origin: Option<Arc<Scope>>,
    /// In a box of its own: most scopes have none.
    pub(crate) measures: Option<Box<Measures>>,
    pub(crate) inbound_tls: Option<InboundTls>,
    pub(crate) hold_back: Option<Duration>,
    pub(crate) language: Option<Language>,
    pub(crate) pool: Option<Box<str>>,
    pub(crate) weight: Option<u32>,
    pub(crate) priority: Option<i8>,
    pub(crate) delay: Option<Delay>,
    pub(crate) strip_origin: Option<bool>,
    pub(crate) strip_mail_program: Option<bool>,
    pub(crate) account_limits: SetLimits,
    pub(crate) domain_limits: SetLimits,
    pub(crate) group_limits: SetLimits,
    pub(crate) header_actions_inbound: Box<[Action]>,
    pub(crate) header_actions_outbound: Box<[Action]>,
    pub(crate) destinations: HashMap<Box<str>, DestinationRule>,
    pub(crate) trusted_sealers: Box<[DomainName]>,
    pub(crate) trusted_relays: Box<[Network]>,
}

/// All settings at one moment.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) origin: Arc<Scope>,
    pub(crate) installation: Scoped,
    pub(crate) groups: HashMap<Box<str>, Scoped>,
    pub(crate) domains: HashMap<Box<str>, Scoped>,
    pub(crate) accounts: HashMap<AccountId, Scoped>,
    pub(crate) pools: HashMap<Box<str>, Pool>,
    pub(crate) relay_sources: Vec<Relaying>,
    pub(crate) send_as: HashMap<AccountId, Box<[Usable]>>,
    pub(crate) dane: DaneMode,
    pub(crate) help_url: Option<Box<str>>,
    pub(crate) zone: Zone,
    /// Accounts that are enrolled for the legacy hosts.
    pub(crate) enrolled: HashSet<AccountId>,
    /// What was switched off before its date.
    pub(crate) stopped: Stopped,
    pub(crate) rules: Compiled,
    /// When settings in it end; a later snapshot leaves them out.
    pub(crate) ends: Vec<Timestamp>,
    /// When anything with dates changes, in order.
    pub(crate) changes: Box<[Timestamp]>,
    pub(crate) legacy_ends: LegacyEnds,
    pub(crate) open: OpenToSomebody,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            origin: Arc::new(Scope::Installation),
            installation: Scoped::default(),
            groups: HashMap::new(),
            domains: HashMap::new(),
            accounts: HashMap::new(),
            pools: HashMap::new(),
            relay_sources: Vec::new(),
            send_as: HashMap::new(),
            dane: DaneMode::Enforce,
            help_url: None,
            zone: Zone::default(),
            enrolled: HashSet::new(),
            stopped: Stopped::default(),
            rules: Compiled::default(),
            ends: Vec::new(),
            changes: Box::default(),
            legacy_ends: LegacyEnds::default(),
            open: OpenToSomebody::default(),
        }
    }
}

/// The help pages of the node `host`, with a final slash: where refusals and notices point unless the
/// operator named another place.
pub fn own_help_url(host: &str) -> String {
    format!("https://{host}/h/")
}

impl Snapshot {
    /// The rule for mail from `sender` to `domain` (A-labels, lower case). The most specific scope that
    /// has one wins; in it `mx.example.net` stands before `*.example.net` and that before `*`.
    pub fn destination(&self, sender: &Sender<'_>, domain: &str) -> Option<&DestinationRule> {
        self.narrowest_first(sender)
            .find_map(|at| rule_for(&at.destinations, domain))
    }

    /// The pool mail of this sender leaves from: account, then domain, group, installation. `None`: the
    /// system's own addresses and the node's name.
    pub fn pool(&self, sender: &Sender<'_>) -> Option<&Pool> {
        let name = self
            .narrowest_first(sender)
            .find_map(|at| at.pool.as_deref())?;
        self.pools.get(name)
    }

    /// A pool by its name.
    pub fn pool_named(&self, name: &str) -> Option<&Pool> {
        self.pools.get(name)
    }

    /// Every pool, in no order.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values()
    }

    /// How long mail is held back so that its sender can undo: account, domain, installation; zero where
    /// nothing is set. At most 30 s.
    pub fn hold_back(&self, sender: &Sender<'_>) -> Duration {
        self.most_specific(sender, Duration::ZERO, |at| at.hold_back)
            .value
    }

    /// Which language notices to this sender begin with; `None` where nobody set it.
    pub fn language(&self, sender: &Sender<'_>) -> Option<Language> {
        self.narrowest_first(sender).find_map(|at| at.language)
    }

    /// What a group is to the scheduler; what the group does not say, the installation does.
    pub fn class(&self, group: Option<&str>) -> Class {
        let own = group.and_then(|name| self.groups.get(name));
        let default = Class::default();
        let all = &self.installation;
        Class {
            weight: own
                .and_then(|at| at.weight)
                .or(all.weight)
                .unwrap_or(default.weight),
            priority: own
                .and_then(|at| at.priority)
                .or(all.priority)
                .unwrap_or(default.priority),
            delay: own
                .and_then(|at| at.delay)
                .or(all.delay)
                .unwrap_or(default.delay),
        }
    }

    /// Whom this account may send as beside its own addresses: what `rohrpost identity` confirmed or
    /// granted.
    pub fn send_as(&self, account: AccountId) -> &[Usable] {
        self.send_as.get(&account).map_or(&[], |all| all)
    }

    /// What happens to header fields, in this order: outbound the built-in list of fields that tell where
    /// a sender sits and, where asked for, the name of the mail program; then the installation's own
    /// actions and the domain's. For inbound mail `domain` is the recipient's.
    pub fn header_actions(
        &self,
        domain: &str,
        direction: Direction,
    ) -> impl Iterator<Item = &Action> + Clone {
        let (all, own) = (&self.installation, self.domains.get(domain));
        let on = |pick: fn(&Scoped) -> Option<bool>, default: bool| {
            direction == Direction::Outbound
                && own.and_then(pick).or_else(|| pick(all)).unwrap_or(default)
        };
        let given = |built_in: &'static [Action], on: bool| if on { built_in } else { &[] };
        let origin = given(
            header_edit::default_outbound(),
            on(|at| at.strip_origin, true),
        );
        let client = given(
            header_edit::mail_programs(),
            on(|at| at.strip_mail_program, false),
        );
        fn of(at: &Scoped, direction: Direction) -> &[Action] {
            match direction {
                Direction::Inbound => &at.header_actions_inbound,
                Direction::Outbound => &at.header_actions_outbound,
            }
        }
        let own = own.map_or(&[][..], |at| of(at, direction));
        origin
            .iter()
            .chain(client)
            .chain(of(all, direction))
            .chain(own)
    }

    /// When mail of `group` that is accepted `now` may leave; `None`: at once.
    pub fn release_at(&self, group: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        self.delayed(self.class(group).delay, now)
    }

    /// When mail that is delayed like this and accepted `now` may leave; `None`: at once.
    pub fn delayed(&self, delay: Delay, now: Timestamp) -> Option<Timestamp> {
        match delay {
            Delay::None => None,
            Delay::For(wait) => Some(now.plus(wait)),
            Delay::Window {
                from_minute,
                to_minute,
            } => local_time::opens_at(from_minute, to_minute, now, self.zone.inner()),
        }
    }

    /// What this sender may send: per scope whose use is added up (the account itself, its domain, its
    /// group) the limits that hold. Scopes without limits are left out; nothing is allocated then.
    pub fn limits(&self, sender: &Sender<'_>) -> Vec<(Scope, Limits)> {
        let mut limits = Vec::new();
        let merged = |pick: fn(&Scoped) -> SetLimits| {
            self.narrowest_first(sender)
                .map(pick)
                .reduce(SetLimits::over)
                .map_or_else(Limits::default, SetLimits::resolved)
        };
        let account = merged(|at| at.account_limits);
        if let Some(number) = sender.account
            && !account.is_none()
        {
            limits.push((Scope::Account(number), account));
        }
        let domain = merged(|at| at.domain_limits);
        if !domain.is_none()
            && let Ok(name) = directory::DomainName::parse(sender.domain)
        {
            limits.push((Scope::Domain(name), domain));
        }
        let group = merged(|at| at.group_limits);
        if let Some(name) = sender.group
            && !group.is_none()
        {
            limits.push((Scope::Group(name.to_owned()), group));
        }
        limits
    }

    /// Whose ARC seals are believed about senders of the hosted domain `author`: the installation's, then its own.
    pub fn trusted_sealers(&self, author: &str) -> impl Iterator<Item = &DomainName> {
        let own = self.domains.get(author);
        let own = own.map_or(&[][..], |at| &at.trusted_sealers);
        self.installation.trusted_sealers.iter().chain(own)
    }

    /// Whether mail that `client` brings with senders of the hosted domain `author` is not asked for proofs.
    pub fn is_trusted_relay(&self, author: &str, client: IpAddr) -> bool {
        let own = self.domains.get(author);
        let own = own.map_or(&[][..], |at| &at.trusted_relays);
        let mut known = self.installation.trusted_relays.iter().chain(own);
        known.any(|network| network.contains(client))
    }

    /// The relay source that this client is.
    pub fn relay_source(&self, client: IpAddr) -> Option<&Relaying> {
        relay_source::find(&self.relay_sources, client)
    }

    /// The calendar day of `now` where the installation is, counted from 1970-01-01.
    pub fn day(&self, now: Timestamp) -> i64 {
        local_time::day(now, self.zone.inner())
    }

    /// When the calendar day of `now` is over where the installation is.
    pub fn day_end(&self, now: Timestamp) -> Timestamp {
        local_time::day_end(now, self.zone.inner())
    }

    /// The operator's rules.
    pub fn rules(&self) -> &Compiled {
        &self.rules
    }

    /// What DANE does here.
    pub fn dane(&self) -> DaneMode {
        self.dane
    }

    /// Where refusals and notices point for help, with a final slash; `None` where nobody set it, and
    /// `own_help_url` holds.
    pub fn help_url(&self) -> Option<&str> {
        self.help_url.as_deref()
    }

    fn default_value<T>(&self, value: T) -> Decided<T> {
        Decided {
            value,
            origin: self.origin.clone(),
        }
    }

    fn decided<T>(&self, value: T, at: &Scoped) -> Decided<T> {
        Decided {
            value,
            origin: at.origin.as_ref().unwrap_or(&self.origin).clone(),
        }
    }

    fn most_specific<T>(
        &self,
        sender: &Sender<'_>,
        default: T,
        pick: impl Fn(&Scoped) -> Option<T>,
    ) -> Decided<T> {
        for at in self.narrowest_first(sender) {
            if let Some(value) = pick(at) {
                return self.decided(value, at);
            }
        }
        self.default_value(default)
    }

    /// The scopes a sender is in that have settings: account, domain, group, installation.
    pub(crate) fn narrowest_first<'s>(
        &'s self,
        sender: &Sender<'_>,
    ) -> impl DoubleEndedIterator<Item = &'s Scoped> + use<'s> {
        let account = sender.account.and_then(|number| self.accounts.get(&number));
        let domain = self.domains.get(sender.domain);
        let group = sender.group.and_then(|name| self.groups.get(name));
        [account, domain, group, Some(&self.installation)]
            .into_iter()
            .flatten()
    }

    fn widest_first<'s>(
        &'s self,
        sender: &Sender<'_>,
    ) -> impl Iterator<Item = &'s Scoped> + use<'s> {
        self.narrowest_first(sender).rev()
    }
}

/// The rule for `domain`: by its own name, then `*.` with each of its parents, then `*`. Keys are names,
/// `.parent` and the empty text for these.
fn rule_for<'r>(
    rules: &'r HashMap<Box<str>, DestinationRule>,
    domain: &str,
) -> Option<&'r DestinationRule> {
    if rules.is_empty() {
        return None;
    }
    if let Some(rule) = rules.get(domain) {
        return Some(rule);
    }
    let mut parents = domain.match_indices('.').map(|(at, _)| &domain[at..]);
    parents
        .find_map(|parent| rules.get(parent))
        .or_else(|| rules.get(""))
}

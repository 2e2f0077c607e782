//! Makes a snapshot of the rows. Pure.

use super::measures::{At, Measures};
use super::{Scoped, Snapshot};
use crate::identities::Usable;
use crate::legacy::Stopped;
use crate::measure::Zone;
use crate::model::{Limits, Scope};
use crate::relay_source::Relaying;
use crate::rows::Setting;
use crate::rules::{Compiled, RuleSet};
use crate::setting::{Name, Switch, Value};
use directory::AccountId;
use platform::clock::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What a snapshot is made of.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) settings: Vec<Setting>,
    pub(crate) send_as: Vec<(AccountId, Usable)>,
    /// Accounts that are enrolled for the legacy hosts, and until when.
    pub(crate) enrolled: Vec<(AccountId, Option<Timestamp>)>,
    /// What was switched off there.
    pub(crate) stopped: Stopped,
    /// The rules that hold, and their version.
    pub(crate) rules: (i64, RuleSet),
}

impl Snapshot {
    /// The settings that hold at `now` and later.
    pub(crate) fn build(contents: Contents, now: Timestamp) -> Self {
        let mut snapshot = Self::default();
        let ended = |setting: &Setting| setting.expires_at.is_some_and(|end| end <= now);
        let mut settings = contents.settings;
        settings.retain(|setting| !ended(setting));
        // Dates mean nothing before the zone is known.
        for setting in settings.extract_if(.., |setting| snapshot_wide(setting.name)) {
            snapshot.take_single(&setting);
        }
        for setting in settings {
            snapshot.ends.extend(setting.expires_at);
            let zone = snapshot.zone.clone();
            snapshot.scoped(&setting.scope).take(setting, &zone);
        }
        let mut of_account: HashMap<AccountId, Vec<Usable>> = HashMap::new();
        for (account, identity) in contents.send_as {
            of_account.entry(account).or_default().push(identity);
        }
        let boxed = of_account.into_iter().map(|(at, all)| (at, all.into()));
        snapshot.send_as = boxed.collect();
        for (account, until) in contents.enrolled {
            if until.is_none_or(|until| until > now) {
                snapshot.enrolled.insert(account);
                snapshot.ends.extend(until);
            }
        }
        snapshot.stopped = contents.stopped;
        let (version, rules) = contents.rules;
        snapshot.rules = Compiled::new(Arc::new(rules), &snapshot.zone, version);
        snapshot.sum_up();
        snapshot
    }

    /// Takes what there is only once.
    fn take_single(&mut self, setting: &Setting) {
        match (setting.name, &setting.value) {
            (Name::Dane, Value::Dane(mode)) => self.dane = *mode,
            (Name::HelpUrl, Value::Word(url)) => self.help_url = Some(url.as_str().into()),
            (Name::TimeZone, Value::Word(name)) => {
                self.zone = Zone::named(name).unwrap_or_default();
            }
            (Name::PoolAddresses, Value::Pool(pool)) => {
                let mut pool = pool.clone();
                pool.name.clone_from(&setting.item);
                self.pools.insert(setting.item.as_str().into(), pool);
            }
            (Name::RelaySource, Value::RelaySource(source)) => {
                if let Scope::Account(account) = setting.scope {
                    self.relay_sources.push(Relaying {
                        name: setting.item.as_str().into(),
                        account,
                        source: source.clone(),
                    });
                }
            }
            _ => {}
        }
    }

    fn scoped(&mut self, scope: &Scope) -> &mut Scoped {
        let at = match scope {
            Scope::Installation => &mut self.installation,
            Scope::Group(name) => self.groups.entry(name.as_str().into()).or_default(),
            Scope::Domain(name) => self.domains.entry(name.as_str().into()).or_default(),
            Scope::Account(number) => self.accounts.entry(*number).or_default(),
        };
        at.origin.get_or_insert_with(|| Arc::new(scope.clone()));
        at
    }
}

/// What is not looked up by scope.
fn snapshot_wide(name: Name) -> bool {
    matches!(
        name,
        Name::Dane | Name::HelpUrl | Name::TimeZone | Name::PoolAddresses | Name::RelaySource
    )
}

impl Scoped {
    fn measures(&mut self) -> &mut Measures {
        self.measures.get_or_insert_default()
    }

    fn take(&mut self, setting: Setting, zone: &Zone) {
        let name = setting.name;
        let at = At {
            zone,
            ends_at: setting.expires_at,
        };
        match setting.value {
            Value::Schedule(schedule) if name == Name::Cleartext => {
                self.measures().add_cleartext(&setting.item, &schedule, at);
            }
            Value::Schedule(schedule) => self.measures().add_ownership(&schedule, at),
            Value::LowestTls(lowest) => self.measures().add_lowest_tls(&setting.item, &lowest, at),
            Value::Legacy(access) => self.measures().set_legacy(&access, zone),
            Value::OutboundTls(demand) => self.measures().add_outbound(&demand, at),
            Value::InboundTls(demand) => {
                if let Some(demand) = &demand {
                    self.measures().add_inbound(&demand.schedule, at);
                }
                self.inbound_tls = demand;
            }
            Value::Spoofed(demand) => self.measures().add_spoofed(&demand, at),
            Value::Domains(sealers) => self.trusted_sealers = sealers.into(),
            Value::Networks(relays) => self.trusted_relays = relays.into(),
            Value::Word(pool) => self.pool = Some(pool.into()),
            Value::Number(n) if name == Name::HoldBack => {
                self.hold_back = Some(Duration::from_secs(u64::from(n)));
            }
            Value::Number(n) => self.weight = Some(n),
            Value::Limit(limit) => self.take_limit(name, limit),
            Value::Priority(n) => self.priority = Some(n),
            Value::Delay(delay) => self.delay = Some(delay),
            Value::Language(language) => self.language = Some(language),
            Value::Switch(switch) => {
                let place = match name {
                    Name::StripMailProgram => &mut self.strip_mail_program,
                    _ => &mut self.strip_origin,
                };
                *place = Some(switch == Switch::On);
            }
            Value::Actions(actions) => {
                let place = match name {
                    Name::HeadersInbound => &mut self.header_actions_inbound,
                    _ => &mut self.header_actions_outbound,
                };
                *place = actions.into();
            }
            Value::Destination(mut rule) => {
                rule.expires_at = setting.expires_at;
                rule.origin = self.origin.clone().unwrap_or(rule.origin);
                // `*` and `*.parent` are kept as the empty text and `.parent`, which a lookup has.
                let key = setting.item.strip_prefix('*').unwrap_or(&setting.item);
                self.destinations.insert(key.into(), *rule);
            }
            // Taken by the snapshot itself.
            Value::Dane(_) | Value::Pool(_) | Value::RelaySource(_) => {}
        }
    }

    fn take_limit(&mut self, name: Name, limit: Option<u32>) {
        let limits = match name {
            Name::DomainMessagesPerHour
            | Name::DomainRecipientsPerDay
            | Name::DomainNewRecipientsPerDay => &mut self.domain_limits,
            Name::GroupMessagesPerHour
            | Name::GroupRecipientsPerDay
            | Name::GroupNewRecipientsPerDay => &mut self.group_limits,
            _ => &mut self.account_limits,
        };
        let place = match name {
            Name::MessagesPerHour | Name::DomainMessagesPerHour | Name::GroupMessagesPerHour => {
                &mut limits.messages_per_hour
            }
            Name::RecipientsPerDay | Name::DomainRecipientsPerDay | Name::GroupRecipientsPerDay => {
                &mut limits.recipients_per_day
            }
            Name::RecipientsPerMessage => &mut limits.recipients_per_message,
            _ => &mut limits.new_recipients_per_day,
        };
        *place = Some(limit);
    }
}

/// Limits as one scope sets them; the inner `None` says that there shall be none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SetLimits {
    messages_per_hour: Option<Option<u32>>,
    recipients_per_day: Option<Option<u32>>,
    new_recipients_per_day: Option<Option<u32>>,
    recipients_per_message: Option<Option<u32>>,
}

impl SetLimits {
    /// What holds where `self` is the narrower scope.
    pub(crate) fn over(self, wider: Self) -> Self {
        Self {
            messages_per_hour: self.messages_per_hour.or(wider.messages_per_hour),
            recipients_per_day: self.recipients_per_day.or(wider.recipients_per_day),
            new_recipients_per_day: self.new_recipients_per_day.or(wider.new_recipients_per_day),
            recipients_per_message: self.recipients_per_message.or(wider.recipients_per_message),
        }
    }

    pub(crate) fn resolved(self) -> Limits {
        Limits {
            messages_per_hour: self.messages_per_hour.flatten(),
            recipients_per_day: self.recipients_per_day.flatten(),
            new_recipients_per_day: self.new_recipients_per_day.flatten(),
            recipients_per_message: self.recipients_per_message.flatten(),
        }
    }
}

//! Makes a snapshot of the rows. Pure.

use super::{Scoped, Snapshot};
use crate::identities::Usable;
use crate::local_time;
use crate::model::{Limits, Scope};
use crate::rows::Setting;
use crate::setting::{Name, Switch, Value};
use directory::AccountId;
use platform::clock::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

impl Snapshot {
    /// The settings that hold at `now`.
    pub(crate) fn build(
        settings: Vec<Setting>,
        send_as: Vec<(AccountId, Usable)>,
        now: Timestamp,
    ) -> Self {
        let mut snapshot = Self::default();
        for setting in settings {
            if let Some(end) = setting.expires_at {
                if end <= now {
                    continue;
                }
                let first = snapshot.ends_at.map_or(end, |known| known.min(end));
                snapshot.ends_at = Some(first);
            }
            if !snapshot.take_single(&setting) {
                snapshot.scoped(&setting.scope).take(setting);
            }
        }
        let mut of_account: HashMap<AccountId, Vec<Usable>> = HashMap::new();
        for (account, identity) in send_as {
            of_account.entry(account).or_default().push(identity);
        }
        let boxed = of_account.into_iter().map(|(at, all)| (at, all.into()));
        snapshot.send_as = boxed.collect();
        snapshot
    }

    /// Takes what there is only once; false for everything else.
    fn take_single(&mut self, setting: &Setting) -> bool {
        match (setting.name, &setting.value) {
            (Name::Dane, Value::Dane(mode)) => self.dane = *mode,
            (Name::HelpUrl, Value::Word(url)) => self.help_url = Some(url.as_str().into()),
            (Name::TimeZone, Value::Word(name)) => {
                self.zone = local_time::zone(name).unwrap_or(jiff::tz::TimeZone::UTC);
            }
            (Name::PoolAddresses, Value::Pool(pool)) => {
                let mut pool = pool.clone();
                pool.name.clone_from(&setting.item);
                self.pools.insert(setting.item.as_str().into(), pool);
            }
            _ => return false,
        }
        true
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

impl Scoped {
    fn take(&mut self, setting: Setting) {
        let name = setting.name;
        match setting.value {
            Value::Stage(stage) => self.ownership = Some(stage),
            Value::OutboundTls(demand) => self.outbound_tls = Some(demand),
            Value::InboundTls(demand) => self.inbound_tls = demand,
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
            Value::Dane(_) | Value::Pool(_) => {}
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

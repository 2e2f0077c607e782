//! A preview against what happens: whoever it names is refused when the same programs come again once the measure is
//! enforced, and nobody else. The world before is random: settings in all scopes with dates, exceptions that end,
//! canaries and pauses, legacy access, emergency switches, programs old and new, strangers and shared addresses.

mod world;

use super::*;
use crate::admin::Author;
use crate::connections::{Connections, Contact, Outcome, Seen, is_recognised};
use crate::gate::{self, Attempt, Ruling};
use crate::legacy::Enrolments;
use crate::measure::{Door, Encryption};
use crate::model::Sender;
use crate::ownership::{self, Help};
use crate::setting::{Name, Value};
use crate::testing::{Fixture, NOON, domain, key};
use crate::{Findings, Policies};
use directory::admin::{NewAccount, NewDomain, NewPassword, Setting};
use formats::address::Address;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use world::{Came, DAY, DAYS, Kind, PEOPLE, Sent, Set, WINDOW, Where, World, worlds};

struct Rig {
    fixture: Fixture,
    people: Vec<AccountId>,
    policies: Policies,
    connections: Connections,
    findings: Findings,
}

/// An attempt as it was noted.
struct Noted {
    came: Came,
    outcome: Outcome,
    /// Whether it was the account itself, as far as that can be known.
    own: bool,
}

fn at(days_ago: i64) -> Timestamp {
    Timestamp(NOON.0 - days_ago * DAY)
}

fn author(now: Timestamp) -> Author {
    Author {
        by: "tester".into(),
        reason: "to see".into(),
        now,
    }
}

impl Rig {
    /// The people, and the settings as far as they can be made.
    async fn of(world: &World) -> Self {
        let fixture = Fixture::new().await;
        let start = at(DAYS + 1);
        fixture.clock.set(start);
        let admin = &fixture.directory;
        admin.add_group("private", "", start).await.unwrap();
        let other = DomainName::parse("other.test").unwrap();
        let new = NewDomain::default();
        admin.add_domain(&other, &new, start).await.unwrap();
        let mut people = vec![fixture.anna];
        for (login, group, _) in &PEOPLE[1..] {
            let new = NewAccount {
                group: group.map_or(Setting::Leave, |group| Setting::To(group.into())),
                ..NewAccount::default()
            };
            let login = key(login);
            let added = admin.add_account(&login, &new, &NewPassword::None, start);
            people.push(added.await.unwrap());
        }
        let rig = Self {
            policies: fixture.policies().await,
            connections: Connections::new(fixture.store.clone()),
            findings: Findings::new(fixture.store.clone()),
            fixture,
            people,
        };
        for set in &world.settings {
            // What the operator is refused is no part of the world.
            let _refused = rig.set(set, start).await;
        }
        let enrolments = Enrolments::new(rig.fixture.store.clone());
        for who in &world.enrolled {
            let _not_open = enrolments
                .enrol(&key(PEOPLE[*who].0), None, author(start))
                .await;
        }
        if let Some(stopped) = world.stopped {
            enrolments.stop(stopped, author(start)).await.unwrap();
        }
        rig.policies.refresh().await.unwrap();
        rig
    }

    async fn set(&self, set: &Set, now: Timestamp) -> Result<(), crate::admin::PolicyError> {
        let wanted = crate::admin::Wanted {
            scope: self.scope(set.scope),
            name: set.name,
            item: set.item.to_owned(),
            value: Value::parse(set.name, &set.text).unwrap(),
            expires_at: set.ends.map(|days| at(-days)),
            consent: None,
            owner: None,
        };
        self.fixture.admin.set(wanted, author(now)).await.map(drop)
    }

    fn scope(&self, place: Where) -> Scope {
        match place {
            Where::Installation => Scope::Installation,
            Where::Group(name) => Scope::Group(name.to_owned()),
            Where::Domain(name) => domain(name),
            Where::Account(who) => Scope::Account(self.people[who]),
        }
    }

    fn sender(&self, who: usize) -> Sender<'static> {
        let (login, group, _) = PEOPLE[who];
        let domain = login.rsplit_once('@').unwrap().1;
        Sender {
            account: Some(self.people[who]),
            domain,
            group: group.or_else(|| (domain == "firma.test").then_some("business")),
        }
    }

    fn is_within(&self, place: Where, who: usize) -> bool {
        let sender = self.sender(who);
        match place {
            Where::Installation => true,
            Where::Group(name) => sender.group == Some(name),
            Where::Domain(name) => sender.domain == name,
            Where::Account(one) => one == who,
        }
    }

    /// What the gate says to it on a day.
    fn ruling(&self, policy: &Snapshot, came: &Came, days_ago: i64) -> Ruling {
        let attempt = Attempt {
            service: came.service,
            door: came.door,
            tls: came.tls,
            sender: Some(self.sender(came.who)),
            enrolled: policy.enrolled(self.people[came.who]),
            help: "https://help.test/",
            now: at(days_ago),
        };
        gate::login(policy, &attempt)
    }

    /// Lives through the days as nodes do: what the gate says becomes what is noted.
    async fn live(&self, world: &World) -> (Vec<Noted>, Vec<Sent>) {
        let policy = self.policies.snapshot();
        let (mut noted, mut objected) = (Vec::new(), Vec::new());
        for days_ago in (0..DAYS).rev() {
            let of_day = world.came.iter().enumerate();
            for (n, came) in of_day.filter(|(_, came)| came.days_ago == days_ago) {
                let admitted = matches!(self.ruling(&policy, came, days_ago), Ruling::Admit(_));
                let outcome = match (came.kind, admitted) {
                    (Kind::NoHandshake, _) => Outcome::HandshakeFailed,
                    (Kind::Login, true) => Outcome::LoggedIn,
                    (Kind::Mistyped | Kind::Stranger, true) => Outcome::WrongPassword,
                    (_, false) if came.tls.is_none() => Outcome::PasswordInClear,
                    (_, false) => Outcome::Refused,
                };
                self.note(came, n, outcome);
                noted.push(Noted {
                    came: came.clone(),
                    outcome,
                    own: came.kind != Kind::Stranger,
                });
            }
            for sent in world.sent.iter().filter(|sent| sent.days_ago == days_ago) {
                let stage = policy.ownership(&self.sender(sent.who), at(days_ago)).value;
                if let ownership::Ruling::Note(objection) = judged(sent, stage) {
                    let account = self.people[sent.who];
                    let measure = Measure::SenderOwnership;
                    self.findings
                        .note(measure, account, &objection.used, at(days_ago));
                    objected.push(sent.clone());
                }
            }
            self.connections.flush().await.unwrap();
            self.findings.flush().await.unwrap();
        }
        for n in 0..noted.len() {
            if noted[n].came.kind == Kind::NoHandshake {
                noted[n].own = is_alone(&noted, &noted[n].came);
            }
        }
        (noted, objected)
    }

    fn note(&self, came: &Came, n: usize, outcome: Outcome) {
        let home = Ipv4Addr::new(192, 0, 2, PEOPLE[came.who].2);
        let peer: IpAddr = match came.kind {
            Kind::Stranger => Ipv4Addr::new(198, 51, 100, u8::try_from(n).unwrap()).into(),
            _ => home.into(),
        };
        let contact = Contact {
            service: came.service,
            port: 1,
            encryption: match came.tls {
                None if came.kind != Kind::NoHandshake => Encryption::Clear,
                _ => Encryption::ImplicitTls,
            },
            door: came.door,
            tls: came.tls.map(|version| (version, "")),
            client: came.client,
            outcome,
            peer,
            now: at(came.days_ago),
        };
        let account = self.people[came.who];
        if came.kind != Kind::Stranger {
            // Somebody of the same household reads mail in the browser.
            let browser = Contact {
                service: Service::Http,
                tls: Some((TlsVersion::V1_3, "")),
                client: "firefox//",
                door: Door::Normal,
                outcome: Outcome::LoggedIn,
                ..contact
            };
            self.connections.note(&Seen {
                account,
                contact: browser,
            });
        }
        match came.kind {
            Kind::NoHandshake => self.connections.note_stranger(&contact),
            _ => self.connections.note(&Seen { account, contact }),
        }
    }

    async fn named(&self, world: &World) -> BTreeSet<String> {
        let (proposed, scope) = (world.proposed.clone(), self.scope(world.scope));
        let snapshot = self.policies.snapshot();
        let read = move |tx: &mut dyn Tx| {
            let question = Question {
                proposed: &proposed,
                scope: &scope,
                days: WINDOW,
                snapshot: &snapshot,
                now: NOON,
            };
            preview(tx, &question, Vec::new())
        };
        let impact = self.fixture.store.read(read).await.unwrap();
        impact.accounts.into_iter().map(|one| one.login).collect()
    }

    async fn enforce(&self, world: &World) {
        let (name, item, text) = match &world.proposed {
            Proposed::TlsVersion { service, lowest } => {
                let version = match lowest {
                    TlsVersion::V1_3 => "1.3",
                    _ => "1.2",
                };
                (
                    Name::TlsVersion,
                    service.word(),
                    format!("{version} enforce"),
                )
            }
            Proposed::Cleartext(service) => (Name::Cleartext, service.word(), "enforce".to_owned()),
            _ => (Name::SenderOwnership, "", "enforce".to_owned()),
        };
        let set = Set {
            scope: world.scope,
            name,
            item,
            text,
            ends: None,
        };
        self.set(&set, NOON).await.unwrap();
        self.policies.refresh().await.unwrap();
    }

    /// Whom enforcement refuses when everything that still is as it was comes again.
    fn refused(&self, world: &World, noted: &[Noted], objected: &[Sent]) -> BTreeSet<String> {
        let policy = self.policies.snapshot();
        let is_recent = |days_ago: i64| days_ago < i64::from(WINDOW);
        let measure = world.proposed.measure();
        let mut refused = BTreeSet::new();
        for (n, one) in noted.iter().enumerate() {
            let came = &one.came;
            let counts = one.own
                && is_recent(came.days_ago)
                && came.door == Door::Normal
                && one.outcome != Outcome::WrongPassword
                && !(came.kind == Kind::NoHandshake && came.tls.is_none())
                && self.is_within(world.scope, came.who)
                && !is_mended(noted, n)
                && !self.has_gone_to_legacy(&policy, noted, came);
            if counts
                && let Ruling::Refuse(refusal) = self.ruling(&policy, came, 0)
                && refusal.measure == measure
            {
                refused.insert(PEOPLE[came.who].0.to_owned());
            }
        }
        for sent in objected {
            let stage = policy.ownership(&self.sender(sent.who), NOON).value;
            if measure == Measure::SenderOwnership
                && is_recent(sent.days_ago)
                && self.is_within(world.scope, sent.who)
                && matches!(judged(sent, stage), ownership::Ruling::Refuse(_))
            {
                refused.insert(PEOPLE[sent.who].0.to_owned());
            }
        }
        refused
    }

    /// Whether that program comes by the legacy hosts since, and gets in there on the last day.
    fn has_gone_to_legacy(&self, policy: &Snapshot, noted: &[Noted], came: &Came) -> bool {
        let mut there = noted.iter().enumerate().filter(|(n, one)| {
            one.came.door == Door::Legacy
                && one.outcome == Outcome::LoggedIn
                && (one.came.who, one.came.service) == (came.who, came.service)
                && one.came.days_ago < i64::from(WINDOW)
                && !is_mended(noted, *n)
                && matches!(self.ruling(policy, &one.came, 0), Ruling::Admit(_))
        });
        there.any(|(_, one)| {
            let client = one.came.client;
            match is_recognised(client) && is_recognised(came.client) {
                true => client == came.client && one.came.days_ago <= came.days_ago,
                false => one.came.days_ago < came.days_ago,
            }
        })
    }
}

fn judged(sent: &Sent, stage: crate::Stage) -> ownership::Ruling {
    let used = Address::parse(&format!("used{}@elsewhere.test", sent.days_ago)).unwrap();
    let help = Help {
        login: PEOPLE[sent.who].0,
        url: "https://help.test/",
    };
    ownership::at_stage(stage, ownership::envelope(&used, sent.standing, help))
}

/// Whether nobody else lives behind the address, as far as the last seven days tell.
fn is_alone(noted: &[Noted], came: &Came) -> bool {
    let home = PEOPLE[came.who].2;
    !noted.iter().any(|other| {
        other.came.who != came.who
            && other.came.kind != Kind::Stranger
            && PEOPLE[other.came.who].2 == home
            && (0..7).contains(&(other.came.days_ago - came.days_ago))
    })
}

/// Whether the same program logged in securely afterwards, and better than then.
fn is_mended(noted: &[Noted], n: usize) -> bool {
    let one = &noted[n];
    let (was, later) = (&one.came, &noted[n + 1..]);
    later.iter().any(|after| {
        let is = &after.came;
        after.outcome == Outcome::LoggedIn
            && is.tls >= Some(TlsVersion::V1_2)
            && (is.who, is.service, is.client) == (was.who, was.service, was.client)
            && (is_recognised(is.client) || is.days_ago < was.days_ago)
            && (was.tls < is.tls || one.outcome != Outcome::LoggedIn)
    })
}

#[test]
fn who_is_named_is_refused_and_nobody_else() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = ProptestConfig {
        cases: 64,
        ..ProptestConfig::default()
    };
    proptest!(config, |(world in worlds())| {
        let (named, refused) = runtime.block_on(async {
            let rig = Rig::of(&world).await;
            let (noted, objected) = rig.live(&world).await;
            rig.fixture.clock.set(NOON);
            rig.policies.refresh().await.unwrap();
            let named = rig.named(&world).await;
            rig.enforce(&world).await;
            (named, rig.refused(&world, &noted, &objected))
        });
        prop_assert_eq!(named, refused);
    });
}

//! Rollouts from beginning to end on a clock that is set: who gets which letter when, and who gets none.

mod by_rule;
mod handing_over;

use crate::admin::Rollouts;
use crate::compose::Kind;
use crate::guides::Ports;
use crate::ledger::{Entry, Status};
use crate::model::{Rollout, State};
use crate::post::{Carried, Fate, Letter, Post, PostError, Posted, Stream, Token};
use crate::rounds::moment;
use crate::runner::{Runner, RunnerParts};
use crate::testing::rollout;
use crate::voice::Word;
use directory::admin::{NewAccount, NewDomain, NewPassword, NoHooks, Setting};
use directory::settings::Hashing;
use directory::{AccountId, AddressKey, Directory, DomainName};
use formats::language::Language;
use platform::clock::{Clock, Timestamp};
use platform::random::Random;
use platform::store::{Engine, Options, Store, Tx};
use platform::tls::TlsVersion;
use policy::admin::Author;
use policy::connections::{Connections, Contact, Outcome, Seen};
use policy::{Door, Encryption, Policies, Service, Zone};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A post that keeps what it is given, or refuses it.
#[derive(Default)]
struct Box_ {
    taken: Mutex<Vec<(Token, Letter)>>,
    next: Mutex<i64>,
    /// When each was taken, by this clock; at the beginning of time without one.
    clock: Mutex<Option<Clock>>,
    moments: Mutex<BTreeMap<Token, Timestamp>>,
    /// Letters that are taken before the crash: the caller hears an error although they were.
    crash: Mutex<bool>,
}

impl Box_ {
    fn now(&self) -> Timestamp {
        let clock = self.clock.lock().unwrap();
        clock.as_ref().map_or(Timestamp(0), Clock::now)
    }

    fn taken_at(&self, token: Token) -> Timestamp {
        let moments = self.moments.lock().unwrap();
        moments.get(&token).copied().unwrap_or(Timestamp(0))
    }
}

impl Post for Box_ {
    fn token(&self) -> Token {
        let mut next = self.next.lock().unwrap();
        *next += 1;
        Token(*next)
    }

    fn send<'a>(&'a self, letter: Letter) -> Carried<'a, Posted> {
        let (mut taken, token) = (self.taken.lock().unwrap(), letter.token);
        if !taken.iter().any(|(token, _)| *token == letter.token) {
            self.moments
                .lock()
                .unwrap()
                .insert(letter.token, self.now());
            taken.push((letter.token, letter));
        }
        let at = self.taken_at(token);
        let crash = *self.crash.lock().unwrap();
        Box::pin(async move {
            match crash {
                true => Err(PostError::Later("the power went".into())),
                false => Ok(Posted { at }),
            }
        })
    }

    fn fate<'a>(&'a self, token: Token) -> Carried<'a, Option<(Fate, Timestamp)>> {
        let taken = self.taken.lock().unwrap();
        let known = taken.iter().any(|(known, _)| *known == token);
        let at = self.taken_at(token);
        Box::pin(async move { Ok(known.then_some((Fate::Delivered, at))) })
    }
}

struct Town {
    store: Store,
    clock: Clock,
    directory: directory::admin::Admin,
    connections: Connections,
    rollouts: Rollouts,
    post: Arc<Box_>,
    runner: Runner,
    accounts: BTreeMap<String, AccountId>,
    _files: tempfile::TempDir,
}

fn at(text: &str) -> Timestamp {
    moment(text.parse().unwrap(), &Zone::default())
}

fn author(now: Timestamp) -> Author {
    Author {
        by: "tester".into(),
        reason: String::new(),
        now,
    }
}

fn open(files: &tempfile::TempDir) -> Store {
    let options = Options {
        engine: engine(files),
        readers: 2,
        gather_max: Duration::ZERO,
        before_commit: None,
    };
    let components = [
        directory::SCHEMA,
        policy::SCHEMA,
        policy::CLIENTS_SCHEMA,
        policy::CONNECTIONS_SCHEMA,
        policy::LEGACY_SCHEMA,
        policy::RULES_SCHEMA,
        routing::SCHEMA,
        crate::SCHEMA,
    ];
    Store::open(options, &components).unwrap()
}

impl Town {
    async fn new(start: &str, people: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let store = open(&files);
        let settings = directory::Settings {
            hashing: Hashing {
                memory_kib: 8,
                passes: 1,
                lanes: 1,
                scram_iterations: 4096,
            },
            ..directory::Settings::default()
        };
        let directory = Directory::open(store.clone(), settings, Random::seeded(1))
            .await
            .unwrap();
        let directory = directory::admin::Admin::new(directory, Arc::new(NoHooks));
        let clock = Clock::settable(at(start));
        let mut accounts = BTreeMap::new();
        for login in people {
            let key = AddressKey::parse(login).unwrap();
            if directory.domain(key.domain()).await.is_err() {
                let new = NewDomain::default();
                directory
                    .add_domain(key.domain(), &new, clock.now())
                    .await
                    .unwrap();
            }
            let account = directory
                .add_account(
                    &key,
                    &NewAccount::default(),
                    &NewPassword::None,
                    clock.now(),
                )
                .await
                .unwrap();
            accounts.insert((*login).to_owned(), account);
        }
        let policies = Policies::open(store.clone(), clock.clone()).await.unwrap();
        let rollouts = Rollouts::new(store.clone(), policies, "mx.provider.test");
        let connections = Connections::new(store.clone());
        let post = Arc::new(Box_::default());
        *post.clock.lock().unwrap() = Some(clock.clone());
        let runner = Runner::new(RunnerParts {
            rollouts: rollouts.clone(),
            connections: connections.clone(),
            findings: policy::Findings::new(store.clone()),
            post: post.clone(),
            clock: clock.clone(),
            random: Random::seeded(2),
            first_language: Language::German,
            ports: Ports::default(),
        });
        Self {
            connections,
            store,
            clock,
            directory,
            rollouts,
            post,
            runner,
            accounts,
            _files: files,
        }
    }

    /// A login by IMAP with an old or a new TLS version.
    async fn login(&self, who: &str, client: &str, version: TlsVersion) {
        let seen = Seen {
            account: self.accounts[who],
            contact: Contact {
                service: Service::Imap,
                port: 993,
                encryption: Encryption::ImplicitTls,
                door: Door::Normal,
                tls: Some((version, "TLS_X")),
                client,
                outcome: Outcome::LoggedIn,
                peer: [192, 0, 2, 1].into(),
                now: self.clock.now(),
            },
        };
        self.connections.note(&seen);
        self.connections.flush().await.unwrap();
    }

    async fn running(&self, rollout: Rollout) {
        let slug = rollout.slug.clone();
        let now = self.clock.now();
        self.rollouts.create(rollout, author(now)).await.unwrap();
        self.rollouts.announce(&slug, author(now)).await.unwrap();
        self.rollouts.start(&slug, author(now)).await.unwrap();
    }

    /// Sets the clock, lets the runner work, and tells what left: kinds and readers.
    async fn on(&mut self, date: &str) -> Vec<String> {
        assert!(self.clock.set(at(date)));
        self.step().await
    }

    async fn step(&mut self) -> Vec<String> {
        let before = self.post.taken.lock().unwrap().len();
        self.runner.step().await.unwrap();
        let entries = self.rollouts.letters(None, 1000).await.unwrap();
        let taken = self.post.taken.lock().unwrap();
        let mut left: Vec<_> = taken
            .iter()
            .skip(before)
            .map(|(token, letter)| {
                let entry = entries.iter().find(|entry| entry.token == token.0).unwrap();
                format!("{} {}", entry.key.kind.word(), letter.to)
            })
            .collect();
        left.sort();
        left
    }

    fn letter(&self, kind: Kind, to: &str) -> Letter {
        let taken = self.post.taken.lock().unwrap();
        let subject = |letter: &Letter| match kind {
            Kind::Newsletter => letter.stream == Stream::Newsletter,
            _ => letter.stream == Stream::Notice,
        };
        let found = taken.iter().rev().find(|(_, l)| l.to == to && subject(l));
        found.unwrap().1.clone()
    }
}

const OLD: &str = "outlook/2010/windows";
const THREE: [&str; 4] = [
    "anna@firma.test",
    "bert@firma.test",
    "carl@firma.test",
    "dora@firma.test",
];

async fn three_old() -> Town {
    let town = Town::new("2025-02-10", &THREE).await;
    for who in &THREE[..3] {
        town.login(who, OLD, TlsVersion::V1_0).await;
    }
    town.login("dora@firma.test", "thunderbird/128/any", TlsVersion::V1_3)
        .await;
    let mut plan = rollout();
    plan.rounds.newsletter = None;
    // Without a stage that warns there are no letters between rounds.
    plan.steps
        .retain(|step| step.stage == policy::Stage::Enforce);
    town.running(plan).await;
    town
}

async fn rounds_go_to_whom_it_concerns_then_and_the_fixed_are_thanked_once() {
    let mut town = three_old().await;
    assert!(town.step().await.is_empty(), "nothing before its date");
    assert_eq!(
        town.on("2025-02-14T08:00").await,
        [
            "round anna@firma.test",
            "round bert@firma.test",
            "round carl@firma.test"
        ]
    );
    assert!(town.step().await.is_empty(), "once");
    assert!(town.on("2025-02-20").await.is_empty());
    // Anna's program is new; Bert is on holiday.
    town.login("anna@firma.test", "outlook/2010/windows", TlsVersion::V1_2)
        .await;
    assert_eq!(
        town.on("2025-02-21T08:00").await,
        [
            "round bert@firma.test",
            "round carl@firma.test",
            "thanks anna@firma.test"
        ]
    );
    assert_eq!(
        town.on("2025-02-28T08:00").await,
        ["round bert@firma.test", "round carl@firma.test"],
        "no second thanks"
    );
    let entries = town.rollouts.letters(Some("tls-2025"), 100).await.unwrap();
    assert_eq!(entries.len(), 8);
    let delivered = |entry: &&Entry| entry.status == Status::Delivered;
    assert_eq!(entries.iter().filter(delivered).count(), 8, "{entries:?}");
}

async fn a_letter_names_the_five_facts_and_no_evidence() {
    let mut town = three_old().await;
    let now = town.clock.now();
    let phone = Some("030 123456");
    town.rollouts
        .say(Word::Phone, phone, author(now))
        .await
        .unwrap();
    town.on("2025-02-14T08:00").await;
    let letter = town.letter(Kind::Round, "anna@firma.test");
    let text = letter.text.replace('\n', " ");
    for fact in [
        "Outlook 2010",
        "TLS 1.0",
        "Das ist zu tun",
        "5. März 2025",
        "lehnt unser Server die Verbindung",
        "030 123456",
        "https://mx.provider.test/ankuendigungen/tls-2025",
        "30. Mai 2025",
    ] {
        assert!(text.contains(fact), "{fact}:\n{}", letter.text);
    }
    let (german, english) = (text.find("Guten Tag"), text.find("Hello"));
    assert!(german < english, "{text}");
    assert!(!text.contains("GEHEIM") && !text.contains('{'), "{text}");
    assert!(
        letter.text.lines().all(|line| line.chars().count() <= 78),
        "{}",
        letter.text
    );
    assert!(letter.unsubscribe.is_none() && letter.stream == Stream::Notice);
}

async fn nobody_gets_two_letters_a_week_over_all_rollouts() {
    let mut town = three_old().await;
    assert_eq!(town.on("2025-02-14T08:00").await.len(), 3);
    let mut second = rollout();
    second.slug = "second".into();
    second
        .steps
        .retain(|step| step.measure.to_string() == "cleartext/imap");
    second.steps.push(crate::model::Step {
        measure: policy::Measure::TlsVersion(Service::Imap),
        ..second.steps[0].clone()
    });
    second.legacy = None;
    second.rounds.newsletter = None;
    second.rounds.first = Some("2025-02-18T08:00".parse().unwrap());
    let now = town.clock.now();
    // The first one has set the same: it ends, and both have written.
    town.rollouts.end("tls-2025", author(now)).await.unwrap();
    town.running(second).await;
    assert!(town.on("2025-02-18T08:00").await.is_empty());
    assert!(town.on("2025-02-20T23:00").await.is_empty());
    town.login("anna@firma.test", OLD, TlsVersion::V1_2).await;
    assert_eq!(
        town.on("2025-02-21T08:00").await,
        ["round bert@firma.test", "round carl@firma.test"],
        "what waited and is no longer needed is dropped"
    );
}

async fn ten_logins_while_it_warns_make_one_letter() {
    let town = Town::new("2025-02-03", &["anna@firma.test", "bert@firma.test"]).await;
    let mut plan = rollout();
    plan.rounds = Default::default();
    let mut town = town;
    town.running(plan).await;
    for _ in 0..10 {
        town.login("anna@firma.test", OLD, TlsVersion::V1_0).await;
    }
    assert_eq!(town.step().await, ["nudge anna@firma.test"]);
    for day in ["2025-02-04", "2025-02-05", "2025-02-09"] {
        assert!(town.on(day).await.is_empty(), "{day}");
        town.login("anna@firma.test", OLD, TlsVersion::V1_0).await;
        assert!(town.step().await.is_empty(), "{day}");
    }
    town.on("2025-02-10T10:00").await;
    town.login("anna@firma.test", OLD, TlsVersion::V1_0).await;
    assert_eq!(town.on("2025-02-10T11:00").await, ["nudge anna@firma.test"]);
}

async fn a_domain_gets_one_digest_of_all_its_mailboxes() {
    let people: Vec<String> = (1..=12).map(|n| format!("user{n:02}@firma.test")).collect();
    let mut names: Vec<&str> = people.iter().map(String::as_str).collect();
    names.push("chef@other.test");
    let mut town = Town::new("2025-02-10", &names).await;
    let firma = DomainName::parse("firma.test").unwrap();
    let new = NewDomain {
        contact: Setting::To(formats::address::Address::parse("chef@other.test").unwrap()),
        ..NewDomain::default()
    };
    town.directory
        .set_domain(&firma, &new, town.clock.now())
        .await
        .unwrap();
    for who in &people {
        town.login(who, OLD, TlsVersion::V1_0).await;
    }
    let mut plan = rollout();
    plan.rounds.newsletter = None;
    town.running(plan).await;
    let left = town.on("2025-02-14T08:00").await;
    let digests: Vec<_> = left.iter().filter(|l| l.starts_with("digest")).collect();
    assert_eq!(digests, ["digest chef@other.test"]);
    assert_eq!(left.len(), 13);
    let text = town.letter(Kind::Digest, "chef@other.test").text;
    for who in &people {
        assert!(text.contains(who), "{who}: {text}");
    }
    assert!(
        text.contains("12 Postfächer") && text.contains("12 mailboxes"),
        "{text}"
    );
}

async fn the_newsletter_goes_to_all_and_can_be_ended_without_ending_letters() {
    let mut town = Town::new("2024-12-01", &THREE).await;
    town.login("anna@firma.test", OLD, TlsVersion::V1_0).await;
    let now = town.clock.now();
    town.rollouts.create(rollout(), author(now)).await.unwrap();
    let texts = town.rollouts.preview("tls-2025").await.unwrap();
    let newsletter = texts.iter().find(|text| text.what == "newsletter").unwrap();
    let end = "https://mx.provider.test/abmelden/";
    assert!(newsletter.text.contains(end), "{}", newsletter.text);
    assert!(
        town.on("2024-12-10T08:00").await.is_empty(),
        "a draft writes nobody"
    );
    town.rollouts
        .announce("tls-2025", author(now))
        .await
        .unwrap();
    assert_eq!(town.step().await.len(), 4);
    let letter = town.letter(Kind::Newsletter, "anna@firma.test");
    let url = letter.unsubscribe.unwrap().url;
    assert!(letter.text.contains(&url) && !url.contains("anna"), "{url}");
    assert_eq!(letter.group.as_deref(), Some("newsletter"));
    let token = url
        .strip_prefix("https://mx.provider.test/abmelden/")
        .unwrap();
    assert!(!town.rollouts.unsubscribe("0000", now).await.unwrap());
    assert!(town.rollouts.unsubscribe(token, now).await.unwrap());
    let mut second = rollout();
    second.slug = "second".into();
    town.rollouts.create(second, author(now)).await.unwrap();
    town.rollouts.announce("second", author(now)).await.unwrap();
    let left = town.step().await;
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(!left.contains(&"newsletter anna@firma.test".to_owned()));
    town.rollouts.start("tls-2025", author(now)).await.unwrap();
    assert_eq!(town.on("2025-02-14T08:00").await, ["round anna@firma.test"]);
}

async fn a_crash_between_handing_over_and_noting_sends_nothing_twice() {
    let mut town = three_old().await;
    *town.post.crash.lock().unwrap() = true;
    assert_eq!(
        town.on("2025-02-14T08:00").await.len(),
        3,
        "taken, and then the power went"
    );
    *town.post.crash.lock().unwrap() = false;
    assert!(
        town.on("2025-02-14T08:10").await.is_empty(),
        "not taken again"
    );
    let entries = town.rollouts.letters(Some("tls-2025"), 100).await.unwrap();
    assert!(
        entries
            .iter()
            .all(|entry| entry.status == Status::Delivered),
        "{entries:?}"
    );
    // Rows that were written before a crash cut the round off are not written again.
    town.store
        .write(|tx: &mut dyn Tx| tx.execute("DELETE FROM rollout_rounds", &[]))
        .await
        .unwrap();
    assert!(town.on("2025-02-14T08:20").await.is_empty());
}

async fn starting_sets_all_schedules_and_rolling_back_restores_them() {
    let town = three_old().await;
    let shown = |town: &Town| {
        let admin = policy::admin::Admin::new(town.store.clone());
        async move {
            let settings = admin.settings().await.unwrap();
            let lines = settings
                .iter()
                .map(|s| format!("{} {} = {} ({})", s.name, s.item, s.value, s.reason));
            lines.collect::<Vec<_>>()
        }
    };
    let set = shown(&town).await;
    assert_eq!(set.len(), 4, "{set:?}");
    assert!(
        set.iter()
            .all(|line| line.contains("rollout tls-2025: RFC 8996")),
        "{set:?}"
    );
    let now = town.clock.now();
    town.rollouts.pause("tls-2025", author(now)).await.unwrap();
    let paused = shown(&town).await;
    assert_eq!(
        paused
            .iter()
            .filter(|l| l.contains("paused=observe"))
            .count(),
        3,
        "{paused:?}"
    );
    town.rollouts.resume("tls-2025", author(now)).await.unwrap();
    assert_eq!(shown(&town).await, set);
    let done = town
        .rollouts
        .roll_back("tls-2025", author(now))
        .await
        .unwrap();
    assert_eq!((done.restored.len(), done.left.len()), (4, 0));
    assert!(shown(&town).await.is_empty());
    let kept = town.rollouts.get("tls-2025").await.unwrap();
    assert_eq!(kept.state, State::RolledBack);
    assert!(town.rollouts.start("tls-2025", author(now)).await.is_err());
}

async fn a_paused_rollout_writes_nobody_and_goes_on_later() {
    let mut town = three_old().await;
    let now = town.clock.now();
    town.rollouts.pause("tls-2025", author(now)).await.unwrap();
    assert!(town.on("2025-02-14T08:00").await.is_empty());
    town.rollouts.resume("tls-2025", author(now)).await.unwrap();
    assert_eq!(town.on("2025-02-15").await.len(), 3);
}

async fn who_was_secure_for_a_week_hears_of_it_the_same_day_once() {
    let mut town = Town::new("2025-02-01", &["anna@firma.test"]).await;
    town.login("anna@firma.test", "thunderbird/128/any", TlsVersion::V1_3)
        .await;
    town.on("2025-02-08").await;
    town.login("anna@firma.test", "thunderbird/128/any", TlsVersion::V1_3)
        .await;
    town.on("2025-02-09").await;
    town.login("anna@firma.test", OLD, TlsVersion::V1_0).await;
    assert_eq!(town.step().await, ["regression anna@firma.test"]);
    town.login("anna@firma.test", OLD, TlsVersion::V1_0).await;
    assert!(town.on("2025-02-10").await.is_empty());
    let text = town.letter(Kind::Regression, "anna@firma.test").text;
    assert!(
        text.contains("Outlook 2010") && text.contains("TLS 1.0"),
        "{text}"
    );
}

async fn who_uses_the_legacy_hosts_hears_of_their_beginning_and_of_their_end() {
    let mut town = Town::new("2025-03-10", &["anna@firma.test", "bert@firma.test"]).await;
    let mut plan = rollout();
    plan.rounds = Default::default();
    plan.steps
        .retain(|step| step.stage == policy::Stage::Enforce);
    town.running(plan).await;
    let enrolments = policy::legacy::Enrolments::new(town.store.clone());
    let now = town.clock.now();
    for who in ["anna@firma.test", "bert@firma.test"] {
        let key = AddressKey::parse(who).unwrap();
        enrolments.enrol(&key, None, author(now)).await.unwrap();
    }
    let enrolled = [
        "legacy-enrolled anna@firma.test",
        "legacy-enrolled bert@firma.test",
    ];
    assert_eq!(town.step().await, enrolled);
    let letter = town.letter(Kind::LegacyEnrolled, "anna@firma.test");
    assert!(letter.text.contains("30. Mai 2025"), "{}", letter.text);
    // Anna comes by the legacy hosts, Bert never does; it ends on 31 May at midnight.
    town.clock.set(at("2025-04-20"));
    let seen = Seen {
        account: town.accounts["anna@firma.test"],
        contact: Contact {
            service: Service::Imap,
            port: 993,
            encryption: Encryption::ImplicitTls,
            door: Door::Legacy,
            tls: Some((TlsVersion::V1_0, "TLS_X")),
            client: OLD,
            outcome: Outcome::LoggedIn,
            peer: [192, 0, 2, 1].into(),
            now: town.clock.now(),
        },
    };
    town.connections.note(&seen);
    let mut told = Vec::new();
    for day in [
        "04-21", "05-01", "05-03", "05-16", "05-20", "05-23", "05-29", "05-30",
    ] {
        for line in town.on(&format!("2025-{day}T08:00")).await {
            told.push(format!("{day} {line}"));
        }
    }
    let reminder = |day| format!("{day} legacy-reminder anna@firma.test");
    assert_eq!(told, ["05-03", "05-16", "05-23", "05-30"].map(reminder));
    let letter = town.letter(Kind::LegacyReminder, "anna@firma.test");
    assert!(letter.text.contains("Outlook") && letter.text.contains("30. Mai 2025"));
    let end = town.rollouts.policies.snapshot().legacy_end().unwrap();
    town.clock.set(end);
    enrolments.note_end(end, end).await.unwrap();
    let ended = town.step().await;
    assert!(
        ended.contains(&"legacy-ended anna@firma.test".to_owned()),
        "{ended:?}"
    );
    assert!(town.step().await.is_empty());
}

async fn what_was_set_before_comes_back_with_its_end_and_owner() {
    use policy::setting::{Name, Value};
    let town = Town::new("2025-02-10", &["anna@firma.test"]).await;
    let admin = policy::admin::Admin::new(town.store.clone());
    let now = town.clock.now();
    let before = policy::admin::Wanted {
        scope: policy::Scope::Domain(DomainName::parse("firma.test").unwrap()),
        name: Name::TlsVersion,
        item: "imap".into(),
        value: Value::parse(Name::TlsVersion, "1.2 observe; 2025-08-01 enforce").unwrap(),
        expires_at: Some(at("2025-07-01")),
        consent: None,
        owner: Some("support".into()),
    };
    let why = Author {
        reason: "old scanners".into(),
        ..author(now)
    };
    admin.set(before.clone(), why).await.unwrap();
    let mut plan = rollout();
    plan.audience = vec!["domain:firma.test".into()];
    town.running(plan).await;
    // Somebody changes one of the settings; that one stays.
    let cleartext = policy::admin::Wanted {
        name: Name::Cleartext,
        value: Value::parse(Name::Cleartext, "enforce").unwrap(),
        expires_at: None,
        owner: None,
        ..before.clone()
    };
    admin.set(cleartext, author(now)).await.unwrap();
    let done = town
        .rollouts
        .roll_back("tls-2025", author(now))
        .await
        .unwrap();
    assert_eq!(done.left, ["domain firma.test: cleartext imap"]);
    let settings = admin.settings().await.unwrap();
    assert_eq!(settings.len(), 2, "{settings:?}");
    let back = settings
        .iter()
        .find(|s| s.name == Name::TlsVersion)
        .unwrap();
    assert_eq!(
        (&back.value, back.expires_at),
        (&before.value, before.expires_at)
    );
    assert_eq!(back.owner, before.owner);
}

async fn silence_is_no_proof_and_nobody_is_thanked_for_it() {
    let mut town = three_old().await;
    assert_eq!(town.on("2025-02-14T08:00").await.len(), 3);
    // Three months later nobody has come by; what was seen is too old to count.
    let now = town.clock.now();
    town.clock.set(at("2025-06-20"));
    let letters = town
        .rollouts
        .round_now("tls-2025", author(at("2025-06-20")))
        .await;
    assert_eq!((now < at("2025-06-20"), letters.unwrap()), (true, 0));
}

#[test]
fn letters_that_belong_to_no_rollout_have_no_gap_in_any_form() {
    use crate::compose::{Draft, Writer};
    use crate::facts::{Facts, Sighting};
    let catalogue = policy::clients::Catalogue::new(Vec::new());
    let facts = Facts {
        seen: vec![Sighting {
            measure: "cleartext/pop3".into(),
            service: "pop3".into(),
            tls: None,
            clear: true,
            client: OLD.into(),
            says: String::new(),
            last_day: 20_000,
        }],
        legacy_until: Some("2025-05-30".parse().unwrap()),
        ..Facts::default()
    };
    for form in crate::preview::Form::all() {
        let voice = crate::Voice {
            address: form.address,
            gender: form.gender,
            ..crate::Voice::of_host("mx.provider.test")
        };
        let writer = Writer {
            voice: &voice,
            catalogue: &catalogue,
            ports: Ports::default(),
        };
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_of_rollout()) {
            let draft = Draft {
                kind,
                rollout: None,
                about: "anna@firma.test",
                facts: &facts,
                unsubscribe: "",
                legacy_until: None,
            };
            let written = writer.write(&draft, form.language).unwrap();
            assert!(
                !written.text.contains('{') && !written.subject.contains('{'),
                "{kind:?}"
            );
            assert!(written.text.contains("anna@firma.test"), "{kind:?}");
        }
    }
}

async fn no_letter_goes_to_an_account_it_does_not_concern_and_none_twice() {
    // Sixteen accounts behave by chance over five rounds; what left is compared with who was insecure.
    for seed in 0..6_u64 {
        let random = Random::seeded(seed);
        let people: Vec<String> = (0..16).map(|n| format!("u{n}@firma.test")).collect();
        let names: Vec<&str> = people.iter().map(String::as_str).collect();
        let mut town = Town::new("2025-02-10", &names).await;
        let mut plan = rollout();
        plan.rounds.newsletter = None;
        plan.rounds.last = Some("2025-03-14".parse().unwrap());
        town.running(plan).await;
        let mut insecure: HashSet<&str> = HashSet::new();
        let mut written: HashSet<&str> = HashSet::new();
        let mut sent = HashSet::new();
        for (number, day) in ["02-14", "02-21", "02-28", "03-07", "03-14"]
            .iter()
            .enumerate()
        {
            for who in &names {
                match random.next_u64() % 4 {
                    0 => {
                        town.login(who, OLD, TlsVersion::V1_1).await;
                        insecure.insert(who);
                    }
                    1 => {
                        town.login(who, OLD, TlsVersion::V1_2).await;
                        insecure.remove(who);
                    }
                    _ => {}
                }
            }
            for line in town.on(&format!("2025-{day}T08:00")).await {
                let (kind, to) = line.split_once(' ').unwrap();
                let who = *names.iter().find(|name| **name == to).unwrap();
                match kind {
                    "round" | "nudge" => {
                        assert!(insecure.contains(who), "{seed} {day} {line}");
                        written.insert(who);
                    }
                    "thanks" => {
                        assert!(!insecure.contains(who) && written.contains(who), "{line}");
                        assert!(sent.insert((99, to.to_owned())), "thanked twice: {line}");
                    }
                    _ => panic!("{line}"),
                }
                assert!(
                    sent.insert((number, to.to_owned())),
                    "twice in a week: {line}"
                );
            }
        }
    }
}

tokio::task_local! {
    /// Where the stores of a test are, where it is PostgreSQL.
    static POSTGRESQL: String;
}

fn engine(files: &tempfile::TempDir) -> Engine {
    match POSTGRESQL.try_with(Clone::clone) {
        Ok(url) => Engine::Postgres {
            url,
            connections: 1,
        },
        Err(_) => Engine::Sqlite {
            path: files.path().join("test.db"),
        },
    }
}

use by_rule::*;
use handing_over::*;

macro_rules! stories {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name().await;
            })*
        }

        #[test]
        fn postgresql_keeps_the_same() {
            let cluster = harness::postgres::Cluster::start();
            let runtime = tokio::runtime::Runtime::new().unwrap();
            $(runtime.block_on(POSTGRESQL.scope(cluster.database(), $name()));)*
        }
    };
}

stories! {
    a_rule_is_announced_enforced_on_its_day_and_taken_back
    what_somebody_changed_in_a_rule_since_is_said
    inbound_tls_keeps_its_consent_and_its_text
    a_round_that_was_cut_off_is_written_whole
    two_nodes_hand_a_letter_over_once
    a_letter_that_waited_counts_from_when_it_left
    nobody_is_thanked_whose_letter_never_left
    what_a_letter_was_about_goes_with_it
    what_was_set_before_comes_back_with_its_end_and_owner
    rounds_go_to_whom_it_concerns_then_and_the_fixed_are_thanked_once
    a_letter_names_the_five_facts_and_no_evidence
    nobody_gets_two_letters_a_week_over_all_rollouts
    ten_logins_while_it_warns_make_one_letter
    a_domain_gets_one_digest_of_all_its_mailboxes
    the_newsletter_goes_to_all_and_can_be_ended_without_ending_letters
    a_crash_between_handing_over_and_noting_sends_nothing_twice
    starting_sets_all_schedules_and_rolling_back_restores_them
    a_paused_rollout_writes_nobody_and_goes_on_later
    who_was_secure_for_a_week_hears_of_it_the_same_day_once
    silence_is_no_proof_and_nobody_is_thanked_for_it
    who_uses_the_legacy_hosts_hears_of_their_beginning_and_of_their_end
}

#[tokio::test]
async fn chance_writes_to_nobody_it_does_not_concern() {
    no_letter_goes_to_an_account_it_does_not_concern_and_none_twice().await;
}

//! Who is named by a preview, a status and a sample; who is left out and why.

use super::*;
use crate::connections::{Connections, Contact, Outcome, Seen, Status, status};
use crate::measure::{Door, Encryption};
use crate::model::Stage;
use crate::samples::{self, Posture};
use crate::setting::Name;
use crate::testing::{Fixture, NOON, domain, key};
use crate::{Findings, Policies};
use directory::admin::{NewAccount, NewDomain, NewPassword};

const DAY: i64 = 24 * 3600 * 1000;
const IMAP_12: Proposed = Proposed::TlsVersion {
    service: Service::Imap,
    lowest: TlsVersion::V1_2,
};

struct Rig {
    fixture: Fixture,
    policies: Policies,
    connections: Connections,
}

impl Rig {
    /// anna and bert at firma.test (group business), carl at other.test without group.
    async fn new() -> (Self, [AccountId; 3]) {
        Self::on(Fixture::new().await).await
    }

    async fn on(fixture: Fixture) -> (Self, [AccountId; 3]) {
        let other = DomainName::parse("other.test").unwrap();
        let admin = &fixture.directory;
        admin
            .add_domain(&other, &NewDomain::default(), NOON)
            .await
            .unwrap();
        let mut all = vec![fixture.anna];
        for login in ["bert@firma.test", "carl@other.test"] {
            let new = NewAccount::default();
            let login = key(login);
            let added = admin.add_account(&login, &new, &NewPassword::None, NOON);
            all.push(added.await.unwrap());
        }
        let rig = Self {
            policies: fixture.policies().await,
            connections: Connections::new(fixture.store.clone()),
            fixture,
        };
        (rig, all.try_into().unwrap())
    }

    fn login(&self, account: AccountId, tls: Option<TlsVersion>, days_ago: i64) {
        self.note(account, tls, Door::Normal, Outcome::LoggedIn, days_ago);
    }

    fn note(
        &self,
        account: AccountId,
        tls: Option<TlsVersion>,
        door: Door,
        outcome: Outcome,
        days_ago: i64,
    ) {
        let peer = std::net::Ipv4Addr::from(0x0a00_0000 + u32::try_from(account.0).unwrap());
        self.connections.note(&Seen {
            account,
            contact: Contact {
                service: Service::Imap,
                port: 143,
                encryption: match tls {
                    None => Encryption::Clear,
                    Some(_) => Encryption::StartTls,
                },
                door,
                tls: tls.map(|version| (version, "SUITE")),
                client: "outlook/2010/windows",
                outcome,
                peer: peer.into(),
                now: Timestamp(NOON.0 - days_ago * DAY),
            },
        });
    }

    async fn preview(&self, proposed: Proposed, scope: Scope, days: u32) -> Impact {
        self.connections.flush().await.unwrap();
        self.policies.refresh().await.unwrap();
        let snapshot = self.policies.snapshot();
        self.fixture
            .store
            .read(move |tx| {
                let question = Question {
                    proposed: &proposed,
                    scope: &scope,
                    days,
                    snapshot: &snapshot,
                    now: NOON,
                };
                preview(tx, &question, Vec::new())
            })
            .await
            .unwrap()
    }

    async fn status(&self, account: AccountId) -> Status {
        self.connections.flush().await.unwrap();
        self.policies.refresh().await.unwrap();
        let snapshot = self.policies.snapshot();
        self.fixture
            .store
            .read(move |tx| status(tx, &snapshot, account, NOON))
            .await
            .unwrap()
    }
}

fn logins(impact: &Impact) -> Vec<&str> {
    impact.accounts.iter().map(|a| a.login.as_str()).collect()
}

fn sum(name: &str, accounts: u64) -> Sum {
    Sum {
        name: name.into(),
        accounts,
    }
}

#[tokio::test]
async fn a_preview_names_accounts_domains_groups_and_programs() {
    names_all(Rig::new().await).await;
}

async fn names_all((rig, [anna, bert, carl]): (Rig, [AccountId; 3])) {
    for account in [anna, bert, carl] {
        rig.login(account, Some(TlsVersion::V1_0), 2);
    }
    rig.login(anna, Some(TlsVersion::V1_1), 0);
    let impact = rig.preview(IMAP_12, Scope::Installation, 14).await;
    assert_eq!(
        logins(&impact),
        ["anna@firma.test", "bert@firma.test", "carl@other.test"]
    );
    assert_eq!(impact.locked_out(), 3);
    assert_eq!(impact.domains, [sum("firma.test", 2), sum("other.test", 1)]);
    assert_eq!(impact.groups, [sum("business", 2)]);
    assert_eq!(impact.clients, [sum("outlook/2010/windows", 3)]);
    let affected = &impact.accounts[0];
    assert_eq!((affected.seen, affected.last_day), (2, window(1, NOON)));
    let only = |scope| rig.preview(IMAP_12, scope, 14);
    assert_eq!(
        logins(&only(domain("other.test")).await),
        ["carl@other.test"]
    );
    assert_eq!(
        logins(&only(Scope::Account(bert)).await),
        ["bert@firma.test"]
    );
    let business = only(Scope::Group("business".into())).await;
    assert_eq!(logins(&business), ["anna@firma.test", "bert@firma.test"]);
}

#[tokio::test]
async fn the_window_ends_today_and_what_is_mended_or_already_refused_is_told_apart() {
    let (rig, [anna, bert, carl]) = Rig::new().await;
    rig.login(anna, Some(TlsVersion::V1_0), 13);
    rig.login(bert, Some(TlsVersion::V1_0), 14);
    rig.login(carl, Some(TlsVersion::V1_3), 5);
    let refused = Outcome::Refused;
    rig.note(carl, Some(TlsVersion::V1_0), Door::Normal, refused, 1);
    let impact = rig.preview(IMAP_12, Scope::Installation, 14).await;
    assert_eq!(logins(&impact), ["anna@firma.test", "carl@other.test"]);
    assert_eq!(impact.accounts[0].now, Now::Works);
    assert_eq!(impact.accounts[1].now, Now::Refused);
    assert_eq!(impact.locked_out(), 1);
    rig.login(anna, Some(TlsVersion::V1_2), 0);
    let impact = rig.preview(IMAP_12, Scope::Installation, 14).await;
    assert_eq!(logins(&impact), ["carl@other.test"], "anna's is mended");
    let newest = Proposed::TlsVersion {
        service: Service::Imap,
        lowest: TlsVersion::V1_3,
    };
    let impact = rig.preview(newest, Scope::Installation, 14).await;
    assert_eq!(logins(&impact), ["anna@firma.test", "carl@other.test"]);
}

#[tokio::test]
async fn nobody_is_affected_by_a_stranger_who_names_him() {
    let (rig, [anna, ..]) = Rig::new().await;
    let (old, refused) = (Some(TlsVersion::V1_0), Outcome::Refused);
    rig.note(anna, old, Door::Normal, refused, 0);
    let impact = rig.preview(IMAP_12, Scope::Installation, 14).await;
    assert_eq!(logins(&impact), [""; 0]);
    assert_eq!(rig.status(anna).await, Status::NothingToDo);
    // Once it logs in from there, it was the account.
    rig.login(anna, Some(TlsVersion::V1_2), 0);
    rig.connections.flush().await.unwrap();
    rig.note(anna, old, Door::Normal, refused, 0);
    let impact = rig.preview(IMAP_12, Scope::Installation, 14).await;
    assert_eq!(logins(&impact), ["anna@firma.test"]);
}

#[tokio::test]
async fn exceptions_and_the_legacy_hosts_are_left_out() {
    leaves_out(Rig::new().await).await;
}

async fn leaves_out((rig, [anna, bert, carl]): (Rig, [AccountId; 3])) {
    rig.login(anna, None, 0);
    rig.login(bert, None, 0);
    rig.login(carl, None, 3);
    rig.note(carl, None, Door::Legacy, Outcome::LoggedIn, 0);
    let clear = Proposed::Cleartext(Service::Imap);
    let everybody = ["anna@firma.test", "bert@firma.test", "carl@other.test"];
    let impact = rig.preview(clear.clone(), Scope::Installation, 14).await;
    assert_eq!(logins(&impact), everybody, "nobody is let in there now");
    let access = "until 2027-05-30 cleartext";
    let all = Scope::Installation;
    rig.fixture.set(all, Name::LegacyAccess, access).await;
    let enrolments = crate::legacy::Enrolments::new(rig.fixture.store.clone());
    let login = key("carl@other.test");
    let author = crate::testing::author();
    enrolments.enrol(&login, None, author).await.unwrap();
    let impact = rig.preview(clear.clone(), Scope::Installation, 14).await;
    assert_eq!(logins(&impact), everybody[..2]);
    assert_eq!((impact.excepted, impact.on_legacy), (0, 1));
    let firma = rig.preview(clear.clone(), domain("firma.test"), 14).await;
    assert_eq!(firma.on_legacy, 0, "carl is not asked about");
    rig.fixture
        .set_item(
            Scope::Account(bert),
            Name::Cleartext,
            "imap",
            "observe; 2027-06-01 enforce",
        )
        .await;
    let impact = rig.preview(clear.clone(), Scope::Installation, 14).await;
    assert_eq!(logins(&impact), ["anna@firma.test"]);
    assert_eq!(impact.excepted, 1);
    // One that refuses as well is none.
    let (own, item) = (Scope::Account(anna), "imap");
    rig.fixture
        .set_item(own, Name::Cleartext, item, "enforce")
        .await;
    let impact = rig.preview(clear.clone(), Scope::Installation, 14).await;
    assert_eq!(logins(&impact), ["anna@firma.test"]);
    // Asked for the account itself, it is no exception.
    let impact = rig.preview(clear, Scope::Account(bert), 14).await;
    assert_eq!(logins(&impact), ["bert@firma.test"]);
}

#[tokio::test]
async fn findings_are_previewed_with_what_was_found() {
    previews_findings(Rig::new().await).await;
}

async fn previews_findings((rig, [anna, ..]): (Rig, [AccountId; 3])) {
    let findings = Findings::new(rig.fixture.store.clone());
    for _ in 0..4 {
        findings.note(Measure::SenderOwnership, anna, "anna@gmx.example", NOON);
    }
    findings.note(Measure::Rule("no-zip".into()), anna, "a.zip", NOON);
    findings.flush().await.unwrap();
    let own = rig.preview(Proposed::SenderOwnership, Scope::Installation, 30);
    let own = own.await;
    assert_eq!(logins(&own), ["anna@firma.test"]);
    assert_eq!(own.accounts[0].seen, 4);
    assert_eq!(*own.accounts[0].details[0], *"anna@gmx.example");
    let rule = Proposed::Rule("no-zip".into());
    let rule = rig.preview(rule, Scope::Installation, 30).await;
    assert_eq!(*rule.accounts[0].details[0], *"a.zip");
}

#[tokio::test]
async fn csv_names_accounts_and_servers_and_holds_no_formula() {
    let (rig, [anna, ..]) = Rig::new().await;
    let findings = Findings::new(rig.fixture.store.clone());
    findings.note(Measure::SenderOwnership, anna, "=1+1@gmx.example", NOON);
    findings.flush().await.unwrap();
    let mut impact = rig
        .preview(Proposed::SenderOwnership, Scope::Installation, 30)
        .await;
    impact.servers.push(Server {
        ours: "firma.test".into(),
        domain: "clear.test".into(),
        stopped: 3,
        passing: 1,
        last_day: 20_000,
    });
    let csv = impact.csv();
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(
        lines[1],
        "account,anna@firma.test,firma.test,business,,\"'=1+1@gmx.example\",works,1,2027-01-15"
    );
    assert_eq!(
        lines[2],
        "server,clear.test,firma.test,,,1 would get through,works,3,2024-10-04"
    );
}

#[tokio::test]
async fn a_trend_is_a_row_a_day() {
    keeps_a_trend(Rig::new().await).await;
}

async fn keeps_a_trend((rig, [anna, ..]): (Rig, [AccountId; 3])) {
    rig.login(anna, Some(TlsVersion::V1_0), 0);
    rig.connections.flush().await.unwrap();
    let snapshot = rig.policies.snapshot();
    let store = &rig.fixture.store;
    let standing = store.read(standing).await.unwrap();
    assert!(standing.contains(&IMAP_12));
    for day in [0, 1, 1] {
        let (at, snapshot) = (Timestamp(NOON.0 + day * DAY), snapshot.clone());
        let of = store
            .read(move |tx| today(tx, &IMAP_12, &snapshot, at))
            .await
            .unwrap();
        store
            .write(move |tx| record(tx, &IMAP_12, &of))
            .await
            .unwrap();
    }
    let days = store.read(|tx| trend(tx, &IMAP_12, 0)).await.unwrap();
    assert_eq!(days.len(), 2);
    assert_eq!((days[1].accounts, days[1].domains), (1, 1));
    assert_eq!(days[1].day, window(1, NOON) + 1);
}

#[tokio::test]
async fn a_setting_tells_what_it_can_break() {
    let (rig, _) = Rig::new().await;
    let of = async |scope: Scope, name: Name, item: &'static str, text: &str| {
        let value = crate::setting::Value::parse(name, text).unwrap();
        let read = move |tx: &mut dyn Tx| changes(tx, &scope, name, item, &value);
        let found = rig.fixture.store.read(read).await.unwrap();
        let words: Vec<String> = found.iter().map(ToString::to_string).collect();
        words.join(" ")
    };
    let all = Scope::Installation;
    let firma = domain("firma.test");
    let found = of(
        all.clone(),
        Name::TlsVersion,
        "imap",
        "1.3 observe; 2027-03-01 enforce",
    )
    .await;
    assert_eq!(found, "tls-version/imap=1.3");
    assert_eq!(
        of(all.clone(), Name::TlsVersion, "imap", "1.3 observe").await,
        ""
    );
    let found = of(all.clone(), Name::Cleartext, "*", "enforce").await;
    assert!(
        found.starts_with("cleartext/submission cleartext/imap "),
        "{found}"
    );
    let found = of(
        all.clone(),
        Name::SenderOwnership,
        "",
        "warn; 2027-03-01 enforce",
    )
    .await;
    assert_eq!(found, "sender-ownership");
    let found = of(all.clone(), Name::OutboundTls, "", "required").await;
    assert_eq!(found, "outbound-tls/firma.test outbound-tls/other.test");
    assert_eq!(of(all.clone(), Name::OutboundTls, "", "off").await, "");
    let found = of(firma, Name::InboundTls, "", "required").await;
    assert_eq!(found, "inbound-tls/firma.test");
    assert_eq!(of(all.clone(), Name::HoldBack, "", "10").await, "");
    // What is set for all services does not change one that has a setting of its own.
    let own = "observe; 2027-03-01 enforce";
    rig.fixture
        .set_item(all.clone(), Name::Cleartext, "imap", own)
        .await;
    let found = of(all, Name::Cleartext, "*", "enforce").await;
    assert!(found.starts_with("cleartext/submission cleartext/pop3 "));
}

#[tokio::test]
async fn words_of_changes_can_be_read_back() {
    let mut all: Vec<Proposed> = Service::ALL
        .into_iter()
        .flat_map(|service| {
            let tls = |lowest| Proposed::TlsVersion { service, lowest };
            [
                tls(TlsVersion::V1_2),
                tls(TlsVersion::V1_3),
                Proposed::Cleartext(service),
            ]
        })
        .collect();
    let name = DomainName::parse("firma.test").unwrap();
    all.extend([
        Proposed::SenderOwnership,
        Proposed::InboundTls(name.clone()),
        Proposed::OutboundTls(name),
        Proposed::Rule("a=1.3".into()),
    ]);
    for proposed in all {
        assert_eq!(Proposed::from_word(&proposed.to_string()), Some(proposed));
    }
    assert_eq!(Proposed::from_word("tls-version/imap"), Some(IMAP_12));
    for wrong in [
        "tls-version/imap=1.1",
        "cleartext/imap=1.2",
        "inbound-tls",
        "x",
    ] {
        assert_eq!(Proposed::from_word(wrong), None, "{wrong}");
    }
}

#[tokio::test]
async fn nothing_to_do_for_who_is_secure_and_devices_named_for_who_is_not() {
    tells_status(Rig::new().await).await;
}

async fn tells_status((rig, [anna, bert, carl]): (Rig, [AccountId; 3])) {
    rig.login(anna, Some(TlsVersion::V1_3), 0);
    rig.login(bert, None, 3);
    rig.login(bert, Some(TlsVersion::V1_3), 2);
    rig.login(carl, Some(TlsVersion::V1_2), 0);
    assert_eq!(rig.status(anna).await, Status::NothingToDo);
    // Mended, as far as the program goes; but its password was to be read.
    let Status::ActionNeeded(needed) = rig.status(bert).await else {
        panic!("the password is exposed");
    };
    assert_eq!(needed.devices, []);
    assert!(needed.exposed.is_some());
    rig.note(
        anna,
        Some(TlsVersion::V1_0),
        Door::Normal,
        Outcome::Refused,
        1,
    );
    let Status::ActionNeeded(needed) = rig.status(anna).await else {
        panic!("anna was refused");
    };
    assert_eq!(needed.since, window(2, NOON));
    assert_eq!(needed.devices[0].client, "outlook/2010/windows");
    assert_eq!(
        needed.measures[0].measure,
        Measure::TlsVersion(Service::Imap)
    );
    assert_eq!(needed.measures[0].stage, Stage::Enforce);

    // What is only observed asks nothing; a date does.
    assert_eq!(rig.status(carl).await, Status::NothingToDo);
    let set = async |value| {
        let scope = domain("other.test");
        rig.fixture
            .set_item(scope, Name::TlsVersion, "imap", value)
            .await;
    };
    set("1.3 observe").await;
    assert_eq!(rig.status(carl).await, Status::NothingToDo);
    set("1.3 observe; 2027-03-01 enforce").await;
    let Status::ActionNeeded(needed) = rig.status(carl).await else {
        panic!("there is a date");
    };
    assert_eq!(needed.measures[0].stage, Stage::Observe);
    assert!(needed.measures[0].enforced_from.is_some());
}

#[tokio::test]
async fn a_sample_is_the_same_with_the_same_seed_and_adds_up() {
    takes_samples(Rig::new().await).await;
}

async fn takes_samples((rig, [anna, bert, carl]): (Rig, [AccountId; 3])) {
    rig.login(anna, Some(TlsVersion::V1_3), 0);
    rig.login(bert, None, 0);
    rig.note(carl, None, Door::Legacy, Outcome::LoggedIn, 0);
    let new = NewAccount::default();
    let admin = &rig.fixture.directory;
    for n in 0..20 {
        let login = key(&format!("n{n}@other.test"));
        admin
            .add_account(&login, &new, &NewPassword::None, NOON)
            .await
            .unwrap();
    }
    rig.connections.flush().await.unwrap();
    let take = async |wanted, seed| {
        let read = move |tx: &mut dyn Tx| samples::sample(tx, wanted, seed, NOON);
        rig.fixture.store.read(read).await.unwrap()
    };
    let first = take(8, 7).await;
    assert_eq!(first, take(8, 7).await);
    assert_eq!((first.accounts.len(), first.of), (8, 23));
    assert_ne!(first, take(8, 8).await);
    // One more account changes at most one.
    let extra = key("extra@other.test");
    admin
        .add_account(&extra, &new, &NewPassword::None, NOON)
        .await
        .unwrap();
    let with_one_more = take(8, 7).await;
    let kept = with_one_more.accounts.iter();
    let kept = kept
        .filter(|looked| first.accounts.contains(looked))
        .count();
    assert!(kept >= 7);
    let all = take(100, 1).await;
    let counts = Posture::ALL.map(|posture| all.count(posture) as u64);
    assert_eq!(counts, [1, 1, 1, 21]);
    let totals = rig.fixture.store.read(|tx| samples::totals(tx, NOON)).await;
    assert_eq!(totals.unwrap(), counts);
    for later in [0, 0, DAY] {
        let at = Timestamp(NOON.0 + later);
        rig.fixture
            .store
            .write(move |tx: &mut dyn Tx| samples::record(tx, counts, at))
            .await
            .unwrap();
    }
    let trend = rig.fixture.store.read(|tx| samples::trend(tx, 0)).await;
    let today = window(1, NOON);
    assert_eq!(trend.unwrap(), [(today, counts), (today + 1, counts)]);
}

#[test]
fn postgresql_tells_the_same() {
    Fixture::on_postgresql(async |fixture| names_all(Rig::on(fixture).await).await);
    Fixture::on_postgresql(async |fixture| leaves_out(Rig::on(fixture).await).await);
    Fixture::on_postgresql(async |fixture| previews_findings(Rig::on(fixture).await).await);
    Fixture::on_postgresql(async |fixture| keeps_a_trend(Rig::on(fixture).await).await);
    Fixture::on_postgresql(async |fixture| tells_status(Rig::on(fixture).await).await);
    Fixture::on_postgresql(async |fixture| takes_samples(Rig::on(fixture).await).await);
}

//! What is kept of connections, and what is not.

use super::*;
use crate::regression;
use crate::testing::{Fixture, NOON, key};
use directory::admin::{NewAccount, NewPassword};

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 9));
const OUTLOOK: &str = "outlook/2010/windows";
const GOOD: Option<(TlsVersion, &str)> = Some((TlsVersion::V1_3, "TLS_AES_128_GCM_SHA256"));
const OLD: Option<(TlsVersion, &str)> =
    Some((TlsVersion::V1_0, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"));

fn days(count: i64) -> Timestamp {
    Timestamp(NOON.0 + count * DAY_MS)
}

fn contact(outcome: Outcome, tls: Option<(TlsVersion, &'static str)>) -> Contact<'static> {
    let encryption = match tls {
        None => Encryption::Clear,
        Some(_) => Encryption::StartTls,
    };
    Contact {
        service: Service::Imap,
        port: 143,
        encryption,
        door: Door::Normal,
        tls,
        client: OUTLOOK,
        outcome,
        peer: HOME,
        now: NOON,
    }
}

struct Rig {
    fixture: Fixture,
    connections: Connections,
}

impl Rig {
    async fn new() -> Self {
        Self::on(Fixture::new().await)
    }

    fn on(fixture: Fixture) -> Self {
        let connections = Connections::new(fixture.store.clone());
        Self {
            fixture,
            connections,
        }
    }

    async fn account(&self, login: &str) -> AccountId {
        let new = NewAccount::default();
        let admin = &self.fixture.directory;
        admin
            .add_account(&key(login), &new, &NewPassword::None, NOON)
            .await
            .unwrap()
    }

    fn anna(&self, contact: Contact<'_>) {
        self.connections.note(&Seen {
            account: self.fixture.anna,
            contact,
        });
    }

    async fn rows_of(&self, account: AccountId) -> Vec<Connection> {
        self.connections.flush().await.unwrap();
        self.fixture
            .store
            .read(move |tx| list(tx, account))
            .await
            .unwrap()
    }

    async fn rows(&self) -> Vec<Connection> {
        self.rows_of(self.fixture.anna).await
    }

    async fn untold(&self) -> Vec<regression::Regression> {
        self.connections.flush().await.unwrap();
        self.fixture
            .store
            .read(|tx| regression::untold(tx, 0, 10))
            .await
            .unwrap()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let found = self
            .fixture
            .store
            .read(move |tx| tx.one(sql, &[], |row| row.int(0)))
            .await
            .unwrap();
        found.unwrap()
    }
}

#[tokio::test]
async fn logins_alike_are_one_row_with_first_and_last_day() {
    logins_alike(Rig::new().await).await;
}

async fn logins_alike(rig: Rig) {
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.connections.flush().await.unwrap();
    rig.anna(Contact {
        now: days(3),
        peer: ELSEWHERE,
        ..contact(Outcome::LoggedIn, GOOD)
    });
    rig.anna(Contact {
        port: 993,
        encryption: Encryption::ImplicitTls,
        ..contact(Outcome::LoggedIn, GOOD)
    });
    let rows = rig.rows().await;
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].seen, rows[0].manner.port), (3, 143));
    assert_eq!(
        (rows[0].first_day, rows[0].last_day),
        (day(NOON), day(days(3)))
    );
    assert_eq!(&*rows[0].manner.cipher, "TLS_AES_128_GCM_SHA256");
    assert_eq!(rows[0].belief, Belief::Proved);
}

#[tokio::test]
async fn a_failed_handshake_is_an_accounts_only_where_it_alone_came_from_there() {
    strangers_are_named(Rig::new().await).await;
}

async fn strangers_are_named(rig: Rig) {
    let failed = Contact {
        client: "",
        ..contact(Outcome::HandshakeFailed, OLD)
    };
    rig.connections.note_stranger(&failed);
    assert_eq!(rig.rows().await.len(), 0, "nobody had come from there");
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.connections.flush().await.unwrap();
    rig.connections.note_stranger(&failed);
    let rows = rig.rows().await;
    let failure = |row: &&Connection| row.manner.outcome == Outcome::HandshakeFailed;
    let row = rows.iter().find(failure).expect("anna's");
    assert_eq!((row.belief, row.seen), (Belief::Proved, 1));

    // Somebody else behind the same address: now it may be either.
    let bert = rig.account("bert@firma.test").await;
    rig.connections.note(&Seen {
        account: bert,
        contact: contact(Outcome::LoggedIn, GOOD),
    });
    rig.connections.flush().await.unwrap();
    rig.connections.note_stranger(&failed);
    assert_eq!(rig.rows().await.iter().find(failure).unwrap().seen, 1);
    let strangers = rig
        .fixture
        .store
        .read(|tx| strangers(tx, 0, 10))
        .await
        .unwrap();
    assert_eq!(strangers.len(), 1);
    assert_eq!(
        (strangers[0].seen, strangers[0].tls),
        (2, Some(TlsVersion::V1_0))
    );
}

#[tokio::test]
async fn addresses_prove_nothing_after_seven_days_and_are_gone() {
    addresses_go(Rig::new().await).await;
}

async fn addresses_go(rig: Rig) {
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.connections.flush().await.unwrap();
    let later = Contact {
        now: days(8),
        client: "",
        ..contact(Outcome::HandshakeFailed, OLD)
    };
    rig.connections.note_stranger(&later);
    assert_eq!(rig.rows().await.len(), 1);
    assert_eq!(rig.count("SELECT COUNT(*) FROM policy_origins").await, 1);
    let kept = Duration::from_secs(400 * DAY_SECONDS);
    let just = Timestamp(NOON.0 + 7 * DAY_MS);
    rig.connections.forget(kept, just).await.unwrap();
    assert_eq!(rig.count("SELECT COUNT(*) FROM policy_origins").await, 1);
    let over = Timestamp(just.0 + 1);
    rig.connections.forget(kept, over).await.unwrap();
    assert_eq!(rig.count("SELECT COUNT(*) FROM policy_origins").await, 0);
    assert_eq!(rig.rows().await.len(), 1);
    rig.connections.forget(kept, days(401)).await.unwrap();
    assert_eq!(rig.rows().await.len(), 0);
}

#[tokio::test]
async fn whoever_only_names_an_account_proves_nothing_about_it() {
    let rig = Rig::new().await;
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.connections.flush().await.unwrap();
    rig.anna(Contact {
        client: "curl/-/any",
        peer: ELSEWHERE,
        ..contact(Outcome::Refused, OLD)
    });
    let belief = |rows: &[Connection]| {
        let refused = |row: &&Connection| row.manner.outcome == Outcome::Refused;
        rows.iter().find(refused).unwrap().belief
    };
    assert_eq!(belief(&rig.rows().await), Belief::Claimed);
    // From where it logs in, it is the account; and then the row is.
    rig.anna(Contact {
        client: "curl/-/any",
        ..contact(Outcome::Refused, OLD)
    });
    assert_eq!(belief(&rig.rows().await), Belief::Proved);
}

#[tokio::test]
async fn a_stranger_with_the_same_program_proves_nothing_and_opens_nothing_again() {
    let rig = Rig::new().await;
    rig.anna(contact(Outcome::Refused, OLD));
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.connections.flush().await.unwrap();
    rig.anna(contact(Outcome::Refused, OLD));
    rig.connections.flush().await.unwrap();
    rig.anna(Contact {
        now: days(1),
        ..contact(Outcome::LoggedIn, GOOD)
    });
    let rows = rig.rows().await;
    let refused = |rows: &[Connection], tls: Option<TlsVersion>| {
        let wanted =
            |row: &&Connection| row.manner.outcome == Outcome::Refused && row.manner.tls == tls;
        let row = rows.iter().find(wanted).unwrap();
        (row.belief, row.settled, row.seen)
    };
    let old = OLD.map(|(version, _)| version);
    assert_eq!(refused(&rows, old), (Belief::Proved, true, 2));
    let stranger = |tls| Contact {
        peer: ELSEWHERE,
        now: days(1),
        ..contact(Outcome::Refused, tls)
    };
    rig.anna(stranger(OLD));
    rig.anna(stranger(None));
    let rows = rig.rows().await;
    assert_eq!(refused(&rows, old), (Belief::Proved, true, 3));
    assert_eq!(refused(&rows, None), (Belief::Claimed, false, 1));
}

#[tokio::test]
async fn whoever_comes_back_from_holidays_is_known_by_what_it_did() {
    let rig = Rig::new().await;
    rig.anna(contact(Outcome::LoggedIn, OLD));
    rig.connections.flush().await.unwrap();
    rig.anna(Contact {
        peer: ELSEWHERE,
        now: days(20),
        ..contact(Outcome::Refused, OLD)
    });
    let rows = rig.rows().await;
    let refused = |row: &&Connection| row.manner.outcome == Outcome::Refused;
    assert_eq!(rows.iter().find(refused).unwrap().belief, Belief::Proved);
}

#[tokio::test]
async fn of_ipv6_the_network_is_where_an_account_came_from() {
    let rig = Rig::new().await;
    let from = |address: &str, outcome, tls| Contact {
        peer: address.parse().unwrap(),
        ..contact(outcome, tls)
    };
    rig.anna(from("2001:db8:0:1::5", Outcome::LoggedIn, GOOD));
    rig.connections.flush().await.unwrap();
    rig.anna(from("2001:db8:0:1:ffff::7", Outcome::Refused, OLD));
    rig.anna(from("2001:db8:0:2::5", Outcome::Refused, None));
    let rows = rig.rows().await;
    let belief = |tls: Option<TlsVersion>| {
        let wanted =
            |row: &&Connection| row.manner.outcome == Outcome::Refused && row.manner.tls == tls;
        rows.iter().find(wanted).unwrap().belief
    };
    assert_eq!(belief(OLD.map(|(version, _)| version)), Belief::Proved);
    assert_eq!(belief(None), Belief::Claimed);
}

#[tokio::test]
async fn a_secure_login_settles_what_the_same_program_did_before() {
    settles(Rig::new().await).await;
}

async fn settles(rig: Rig) {
    rig.anna(contact(Outcome::LoggedIn, OLD));
    rig.anna(Contact {
        client: "unknown",
        ..contact(Outcome::LoggedIn, OLD)
    });
    let open = |rows: Vec<Connection>| -> Vec<String> {
        let open = rows
            .iter()
            .filter(|row| row.is_open(0) && row.manner.is_insecure());
        open.map(|row| row.manner.client.to_string()).collect()
    };
    assert_eq!(open(rig.rows().await), [OUTLOOK, "unknown"]);
    for client in [OUTLOOK, "unknown"] {
        rig.anna(Contact {
            client,
            ..contact(Outcome::LoggedIn, GOOD)
        });
    }
    assert_eq!(open(rig.rows().await), ["unknown"], "two may be unknown");
    rig.anna(Contact {
        client: "unknown",
        now: days(1),
        ..contact(Outcome::LoggedIn, GOOD)
    });
    assert_eq!(open(rig.rows().await), [""; 0]);
    rig.anna(Contact {
        now: days(2),
        ..contact(Outcome::LoggedIn, OLD)
    });
    assert_eq!(open(rig.rows().await), [OUTLOOK], "it is back");
}

/// A handshake fails before a program can say its name; the program that comes securely for the first time after
/// that is the one that was mended.
#[tokio::test]
async fn a_nameless_failure_is_settled_by_the_program_that_was_mended_and_by_no_other() {
    let rig = Rig::new().await;
    const THUNDERBIRD: &str = "thunderbird/128/windows";
    let secure = |client: &'static str, day: i64| Contact {
        client,
        now: days(day),
        ..contact(Outcome::LoggedIn, GOOD)
    };
    let failure = |day: i64| Contact {
        client: "unknown",
        now: days(day),
        ..contact(Outcome::HandshakeFailed, OLD)
    };
    let open = |rows: Vec<Connection>| {
        rows.iter().filter(|row| row.is_open(0)).count()
            - rows
                .iter()
                .filter(|row| row.manner.is_secure_login())
                .count()
    };
    rig.anna(secure(THUNDERBIRD, 0));
    rig.anna(failure(1));
    assert_eq!(open(rig.rows().await), 1);
    rig.anna(secure(THUNDERBIRD, 2));
    assert_eq!(
        open(rig.rows().await),
        1,
        "it always came securely: another one fails"
    );
    rig.anna(secure(OUTLOOK, 2));
    assert_eq!(open(rig.rows().await), 0);
    rig.anna(failure(3));
    rig.anna(secure(OUTLOOK, 3));
    assert_eq!(open(rig.rows().await), 1, "a failure after it is news");
}

#[tokio::test]
async fn a_program_that_says_its_name_late_is_counted_once() {
    late_names(Rig::new().await).await;
}

async fn late_names(rig: Rig) {
    let anna = rig.fixture.anna;
    let before = Seen {
        account: anna,
        contact: Contact {
            client: "unknown",
            ..contact(Outcome::LoggedIn, GOOD)
        },
    };
    let after = Seen {
        account: anna,
        contact: contact(Outcome::LoggedIn, GOOD),
    };
    let clients = |rows: Vec<Connection>| -> Vec<(String, u64)> {
        let each = rows.into_iter();
        each.map(|row| (row.manner.client.into(), row.seen))
            .collect()
    };
    // While it still waits, and after it was written.
    rig.connections.note(&before);
    rig.connections.recognised(&before, &after);
    assert_eq!(clients(rig.rows().await), [(OUTLOOK.to_owned(), 1)]);
    rig.connections.note(&before);
    assert_eq!(rig.rows().await.len(), 2);
    rig.connections.recognised(&before, &after);
    assert_eq!(clients(rig.rows().await), [(OUTLOOK.to_owned(), 2)]);
}

#[tokio::test]
async fn insecure_connections_are_listed_for_everybody() {
    lists_insecure(Rig::new().await).await;
}

async fn lists_insecure(rig: Rig) {
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.anna(contact(Outcome::LoggedIn, OLD));
    rig.anna(Contact {
        now: days(-20),
        ..contact(Outcome::PasswordInClear, None)
    });
    rig.connections.flush().await.unwrap();
    let since = async |ago: i64| {
        let first_day: i64 = day(days(-ago));
        let read = move |tx: &mut dyn Tx| insecure(tx, first_day, 100);
        rig.fixture.store.read(read).await.unwrap()
    };
    let found = since(14).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "anna@firma.test");
    assert_eq!(found[0].1.manner.tls, Some(TlsVersion::V1_0));
    assert_eq!(since(20).await.len(), 2);
}

#[tokio::test]
async fn a_password_in_clear_is_flagged_until_the_credentials_change() {
    flags(Rig::new().await).await;
}

async fn flags(rig: Rig) {
    let anna = rig.fixture.anna;
    let flagged = async || {
        rig.connections.flush().await.unwrap();
        let store = &rig.fixture.store;
        store
            .read(move |tx| crate::exposed::of(tx, anna))
            .await
            .unwrap()
    };
    assert_eq!(flagged().await, None);
    rig.anna(contact(Outcome::PasswordInClear, None));
    let exposed = flagged().await.expect("flagged");
    assert_eq!((exposed.service, exposed.seen), (Service::Imap, 1));
    assert_eq!(exposed.belief, Belief::Claimed);
    let password = NewPassword::Clear("a brand new secret".to_owned().into());
    let admin = &rig.fixture.directory;
    admin
        .set_password(&key("anna@firma.test"), &password, NOON)
        .await
        .unwrap();
    assert_eq!(flagged().await, None);
    rig.anna(Contact {
        now: days(1),
        ..contact(Outcome::LoggedIn, None)
    });
    let exposed = flagged().await.expect("flagged again");
    assert_eq!((exposed.seen, exposed.first_day), (1, day(days(1))));
    assert_eq!(exposed.belief, Belief::Proved);
}

#[tokio::test]
async fn after_a_secure_week_the_first_insecure_attempt_is_a_regression_and_the_second_is_not() {
    regresses(Rig::new().await).await;
}

async fn regresses(rig: Rig) {
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.connections.flush().await.unwrap();
    let attempt = |at| Contact {
        now: days(at),
        ..contact(Outcome::PasswordInClear, None)
    };
    rig.anna(Contact {
        now: days(6),
        ..contact(Outcome::LoggedIn, GOOD)
    });
    rig.anna(attempt(7));
    rig.anna(attempt(7));
    let found = rig.untold().await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].login, "anna@firma.test");
    assert_eq!(found[0].day, day(days(7)));
    assert_eq!(found[0].manner.outcome, Outcome::PasswordInClear);
    let anna = rig.fixture.anna;
    rig.fixture
        .store
        .write(move |tx: &mut dyn Tx| regression::told(tx, anna, days(7)))
        .await
        .unwrap();
    for later in [8, 9, 14, 15] {
        rig.anna(attempt(later));
        assert_eq!(rig.untold().await, [], "day {later}");
    }
    // A week without: it was secure again.
    rig.anna(Contact {
        now: days(22),
        ..contact(Outcome::LoggedIn, GOOD)
    });
    rig.anna(attempt(22));
    assert_eq!(rig.untold().await.len(), 1);
}

#[tokio::test]
async fn no_regression_before_a_week_nor_by_a_stranger() {
    let rig = Rig::new().await;
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.connections.flush().await.unwrap();
    rig.anna(Contact {
        now: days(8),
        client: "",
        peer: ELSEWHERE,
        ..contact(Outcome::PasswordInClear, None)
    });
    assert_eq!(rig.untold().await, []);
    rig.anna(Contact {
        now: days(6),
        ..contact(Outcome::Refused, OLD)
    });
    assert_eq!(rig.untold().await, []);
}

#[tokio::test]
async fn a_watcher_hears_of_its_account_only() {
    let rig = Rig::new().await;
    let bert = rig.account("bert@firma.test").await;
    let mut live = rig.connections.watch(bert);
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.connections.note(&Seen {
        account: bert,
        contact: contact(Outcome::LoggedIn, GOOD),
    });
    let event = live.next().await.expect("an event");
    assert!(event.manner.is_secure_login());
    drop(live);
    rig.connections.note(&Seen {
        account: bert,
        contact: contact(Outcome::LoggedIn, GOOD),
    });
}

#[tokio::test]
async fn nobody_fills_the_store_and_new_rows_displace_old_ones() {
    bounds_rows(Rig::new().await).await;
}

async fn bounds_rows(rig: Rig) {
    for n in 0..PROVED_PER_ACCOUNT_MAX + 30 {
        let client = format!("program/{n}/any");
        rig.anna(Contact {
            client: &client,
            now: days(i64::from(n > 100)),
            ..contact(Outcome::LoggedIn, GOOD)
        });
        if n % 50 == 0 {
            rig.connections.flush().await.unwrap();
        }
    }
    let rows = rig.rows().await;
    assert!(rows.len() <= PROVED_PER_ACCOUNT_MAX);
    let last = format!("program/{}/any", PROVED_PER_ACCOUNT_MAX + 29);
    assert!(rows.iter().any(|row| *row.manner.client == *last));
    for n in 0..PROVED_PER_ACCOUNT_MAX {
        let client = format!("liar/{n}/any");
        rig.anna(Contact {
            client: &client,
            peer: ELSEWHERE,
            ..contact(Outcome::Refused, OLD)
        });
        if n % 50 == 0 {
            rig.connections.flush().await.unwrap();
        }
    }
    let after = rig.rows().await;
    let claimed = after.iter().filter(|row| row.belief == Belief::Claimed);
    assert_eq!(claimed.count(), CLAIMED_PER_ACCOUNT_MAX);
    assert_eq!(after.len(), rows.len() + CLAIMED_PER_ACCOUNT_MAX);
}

#[tokio::test]
async fn origins_of_one_account_are_bounded() {
    bounds_origins(Rig::new().await).await;
}

async fn bounds_origins(rig: Rig) {
    for n in 0..ORIGINS_PER_ACCOUNT_MAX as u32 + 20 {
        rig.anna(Contact {
            peer: IpAddr::V4((0x0a00_0000 + n).into()),
            now: Timestamp(NOON.0 + i64::from(n)),
            ..contact(Outcome::LoggedIn, GOOD)
        });
    }
    rig.connections.flush().await.unwrap();
    assert_eq!(
        rig.count("SELECT COUNT(*) FROM policy_origins").await,
        ORIGINS_PER_ACCOUNT_MAX as i64
    );
}

#[tokio::test]
async fn a_removed_account_leaves_nothing_and_gets_nothing() {
    removes(Rig::new().await).await;
}

async fn removes(rig: Rig) {
    rig.anna(contact(Outcome::LoggedIn, GOOD));
    rig.anna(contact(Outcome::PasswordInClear, None));
    rig.connections.flush().await.unwrap();
    let anna = rig.fixture.anna;
    rig.fixture
        .store
        .write(move |tx: &mut dyn Tx| {
            crate::remove_account(tx, anna)?;
            tx.execute(
                "DELETE FROM directory_accounts WHERE account = ?1",
                platform::params![anna.0],
            )
        })
        .await
        .unwrap();
    rig.anna(Contact {
        peer: ELSEWHERE,
        ..contact(Outcome::LoggedIn, None)
    });
    rig.connections.flush().await.unwrap();
    for sql in [
        "SELECT COUNT(*) FROM policy_connections",
        "SELECT COUNT(*) FROM policy_origins",
        "SELECT COUNT(*) FROM policy_exposed",
        "SELECT COUNT(*) FROM policy_regressions",
    ] {
        assert_eq!(rig.count(sql).await, 0, "{sql}");
    }
}

#[tokio::test]
async fn no_table_of_accounts_holds_an_address() {
    // C12: only policy_origins does. Its rows are the only ones with the column.
    let tables = SCHEMA.migrations[0].sql.split("CREATE TABLE ");
    let with_address: Vec<&str> = tables
        .filter(|table| table.contains("address"))
        .filter_map(|table| table.split_whitespace().next())
        .collect();
    assert_eq!(with_address, ["policy_origins"]);
}

#[test]
fn postgresql_keeps_the_same() {
    Fixture::on_postgresql(|fixture| logins_alike(Rig::on(fixture)));
    Fixture::on_postgresql(|fixture| strangers_are_named(Rig::on(fixture)));
    Fixture::on_postgresql(|fixture| addresses_go(Rig::on(fixture)));
    Fixture::on_postgresql(|fixture| settles(Rig::on(fixture)));
    Fixture::on_postgresql(|fixture| late_names(Rig::on(fixture)));
    Fixture::on_postgresql(|fixture| lists_insecure(Rig::on(fixture)));
    Fixture::on_postgresql(|fixture| flags(Rig::on(fixture)));
    Fixture::on_postgresql(|fixture| regresses(Rig::on(fixture)));
    Fixture::on_postgresql(|fixture| bounds_rows(Rig::on(fixture)));
    Fixture::on_postgresql(|fixture| bounds_origins(Rig::on(fixture)));
    Fixture::on_postgresql(|fixture| removes(Rig::on(fixture)));
}

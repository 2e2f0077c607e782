//! No account sees or affects another's mail: random operations of three accounts over every protocol,
//! and an account that is removed and made again under the same name.

use clients::{no_panic, python};
use harness::{Account, Lines, Server, deliver};

/// Begins the random numbers; another one is another test.
const SEED: &str = "20260214";

#[test]
fn accounts_do_not_see_each_other() {
    let server = Server::start();
    let run = python(&server, "isolation.py", &["12", SEED])
        .good()
        .said("done");
    println!("{}", run.out);
    no_panic(&server);
}

fn imap(server: &Server, account: &Account) -> Lines {
    let mut imap = Lines::tls(server.port("imaps"), &server.ca_file());
    imap.line();
    let (user, password) = (&account.address, &account.password);
    let answer = imap.imap_ask("login", &format!("LOGIN {user} {password}"));
    assert!(answer.starts_with("login OK"), "{answer}");
    imap
}

fn uidvalidity(selected: &str) -> String {
    let (_, rest) = selected.split_once("[UIDVALIDITY ").expect("UIDVALIDITY");
    rest.split(']').next().unwrap_or_default().to_owned()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "waits for another process")]
fn an_account_that_is_made_again_is_empty() {
    let server = Server::start();
    let old = server.account("carla");
    let smtp = server.port("smtp");
    let text = "Subject: of the first carla\r\n\r\nsecret\r\n";
    deliver(smtp, "you@example.org", &old.address, text);
    let mut session = imap(&server, &old);
    session.imap_ask("a", "CREATE Private");
    let selected = session.imap_ask("b", "SELECT INBOX");
    assert!(selected.contains("* 1 EXISTS"), "{selected}");

    let (removed, _, error) = server.cli(&["account", "remove", &old.address]);
    assert!(removed, "{error}");
    let (added, out, error) = server.cli(&["account", "add", &old.address, "--json"]);
    assert!(added, "{error}");
    let made: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let new = Account {
        address: old.address.clone(),
        password: made["password"].as_str().expect("a password").to_owned(),
    };

    // The session of the first carla reads nothing more, neither of hers nor of the new one.
    let text = "Subject: of the second carla\r\n\r\nsecret\r\n";
    deliver(smtp, "you@example.org", &new.address, text);
    session.say("c FETCH 1:* (BODY.PEEK[])");
    let rest = session.imap_answer("c") + &session.imap_ask("d", "SELECT INBOX");
    assert!(!rest.contains("second carla"), "{rest}");

    let mut session = imap(&server, &new);
    let again = session.imap_ask("a", "SELECT INBOX");
    assert!(again.contains("* 1 EXISTS"), "{again}");
    assert_ne!(uidvalidity(&again), uidvalidity(&selected));
    let mail = session.imap_ask("b", "FETCH 1:* (BODY.PEEK[])");
    assert!(
        mail.contains("second carla") && !mail.contains("first carla"),
        "{mail}"
    );
    let folders = session.imap_ask("c", "LIST \"\" *");
    assert!(!folders.contains("Private"), "{folders}");
    let mut stale = Lines::tls(server.port("imaps"), &server.ca_file());
    stale.line();
    let refused = stale.imap_ask("a", &format!("LOGIN {} {}", old.address, old.password));
    assert!(refused.starts_with("a NO"), "{refused}");
    no_panic(&server);
}

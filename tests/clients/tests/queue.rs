//! `rohrpost queue` as operators use it: why mail waits, orders for it, beside a running node and
//! without one; on both stores.

use harness::dns::Signing;
use harness::postgres::Cluster;
use harness::sink::{Behaviour, Step, Trouble};
use harness::{Lab, Letter};
use std::time::Duration;

/// The queue as JSON, a value per recipient.
fn rows(lab: &Lab, arguments: &[&str]) -> Vec<serde_json::Value> {
    let output = lab.cli(&[&["queue", "--json"], arguments].concat());
    let lines = output.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn id_of(row: &serde_json::Value) -> String {
    row["message"].as_str().expect("an id").to_owned()
}

fn refused(lab: &Lab, arguments: &[&str]) -> String {
    let (ok, output, errors) = lab.server.cli(arguments);
    assert!(!ok, "{arguments:?}: {output}");
    errors
}

fn later(lab: &Lab, account: &str, to: &str, subject: &str) {
    let letter = Letter::new(account, to, subject).parameters("HOLDFOR=7200");
    let reply = lab.submit(&letter);
    assert!(reply.starts_with("250"), "{reply}");
}

#[test]
fn the_queue_is_managed_on_sqlite() {
    managed(Lab::start());
}

#[test]
fn the_queue_is_managed_on_postgresql() {
    let cluster = Cluster::start();
    let url = format!("\"{}\"", cluster.database());
    managed(Lab::start_with(&[
        ("store.engine", "postgresql"),
        ("store.url", &url),
    ]));
}

fn managed(mut lab: Lab) {
    let away = lab.domain("away.test", Signing::Unsigned, Behaviour::default());
    // A name without an address that answers: nobody listens there.
    lab.dns.zone("dead.test", Signing::Unsigned);
    lab.dns
        .address("dead.test", "127.0.0.99".parse().expect("an address"));
    assert_eq!(lab.cli(&["queue"]), "");
    lab.cli(&["group", "set", "privat.test", "private"]);

    held_and_released(&lab);
    assert_eq!(away.wait_mails(2).len(), 2);
    dead_destinations(&lab);
    rerouted(&lab, &away.address().to_string());
    assert_eq!(away.wait_mails(3).len(), 3);
    without_a_node(&mut lab);
}

fn held_and_released(lab: &Lab) {
    later(lab, "anna", "box@away.test", "one");
    later(lab, "carla", "box@away.test", "two");
    later(lab, "carla", "bernd@firma.test", "stays here");
    assert_eq!(rows(lab, &[]).len(), 3);
    let private = rows(lab, &["--group", "private"]);
    assert_eq!(private.len(), 2);
    assert!(private.iter().all(|row| row["why"] == "kept-back"));
    assert_eq!(rows(lab, &["--from", "@firma.test"]).len(), 1);
    assert_eq!(rows(lab, &["--from", "carla@privat.test"]).len(), 2);
    assert_eq!(rows(lab, &["--to-domain", "AWAY.test"]).len(), 2);
    assert!(rows(lab, &["--older-than", "1 h"]).is_empty());
    let first = id_of(&rows(lab, &["--from", "anna@firma.test"])[0]);
    lab.cli(&["queue", "hold", &first]);
    lab.forward(Duration::from_secs(7300));
    lab.wait_inbox("bernd", &["stays here"]);
    lab.wait("the held one alone", || match rows(lab, &[]).as_slice() {
        [row] if row["why"] == "held" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(
        lab.cli(&["queue", "show", &first])
            .contains("held by the operator")
    );
    assert!(lab.cli(&["queue"]).contains("1 held"));
    refused(lab, &["queue", "retry", &first]);
    lab.cli(&["queue", "release", &first]);
    lab.wait("an empty queue", || match lab.cli(&["queue"]) {
        empty if empty.is_empty() => Ok(()),
        other => Err(other),
    });
}

fn dead_destinations(lab: &Lab) {
    for n in 0..3 {
        lab.send("anna", "box@dead.test", &format!("dead {n}"));
    }
    lab.wait("a reason", || {
        let rows = rows(lab, &[]);
        let is_told = rows.iter().all(|row| row["why"] == "destination-down");
        (is_told && rows.len() == 3)
            .then_some(())
            .ok_or(format!("{rows:?}"))
    });
    let tried: u64 = (rows(lab, &[]).iter())
        .map(|row| row["attempts"].as_u64().unwrap_or(0))
        .sum();
    assert!((1..=3).contains(&tried), "{tried}");
    assert!(
        lab.cli(&["queue"])
            .contains("destination dead.test is down since")
    );
    refused(lab, &["queue", "bounce"]);
    lab.cli(&["queue", "bounce", "--from", "anna@firma.test"]);
    lab.wait_inbox("anna", &["dead 2"]);
    assert!(lab.story("box@dead.test").contains("The operator returns"));
}

fn rerouted(lab: &Lab, there: &str) {
    lab.send("anna", "box@dead.test", "another way");
    lab.wait_queue(&["destination-down"]);
    lab.cli(&["queue", "reroute", "--all", "--to", there]);
    lab.wait("an empty queue", || match lab.cli(&["queue"]) {
        empty if empty.is_empty() => Ok(()),
        other => Err(other),
    });
    refused(lab, &["queue", "reroute", "--all", "--to", "nonsense"]);
}

/// The same orders where no node runs.
fn without_a_node(lab: &mut Lab) {
    let greylisting = Trouble::Reply("451 4.7.1 later".to_owned());
    let _grey = lab.domain(
        "grey.test",
        Signing::Unsigned,
        Behaviour::default().trouble(Step::Rcpt, greylisting),
    );
    lab.send("anna", "box@grey.test", "grey");
    lab.wait_deferred("box@grey.test", 1);
    later(lab, "anna", "box@away.test", "mistake");
    let mistake = id_of(&rows(lab, &["--to-domain", "away.test"])[0]);
    lab.server.kill();
    assert!(lab.cli(&["queue"]).contains("No node runs here"));
    // Without the node it is the machine's time, much later than the node's was.
    assert_eq!(rows(lab, &["--to-domain", "grey.test"])[0]["why"], "next");
    let told = lab.cli(&["queue", "cancel", &mistake]);
    assert!(told.contains("nothing of it was sent"), "{told}");
    refused(lab, &["queue", "cancel", &mistake]);
    lab.cli(&["queue", "hold", "--to-domain", "grey.test"]);
    assert_eq!(rows(lab, &[])[0]["why"], "held");
}

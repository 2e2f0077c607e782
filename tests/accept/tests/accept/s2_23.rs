//! S2-23: two nodes on one store refuse from the same midnight on, at once and without a restart; a node that
//! holds old rules, or is not heard of, is named.

use harness::postgres::Cluster;
use harness::{Lines, Server};
use std::time::{Duration, Instant};

const EVENING: &str = "2017-05-12T21:59:30Z";
const MIDNIGHT: &str = "2017-05-12T22:00:00Z";

/// Two nodes on one PostgreSQL store.
pub(crate) struct Nodes {
    cluster: Cluster,
    database: String,
    pub(crate) nodes: [Server; 2],
    _files: tempfile::TempDir,
}

impl Nodes {
    pub(crate) fn start() -> Self {
        let cluster = Cluster::start();
        let url = cluster.database();
        let (_, database) = url.rsplit_once("dbname=").expect("it works");
        let database = database.to_owned();
        let files = tempfile::tempdir().expect("it works");
        let first = files.path().join("mx1");
        let second = files.path().join("mx2");
        let start = |dir: &std::path::Path, name: &str| {
            let (host, url) = (
                format!("node.host_name={name}.provider.test"),
                format!("store.url=\"{url}\""),
            );
            let set = [
                "--set",
                "store.engine=postgresql",
                "--set",
                &url,
                "--set",
                &host,
            ];
            Server::start_in(dir, &[&["--clock", EVENING][..], &set].concat())
        };
        let one = start(&first, "mx1");
        // Keys in the store are sealed with the installation's secret.
        std::fs::create_dir_all(second.join("store")).expect("it works");
        let secret = std::path::Path::new("store/installation.secret");
        std::fs::copy(first.join(secret), second.join(secret)).expect("it works");
        let two = start(&second, "mx2");
        Self {
            cluster,
            database,
            nodes: [one, two],
            _files: files,
        }
    }

    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let (ok, output, errors) = self.nodes[0].cli(arguments);
        assert!(ok, "{arguments:?}: {output}{errors}");
        output
    }

    fn clock(&self, time: &str) {
        for node in &self.nodes {
            let (ok, output, errors) = node.cli(&["clock", "set", time]);
            assert!(ok, "{output}{errors}");
        }
    }

    /// What each node answers to a login in clear.
    fn logins(&self) -> [String; 2] {
        self.nodes.each_ref().map(|node| {
            let anna = node.account("anna");
            let mut client = Lines::clear(node.port("imap"));
            client.line();
            client.imap_ask("a", &format!("LOGIN {} {}", anna.address, anna.password))
        })
    }
}

fn wait(what: &str, look: impl FnMut() -> bool) {
    wait_told(|| what.to_owned(), look);
}

#[allow(clippy::disallowed_methods, reason = "waits for other processes")]
pub(crate) fn wait_told(what: impl Fn() -> String, mut look: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !look() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{}", what());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn every_node_refuses_from_midnight_on_and_one_with_old_rules_is_named() {
    let nodes = Nodes::start();
    let pids = nodes.nodes.each_ref().map(Server::pid);
    let schedule = ["warn", "2017-05-13", "enforce"];
    nodes.cli(
        &[
            &["measure", "set", "installation", "cleartext"][..],
            &schedule,
        ]
        .concat(),
    );
    wait("both take logins in clear", || {
        nodes.logins().iter().all(|answer| answer.contains("a OK"))
    });
    nodes.clock("2017-05-12T21:59:50Z");
    assert!(nodes.logins().iter().all(|answer| answer.contains("a OK")));
    nodes.clock(MIDNIGHT);
    for answer in nodes.logins() {
        assert!(answer.contains("a NO"), "{answer}");
        assert!(answer.contains("[PRIVACYREQUIRED]"), "{answer}");
    }
    assert_eq!(nodes.nodes.each_ref().map(Server::pid), pids);

    // Both said what they hold.
    wait("both nodes are current", || {
        let listed = nodes.cli(&["measure", "list"]);
        listed.matches("holds the rules of revision").count() == 2
    });
    drifted(&nodes);
}

/// A value of a newer version that this one cannot read, and a node that is gone.
fn drifted(nodes: &Nodes) {
    nodes.cli(&["policy", "set", "firma.test", "sender-ownership", "observe"]);
    let sql = |statement: &str| nodes.cluster.sql(&nodes.database, statement);
    sql("UPDATE policy_settings SET value = 'brand-new' WHERE name = 'sender-ownership'");
    sql("UPDATE policy_numbers SET value = value + 1 WHERE name = 'revision'");
    nodes.clock("2017-05-12T22:01:00Z");
    let mut listed = String::new();
    wait("both nodes hold old rules", || {
        let (_, output, errors) = nodes.nodes[0].cli(&["measure", "list"]);
        listed = output + &errors;
        listed.matches("holds old rules").count() == 2
    });
    assert!(
        listed.contains("sender-ownership for domain firma.test"),
        "{listed}"
    );
    for answer in nodes.logins() {
        assert!(
            answer.contains("a NO"),
            "what was read before holds on: {answer}"
        );
    }
    nodes.cli(&["policy", "unset", "firma.test", "sender-ownership"]);
    wait("both nodes are current again", || {
        let listed = nodes.cli(&["measure", "list"]);
        listed.matches("holds the rules of revision").count() == 2
    });
    // Stopped, not ended: it can say nothing.
    let stop = |signal: &str| {
        let pid = nodes.nodes[1].pid().to_string();
        let done = std::process::Command::new("kill")
            .args([signal, &pid])
            .status();
        assert!(done.expect("it works").success());
    };
    stop("-STOP");
    let (ok, ..) = nodes.nodes[0].cli(&["clock", "set", "2017-05-12T22:05:00Z"]);
    assert!(ok);
    wait("the silent node is named", || {
        let listed = nodes.cli(&["measure", "list"]);
        listed.contains("node mx2.provider.test has not been heard of")
            && listed.contains("Node mx1.provider.test holds")
    });
    stop("-CONT");
}

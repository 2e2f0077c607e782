//! Python's imaplib and poplib, and a reader of IMAP's state rules that is our own: the scripts in
//! `scripts/` hold the assertions.

use clients::{no_panic, python};
use harness::Server;

#[test]
fn imaplib() {
    let server = Server::start();
    let run = python(&server, "imap.py", &[]).good().said("done");
    println!("{}", run.out);
    no_panic(&server);
}

#[test]
fn imap_state() {
    let server = Server::start();
    python(&server, "imap_state.py", &[]).good().said("done");
    no_panic(&server);
}

#[test]
fn poplib() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Server::start_in(dir.path(), &[]);
    let first = python(&server, "pop.py", &["first"]).good().said("done");
    no_panic(&server);
    drop(server);
    // The same maildrop after a restart: the unique ids are the same (RFC 1939 §7).
    let server = Server::start_in(dir.path(), &[]);
    let second = python(&server, "pop.py", &["second"]).good().said("done");
    let ids = |out: &str| {
        out.lines()
            .find_map(|line| line.strip_prefix("uidl "))
            .map(str::to_owned)
    };
    assert!(ids(&first.out).is_some_and(|ids| ids.contains(' ')));
    assert_eq!(ids(&first.out), ids(&second.out));
    no_panic(&server);
}

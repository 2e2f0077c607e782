//! S3-51: mail leaves from the address, and with the EHLO name, of its sender's pool: by domain, by
//! account, by group; over IPv4 here, as the sinks have no other. The self-check compares EHLO and PTR.

use harness::Lab;
use harness::dns::Signing;
use harness::sink::{Behaviour, Sink};

/// Source address and EHLO name of the session that brought the message from `sender`.
fn origin(sink: &Sink, count: usize, sender: &str) -> (String, String) {
    let mails = sink.wait_mails(count);
    let mail = mails.iter().find(|mail| mail.from == sender);
    let session = mail.expect("it came").session;
    let session = &sink.sessions()[session];
    (session.client.ip().to_string(), session.hello.clone())
}

#[test]
fn the_sink_sees_the_pool_of_each_sender() {
    let lab = Lab::start();
    let sink = lab.domain("peer.test", Signing::Unsigned, Behaviour::default());
    for (pool, address, hello) in [
        ("private", "127.51.0.1", "out1.rp.test"),
        ("business", "127.51.0.2", "out2.rp.test"),
        ("special", "127.51.0.3", "out3.rp.test"),
    ] {
        lab.cli(&["pool", "add", pool, address, "--hello", hello]);
    }
    lab.cli(&["group", "defaults"]);
    lab.cli(&["group", "set", "privat.test", "private"]);
    lab.policy("group:private", "pool", "private");
    lab.policy("firma.test", "pool", "business");
    lab.policy("bernd@firma.test", "pool", "special");

    lab.send("carla", "box@peer.test", "from the group's pool");
    lab.send("anna", "box@peer.test", "from the domain's pool");
    lab.send("bernd", "box@peer.test", "from the account's pool");
    let seen = |sender: &str| origin(&sink, 3, sender);
    let expected = |address: &str, hello: &str| (address.to_owned(), hello.to_owned());
    assert_eq!(
        seen("carla@privat.test"),
        expected("127.51.0.1", "out1.rp.test")
    );
    assert_eq!(
        seen("anna@firma.test"),
        expected("127.51.0.2", "out2.rp.test")
    );
    assert_eq!(
        seen("bernd@firma.test"),
        expected("127.51.0.3", "out3.rp.test")
    );
}

/// No other address is used in its place: that would undo what the pool is for.
#[test]
fn an_address_that_is_not_here_waits_for_the_operator() {
    let lab = Lab::start();
    let sink = lab.domain("peer.test", Signing::Unsigned, Behaviour::default());
    lab.cli(&["pool", "add", "elsewhere", "192.0.2.9"]);
    lab.policy("firma.test", "pool", "elsewhere");
    lab.send("anna", "box@peer.test", "waits");
    let why = lab.wait_deferred("box@peer.test", 1);
    assert!(why.contains("192.0.2.9"), "{why}");
    assert!(sink.mails().is_empty());
}

//! The operator's rules in sessions: tags and how long they are known, what a rule that is only observed notes, copies
//! that nobody gets twice, rules about headers. What rules mean is tested in `policy`. Never used outside tests.

use super::{Client, START, TestServer, author};
use crate::server::Settings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platform::store::{StoreError, Tx};
use policy::Scope;
use policy::admin::PolicyError;
use policy::impact::{Proposed, Question, preview};
use policy::rules::{RuleSet, store};

async fn server(rules: &str) -> TestServer {
    let server = TestServer::start(Settings::new("mx.rp.test")).await;
    put(&server, rules).await;
    server
}

async fn put(server: &TestServer, rules: &str) {
    let set = RuleSet::from_json(&format!("{{\"rules\":[{rules}]}}")).unwrap();
    let put = move |tx: &mut dyn Tx| store::put(tx, &set, None, &author());
    let put: Result<i64, PolicyError> = server.store.write(put).await;
    put.unwrap();
    server.context.policies.refresh().await.unwrap();
}

async fn logged_in(server: &TestServer) -> Client {
    let mut client = Client::connect(server.submission).await;
    client.reply().await;
    client.ask("EHLO laptop").await;
    client.ask("STARTTLS").await;
    client.start_tls().await;
    client.ask("EHLO laptop").await;
    let plain = STANDARD.encode("\0anna@firma.test\0geheim-genug");
    let reply = client.ask(&format!("AUTH PLAIN {plain}")).await;
    assert!(reply.starts_with("235 "), "{reply}");
    client
}

async fn mx(server: &TestServer) -> Client {
    let mut client = Client::connect(server.mx).await;
    client.reply().await;
    client.ask("EHLO client.example").await;
    client
}

async fn bring(client: &mut Client, header: &str) -> String {
    client.ask("MAIL FROM:<a@client.example>").await;
    client.ask("RCPT TO:<anna@firma.test>").await;
    client.ask("DATA").await;
    client
        .ask(&format!("{header}Subject: x\r\n\r\nhi\r\n."))
        .await
}

/// Domains of servers that a preview says the rule would stop.
async fn stopped(server: &TestServer, rule: &str) -> Vec<(String, u64)> {
    let policies = &server.context.policies;
    policies.watch().flush().await.unwrap();
    let snapshot = policies.snapshot();
    let proposed = Proposed::Rule(rule.into());
    let asked = move |tx: &mut dyn Tx| {
        let question = Question {
            proposed: &proposed,
            scope: &Scope::Installation,
            days: 30,
            snapshot: &snapshot,
            now: START,
        };
        preview(tx, &question, Vec::new())
    };
    let impact: Result<_, StoreError> = server.store.read(asked).await;
    let servers = impact.unwrap().servers.into_iter();
    servers.map(|one| (one.domain, one.stopped)).collect()
}

#[tokio::test]
async fn a_tag_of_a_login_is_known_until_the_login_goes() {
    let server = server(
        r#"{"name":"mark","at":["auth"],"when":{"fact":"authenticated","value":true},
            "then":[{"do":"tag","word":"customer"}]},
           {"name":"stop","at":["mail"],"when":{"fact":"tag","value":"customer"},
            "then":[{"do":"reject","text":"not you"}]}"#,
    )
    .await;
    let mut client = logged_in(&server).await;
    for _ in 0..2 {
        let reply = client.ask("MAIL FROM:<anna@firma.test>").await;
        assert_eq!(reply, "550 5.7.1 not you");
        client.ask("EHLO laptop").await;
    }
}

#[tokio::test]
async fn a_tag_of_a_message_goes_with_it() {
    let server = server(
        r#"{"name":"mark","at":["mail"],"when":{"fact":"sender","value":"bad@client.example"},
            "then":[{"do":"tag","word":"bad"}]},
           {"name":"stop","at":["rcpt"],"when":{"fact":"tag","value":"bad"},
            "then":[{"do":"reject","text":"not you"}]}"#,
    )
    .await;
    let mut client = mx(&server).await;
    client.ask("MAIL FROM:<bad@client.example>").await;
    let reply = client.ask("RCPT TO:<anna@firma.test>").await;
    assert_eq!(reply, "550 5.7.1 not you");
    client.ask("EHLO client.example").await;
    client.ask("MAIL FROM:<good@client.example>").await;
    let reply = client.ask("RCPT TO:<anna@firma.test>").await;
    assert!(reply.starts_with("250 "), "{reply}");
}

/// The preview names whom the enforced rule then refuses: for a demand only who does not meet it, for a rate only
/// what is beyond it, for what stops nobody no one.
#[tokio::test]
async fn what_a_rule_would_stop_is_what_it_stops() {
    let rules = |stage: &str| {
        format!(
            r#"{{"name":"secure","at":["rcpt"],"then":[{{"do":"require-tls"}}],"schedule":"{stage}"}},
               {{"name":"slow","at":["data"],"then":[{{"do":"rate","count":2,"per":"1d"}}],"schedule":"{stage}"}},
               {{"name":"mark","at":["data"],"then":[{{"do":"header","action":"add X-Seen: yes"}}],"schedule":"{stage}"}}"#
        )
    };
    let run = async |stage: &str| {
        let server = server(&rules(stage)).await;
        let mut refused = 0;
        for _ in 0..3 {
            let mut client = mx(&server).await;
            client.ask("STARTTLS").await;
            client.start_tls().await;
            client.ask("EHLO client.example").await;
            refused += u64::from(!bring(&mut client, "").await.starts_with("250 "));
        }
        let mut clear = mx(&server).await;
        clear.ask("MAIL FROM:<a@clear.example>").await;
        let reply = clear.ask("RCPT TO:<anna@firma.test>").await;
        (server, refused, reply.starts_with("250 "))
    };
    let (observed, refused, passes) = run("observe").await;
    assert_eq!((refused, passes), (0, true));
    let named = |domain: &str, times| vec![(domain.to_owned(), times)];
    assert_eq!(
        stopped(&observed, "secure").await,
        named("clear.example", 1)
    );
    assert_eq!(stopped(&observed, "slow").await, named("client.example", 1));
    assert_eq!(stopped(&observed, "mark").await, []);
    let (_, refused, passes) = run("enforce").await;
    assert_eq!((refused, passes), (1, false));
}

#[tokio::test]
async fn nobody_gets_a_copy_twice() {
    let copy = |name: &str, to: &str| {
        format!(r#"{{"name":"{name}","at":["data"],"then":[{{"do":"copy","to":"{to}"}}]}}"#)
    };
    let rules = [
        copy("a", "bernd@firma.test"),
        copy("b", "Bernd@firma.test"),
        copy("c", "far@far.example"),
        copy("d", "far@FAR.example"),
    ];
    let server = server(&rules.join(",")).await;
    let mut client = mx(&server).await;
    let reply = bring(&mut client, "").await;
    assert!(reply.starts_with("250 "), "{reply}");
    assert_eq!(server.inbox(server.bernd).await.len(), 1);
    let waiting = move |tx: &mut dyn Tx| {
        tx.one("SELECT COUNT(*) FROM queue_recipients", &[], |row| {
            row.int(0)
        })
    };
    let waiting: Result<_, StoreError> = server.store.read(waiting).await;
    assert_eq!(waiting.unwrap(), Some(1));
}

#[tokio::test]
async fn what_a_rule_says_about_who_has_no_name_holds_for_headers_too() {
    let server = server(
        r#"{"name":"nameless","at":["data"],"when":{"not":{"fact":"reverse-name","op":"present"}},
            "then":[{"do":"header","action":"add X-Nameless: yes"}]}"#,
    )
    .await;
    let resolver = platform::dns::StaticResolver::default();
    let watch = server.context.policies.watch();
    watch.resolve_with(std::sync::Arc::new(resolver));
    let mut client = mx(&server).await;
    bring(&mut client, "").await;
    let inbox = server.inbox(server.anna).await;
    assert!(inbox[0].contains("\r\nX-Nameless: yes\r\n"), "{}", inbox[0]);
}

/// Rules that come while a message is under way must not take what they did not see for what is not there.
#[tokio::test]
async fn rules_that_come_in_the_middle_know_what_they_did_not_see() {
    let server = server("").await;
    let mut client = mx(&server).await;
    client.ask("MAIL FROM:<a@client.example>").await;
    client.ask("RCPT TO:<anna@firma.test>").await;
    client.ask("DATA").await;
    put(
        &server,
        r#"{"name":"strangers","at":["data"],
            "when":{"not":{"fact":"recipient-domain","value":"firma.test"}},"then":[{"do":"reject"}]},
           {"name":"unsigned","at":["data"],
            "when":{"not":{"fact":"header:subject","op":"present"}},"then":[{"do":"reject"}]}"#,
    )
    .await;
    let reply = client.ask("Subject: x\r\n\r\nhi\r\n.").await;
    assert!(reply.starts_with("250 "), "{reply}");
}

/// A rate by account is used up by logins, never by guesses; once it is, right and wrong passwords get one answer.
#[tokio::test]
async fn a_rate_of_logins_tells_nobody_which_password_is_right() {
    let server = server(
        r#"{"name":"slow","at":["auth"],
            "then":[{"do":"rate","by":["account"],"count":2,"per":"1h","text":"Too often."}]}"#,
    )
    .await;
    let login = async |password: &str| {
        let mut client = Client::connect(server.submission).await;
        client.reply().await;
        client.ask("EHLO laptop").await;
        client.ask("STARTTLS").await;
        client.start_tls().await;
        client.ask("EHLO laptop").await;
        let plain = STANDARD.encode(format!("\0anna@firma.test\0{password}"));
        client.ask(&format!("AUTH PLAIN {plain}")).await
    };
    for _ in 0..3 {
        let reply = login("guess").await;
        assert!(reply.starts_with("535 "), "{reply}");
    }
    for _ in 0..2 {
        let reply = login("geheim-genug").await;
        assert!(reply.starts_with("235 "), "{reply}");
    }
    let right = login("geheim-genug").await;
    assert_eq!(right, "454 4.7.1 Too often.");
    assert_eq!(login("guess").await, right);
}

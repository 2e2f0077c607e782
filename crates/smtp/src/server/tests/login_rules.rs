//! Rules about who logs in answer before a password is looked at. Never used outside tests.

use super::{Client, TestServer, author};
use crate::server::Settings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platform::store::Tx;
use policy::admin::PolicyError;
use policy::rules::{RuleSet, store};

const RULE: &str = r#"{"rules":[{"name":"no-anna","at":["auth"],
    "when":{"fact":"account","value":"anna@firma.test"},
    "then":[{"do":"reject","text":"Not from here."}]}]}"#;

#[tokio::test]
async fn a_rule_says_the_same_to_right_and_wrong_passwords() {
    let server = TestServer::start(Settings::new("mx.rp.test")).await;
    let set = RuleSet::from_json(RULE).unwrap();
    let put = move |tx: &mut dyn Tx| store::put(tx, &set, None, &author());
    let put: Result<i64, PolicyError> = server.store.write(put).await;
    put.unwrap();
    server.context.policies.refresh().await.unwrap();
    let mut client = Client::connect(server.submission).await;
    client.reply().await;
    client.ask("EHLO laptop").await;
    client.ask("STARTTLS").await;
    client.start_tls().await;
    client.ask("EHLO laptop").await;
    let mut login = async |user: &str, password: &str| {
        let plain = STANDARD.encode(format!("\0{user}\0{password}"));
        client.ask(&format!("AUTH PLAIN {plain}")).await
    };
    let right = login("anna@firma.test", "geheim-genug").await;
    assert!(right.contains("Not from here."), "{right}");
    assert_eq!(login("anna@firma.test", "wrong").await, right);
    let other = login("bert@firma.test", "wrong").await;
    assert!(!other.contains("Not from here."), "{other}");
}

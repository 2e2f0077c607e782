//! S3-70 and S3-75 by rule: what EHLO offers differs by listener, and what is not offered is not taken. S3-76 by rule:
//! a domain's own words at RCPT, nobody else is touched. Rules at every other point have their effect, first only
//! noted and then in force from a date on, without a restart; what a change would do is told from recorded facts.

use harness::{Lab, Letter, Lines};
use std::time::Duration;

const TEXT: &str = "Accepting only secure delivery (STARTTLS) for firma.test";

fn import(lab: &Lab, rules: &[&str]) {
    let path = lab.config().with_file_name("rules.json");
    std::fs::write(&path, format!(r#"{{"rules":[{}]}}"#, rules.join(","))).expect("write a file");
    lab.cli(&["rules", "import", &path.display().to_string()]);
}

fn mx(lab: &Lab) -> Lines {
    let mut smtp = Lines::clear(lab.server.port("smtp"));
    smtp.smtp();
    smtp.smtp_ask("EHLO mx.far.test");
    smtp
}

fn submission(lab: &Lab) -> (Lines, String) {
    let mut smtp = Lines::tls(lab.server.port("submissions"), &lab.server.ca_file());
    smtp.smtp();
    let offered = smtp.smtp_ask("EHLO client.test");
    (smtp, offered)
}

#[test]
fn what_is_offered_differs_by_listener() {
    let lab = Lab::start();
    import(
        &lab,
        &[
            r#"{"name":"plain-mx","at":["connect"],"when":{"fact":"service","value":"mx"},
            "then":[{"do":"extensions-off","names":["CHUNKING","DSN","STARTTLS"]}]}"#,
            r#"{"name":"scram-only","at":["hello"],"when":{"fact":"service","value":"submission"},
            "then":[{"do":"auth-mechanisms","only":["SCRAM-SHA-256","SCRAM-SHA-256-PLUS"]}]}"#,
        ],
    );
    let mut smtp = Lines::clear(lab.server.port("smtp"));
    smtp.smtp();
    let offered = smtp.smtp_ask("EHLO mx.far.test");
    assert!(
        !offered.contains("CHUNKING") && !offered.contains("DSN"),
        "{offered}"
    );
    assert!(
        !offered.contains("STARTTLS") && offered.contains("SMTPUTF8"),
        "{offered}"
    );
    assert!(smtp.smtp_ask("STARTTLS").starts_with("502"));
    let refused = smtp.smtp_ask("MAIL FROM:<a@far.test> RET=HDRS");
    assert!(refused.starts_with("555"), "{refused}");
    let (mut smtp, offered) = submission(&lab);
    assert!(
        offered.contains("CHUNKING") && offered.contains("DSN"),
        "{offered}"
    );
    assert!(
        offered.contains("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256"),
        "{offered}"
    );
    assert!(
        !offered.contains("PLAIN") && !offered.contains("LOGIN"),
        "{offered}"
    );
    assert!(smtp.smtp_ask("AUTH LOGIN").starts_with("504"));
}

#[test]
fn a_domain_without_tls_is_refused_in_its_words_and_others_are_not() {
    let lab = Lab::start();
    let rule = format!(
        r#"{{"name":"secure","at":["rcpt"],"when":{{"all":[{{"fact":"tls","value":false}},
            {{"fact":"recipient-domain","value":"firma.test"}}]}},
            "then":[{{"do":"reject","status":"5.7.10","text":"{TEXT}"}}]}}"#
    );
    import(&lab, &[&rule]);
    let mut smtp = mx(&lab);
    smtp.smtp_ask("MAIL FROM:<x@far.test>");
    assert_eq!(
        smtp.smtp_ask("RCPT TO:<anna@firma.test>"),
        format!("550 5.7.10 {TEXT}")
    );
    assert!(
        smtp.smtp_ask("RCPT TO:<carla@privat.test>")
            .starts_with("250")
    );
    let mut smtp = mx(&lab);
    assert!(smtp.smtp_ask("STARTTLS").starts_with("220"));
    let mut smtp = smtp.start_tls(&lab.server.ca_file());
    smtp.smtp_ask("EHLO mx.far.test");
    smtp.smtp_ask("MAIL FROM:<x@far.test>");
    assert!(
        smtp.smtp_ask("RCPT TO:<anna@firma.test>")
            .starts_with("250")
    );
}

#[test]
fn rules_act_at_every_point() {
    let lab = Lab::start();
    import(
        &lab,
        &[
            r#"{"name":"bad-hello","at":["hello"],"when":{"fact":"hello","op":"matches","value":"*.bad.test"},
            "then":[{"do":"reject","text":"Give your server a real name."}]}"#,
            r#"{"name":"few","at":["mail"],"when":{"fact":"sender-domain","value":"loud.test"},
            "then":[{"do":"rate","by":["sender-domain"],"count":2,"per":"1h","text":"Too much, come back in an hour."}]}"#,
            r#"{"name":"words","at":["data"],"when":{"fact":"header:subject","op":"contains","value":"lottery"},
            "then":[{"do":"reject","text":"No lotteries here."}]}"#,
            r#"{"name":"bulk","at":["data"],"when":{"fact":"header:list-id","op":"present"},
            "then":[{"do":"header","action":"remove first X-Originating-IP"},{"do":"header","action":"add X-Bulk: yes"},{"do":"tag","word":"bulk"}]}"#,
            r#"{"name":"aside","at":["route"],"when":{"fact":"tag","value":"bulk"},
            "then":[{"do":"junk"},{"do":"copy","to":"carla@privat.test"}]}"#,
        ],
    );
    let mut smtp = mx(&lab);
    assert_eq!(
        smtp.smtp_ask("EHLO mx.bad.test"),
        "550 5.7.1 Give your server a real name."
    );
    smtp.smtp_ask("EHLO mx.far.test");
    for expected in ["250", "250", "450 4.7.1 Too much, come back in an hour."] {
        let reply = smtp.smtp_ask("MAIL FROM:<x@loud.test>");
        assert!(reply.starts_with(expected), "{reply}");
        smtp.smtp_ask("RSET");
    }
    smtp.smtp_ask("MAIL FROM:<x@far.test>");
    smtp.smtp_ask("RCPT TO:<anna@firma.test>");
    smtp.smtp_ask("DATA");
    let reply = smtp.smtp_ask("From: x@far.test\r\nSubject: Your LOTTERY\r\n\r\nx\r\n.");
    assert_eq!(reply, "550 5.7.1 No lotteries here.");
    smtp.smtp_ask("MAIL FROM:<x@far.test>");
    smtp.smtp_ask("RCPT TO:<anna@firma.test>");
    smtp.smtp_ask("DATA");
    let reply = smtp.smtp_ask(
        "X-Originating-IP: 1\r\nX-Originating-IP: 2\r\nFrom: x@far.test\r\nList-Id: <n.far.test>\r\nSubject: news\r\n\r\nx\r\n.",
    );
    assert!(reply.starts_with("250"), "{reply}");
    let copy = lab.wait_inbox("carla", &["Subject: news"]);
    assert!(copy.contains("X-Bulk: yes"), "{copy}");
    assert!(
        !copy.contains("X-Originating-IP: 1") && copy.contains("X-Originating-IP: 2"),
        "{copy}"
    );
    assert!(lab.inbox("anna").is_empty(), "it is in Junk");
}

#[test]
fn customers_mail_travels_as_rules_say() {
    let lab = Lab::start();
    let identity = harness::authority::self_signed(&["mx.old.test"]);
    lab.dns.mx("old.test", 10, "mx.old.test");
    let behaviour =
        harness::sink::Behaviour::tls_versions(&identity, harness::sink::Versions::Only12);
    let sink = lab.sink("mx.old.test", behaviour);
    import(
        &lab,
        &[
            r#"{"name":"only-1.3","at":["deliver"],"when":{"all":[{"fact":"sender-domain","value":"firma.test"},
            {"fact":"recipient-domain","value":"old.test"}]},"then":[{"do":"require-tls","lowest":"1.3"}]}"#,
            r#"{"name":"slow","at":["route"],"when":{"fact":"account","value":"carla@privat.test"},
            "then":[{"do":"delay","by":"10m"}]}"#,
        ],
    );
    lab.send("anna", "box@old.test", "too old");
    let said = lab.wait_deferred("box@old.test", 1);
    assert!(said.contains("4.7."), "{said}");
    lab.submit(&Letter::new("carla", "later@old.test", "waits"));
    lab.settle();
    assert!(sink.mails().is_empty());
    lab.forward(Duration::from_secs(11 * 60));
    assert_eq!(sink.wait_mails(1)[0].to[0].0, "later@old.test");
}

#[test]
fn a_rule_is_noted_first_acts_from_its_date_and_can_be_foretold() {
    let lab = Lab::start();
    let rule = |schedule: &str| {
        format!(
            r#"{{"name":"no-clear","at":["rcpt"],"when":{{"all":[{{"fact":"tls","value":false}},
                {{"fact":"recipient","value":"anna@firma.test"}}]}},
                "then":[{{"do":"reject","text":"TLS only"}}],"schedule":"{schedule}"}}"#
        )
    };
    import(&lab, &[&rule("observe")]);
    let deliver = |to: &str| {
        let mut smtp = mx(&lab);
        smtp.smtp_ask("MAIL FROM:<x@far.test>");
        smtp.smtp_ask(&format!("RCPT TO:<{to}>"))
    };
    assert!(deliver("anna@firma.test").starts_with("250"));
    assert!(deliver("carla@privat.test").starts_with("250"));
    lab.wait("the finding about the other server", || {
        let seen = lab.cli(&["rules", "seen"]);
        let noted = seen.contains("rule/no-clear: far.test (1x");
        noted.then_some(()).ok_or(seen)
    });
    let impact = lab.cli(&["impact", "rule/no-clear"]);
    assert!(
        impact.contains("sending servers: 1") && impact.contains("far.test"),
        "{impact}"
    );
    let path = lab.config().with_file_name("changed.json");
    std::fs::write(&path, format!(r#"{{"rules":[{}]}}"#, rule("enforce"))).expect("write a file");
    let path = path.display().to_string();
    lab.wait("the recorded facts", || {
        let told = lab.cli(&["rules", "replay", &path, "--days", "7"]);
        let differs = told.contains("new refusal: 1")
            && told.contains("far.test -> firma.test: no-clear at rcpt (1x)");
        differs.then_some(()).ok_or(told)
    });
    import(&lab, &[&rule("enforce")]);
    assert_eq!(deliver("anna@firma.test"), "550 5.7.1 TLS only");
    assert!(deliver("carla@privat.test").starts_with("250"));
}

#[test]
fn logins_and_names_of_clients_are_ruled_over() {
    let lab = Lab::start();
    lab.dns.ptr(
        "127.0.0.1".parse().expect("an address"),
        "dialin-7.far.test",
    );
    lab.dns.address(
        "dialin-7.far.test",
        "127.0.0.1".parse().expect("an address"),
    );
    import(
        &lab,
        &[
            r#"{"name":"dialin","at":["mail"],"when":{"all":[{"fact":"service","value":"mx"},
                {"fact":"reverse-name","op":"matches","value":"dialin-*"}]},
                "then":[{"do":"reject","text":"Send through your provider."}]}"#,
            r#"{"name":"no-plain-for-anna","at":["auth"],"when":{"all":[{"fact":"mechanism","value":"PLAIN"},
                {"fact":"account","value":"anna@firma.test"}]},
                "then":[{"do":"reject","text":"Use SCRAM."}]}"#,
        ],
    );
    let mut smtp = mx(&lab);
    assert_eq!(
        smtp.smtp_ask("MAIL FROM:<x@far.test>"),
        "550 5.7.1 Send through your provider."
    );
    let login = |name: &str| {
        let (mut smtp, _) = submission(&lab);
        let password = &lab.server.account(name).password;
        let account = lab.server.account(name).address.clone();
        let secret = harness::lines::base64(format!("\0{account}\0{password}").as_bytes());
        let reply = smtp.smtp_ask(&format!("AUTH PLAIN {secret}"));
        (reply, smtp.smtp_ask(&format!("MAIL FROM:<{account}>")))
    };
    let (reply, after) = login("anna");
    assert_eq!(reply, "535 5.7.1 Use SCRAM.");
    assert!(after.starts_with("530"), "{after}");
    let (reply, after) = login("carla");
    assert!(
        reply.starts_with("235") && after.starts_with("250"),
        "{reply} {after}"
    );
}

/// S3-52 as a rule: "if the sender's domain is privat.test, use that address".
#[test]
fn the_check_of_a_domain_knows_the_address_a_rule_chooses() {
    let lab = Lab::start();
    lab.dns.zone("privat.test", harness::dns::Signing::Unsigned);
    lab.dns.txt("privat.test", "v=spf1 ip4:192.0.2.1 -all");
    import(
        &lab,
        &[
            r#"{"name":"second-ip","at":["deliver"],"when":{"fact":"sender-domain","value":"privat.test"},
                "then":[{"do":"source","addresses":["192.0.2.7"]}]}"#,
        ],
    );
    let (fine, output, _) = lab.server.cli(&["dns", "check", "privat.test"]);
    let lacks = "the SPF record of privat.test lacks 192.0.2.7 (pool rule:second-ip)";
    assert!(!fine && output.contains(lacks), "{output}");
    let remarks = lab.server.cli(&["rules", "lint"]).1;
    assert!(
        remarks.contains("second-ip sends from 192.0.2.7, which is in no pool"),
        "{remarks}"
    );
}

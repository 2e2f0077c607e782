//! N-E1: servers that refuse for now, hang up or are slow are tried again, for days; those that refuse
//! for good are not. Whatever happens, a message that was acknowledged is not sent again, and one
//! that was not is not lost.

use harness::sink::{Behaviour, Sink, Step, Trouble};
use harness::{Lab, Letter};
use std::time::Duration;

const STEPS: [Step; 6] = [
    Step::Greeting,
    Step::Hello,
    Step::Mail,
    Step::Rcpt,
    Step::Data,
    Step::Body,
];
const HOUR: u64 = 3600;

fn place(lab: &Lab, domain: &str, behaviour: Behaviour) -> Sink {
    lab.dns.mx(domain, 10, &format!("mx.{domain}"));
    lab.sink(&format!("mx.{domain}"), behaviour)
}

fn name(step: Step) -> String {
    format!("{step:?}").to_lowercase()
}

#[test]
fn what_may_pass_is_tried_again() {
    let lab = Lab::start();
    let troubles = [
        ("later", Trouble::Reply("451 4.3.2 not now".to_owned())),
        ("busy", Trouble::Reply("421 4.3.2 closing".to_owned())),
        ("drop", Trouble::Drop),
    ];
    let mut sinks = Vec::new();
    for (word, trouble) in troubles {
        for step in STEPS {
            let domain = format!("{word}-{}.test", name(step));
            let behaviour = Behaviour::default().trouble(step, trouble.clone());
            sinks.push((domain.clone(), place(&lab, &domain, behaviour)));
        }
    }
    // Nobody listens, and nobody has an address.
    lab.dns.mx("deaf.test", 10, "mx.deaf.test");
    lab.dns.address("mx.deaf.test", [127, 0, 0, 77].into());
    lab.send("anna", "box@deaf.test", "deaf");
    for (domain, _) in &sinks {
        lab.send("anna", &format!("box@{domain}"), "patience");
    }
    lab.wait_deferred("box@deaf.test", 1);
    for (domain, sink) in &sinks {
        lab.wait_deferred(&format!("box@{domain}"), 1);
        assert!(sink.mails().is_empty(), "{domain}");
        sink.behave(Behaviour::default());
    }
    lab.forward(Duration::from_secs(2 * HOUR));
    for (domain, sink) in &sinks {
        assert_eq!(sink.wait_mails(1).len(), 1, "{domain}");
    }
    for (domain, _) in &sinks {
        lab.wait_event(&format!("box@{domain}"), "relayed");
    }
    lab.forward(Duration::from_secs(24 * HOUR));
    for (domain, sink) in &sinks {
        assert_eq!(sink.mails().len(), 1, "{domain} got it twice");
    }
}

#[test]
fn what_is_refused_for_good_comes_back() {
    let lab = Lab::start();
    let refused = Trouble::Reply("550 5.7.1 never".to_owned());
    let steps = [Step::Mail, Step::Rcpt, Step::Data, Step::Body];
    let sinks: Vec<_> = steps
        .into_iter()
        .map(|step| {
            let domain = format!("never-{}.test", name(step));
            let behaviour = Behaviour::default().trouble(step, refused.clone());
            (domain.clone(), place(&lab, &domain, behaviour))
        })
        .collect();
    lab.dns.mx("null.test", 0, ".");
    for (domain, _) in &sinks {
        lab.send("anna", &format!("box@{domain}"), "refused");
    }
    lab.send("anna", "box@null.test", "nobody");
    lab.send("anna", "box@nowhere.example", "nobody");
    for (domain, sink) in &sinks {
        let to = format!("box@{domain}");
        let notice = lab.wait_inbox("anna", &["Action: failed", &to]);
        assert!(notice.contains("5.7.1 never"), "{notice}");
        assert!(sink.mails().is_empty(), "{domain}");
    }
    // RFC 7505 §4.1.
    lab.wait_inbox("anna", &["Action: failed", "box@null.test", "5.1.10"]);
    lab.wait_inbox("anna", &["Action: failed", "box@nowhere.example"]);
    lab.wait_empty_queue();
}

/// One recipient's refusal is not another's.
#[test]
fn recipients_of_one_message_fail_one_by_one() {
    let lab = Lab::start();
    let behaviour = Behaviour {
        refused: vec![
            ("gone".to_owned(), "550 5.1.1 nobody".to_owned()),
            ("full".to_owned(), "452 4.2.2 full".to_owned()),
        ],
        ..Behaviour::default()
    };
    let sink = place(&lab, "many.test", behaviour);
    let letter = Letter::new("anna", "good@many.test", "to three");
    let reply = lab.submit(&letter.and("gone@many.test").and("full@many.test"));
    assert!(reply.starts_with("250"), "{reply}");
    let mails = sink.wait_mails(1);
    assert_eq!(mails[0].to[0].0, "good@many.test");
    lab.wait_inbox("anna", &["Action: failed", "gone@many.test"]);
    lab.wait_deferred("full@many.test", 1);
    sink.behave(Behaviour::default());
    lab.forward(Duration::from_secs(2 * HOUR));
    let mails = sink.wait_mails(2);
    assert_eq!(mails[1].to.len(), 1);
    assert_eq!(mails[1].to[0].0, "full@many.test");
}

/// A server that took the message and was not heard any more: nobody can know, so it is sent again;
/// with the same Message-ID, by which the other side recognises it (RFC 5321 §4.5.4.2 and RFC 1047).
#[test]
fn a_lost_acknowledgement_sends_again_and_never_loses() {
    let lab = Lab::start();
    let behaviour = Behaviour::default().trouble(Step::Body, Trouble::DropAfterTaking);
    let sink = place(&lab, "lost.test", behaviour);
    lab.send("anna", "box@lost.test", "twice");
    lab.wait_deferred("box@lost.test", 1);
    sink.behave(Behaviour::default());
    lab.forward(Duration::from_secs(2 * HOUR));
    let mails = sink.wait_mails(2);
    let id = |text: String| {
        let mut lines = text.lines().map(str::to_owned);
        lines.find(|line| line.starts_with("Message-ID:"))
    };
    assert!(id(mails[0].text()).is_some());
    assert_eq!(id(mails[0].text()), id(mails[1].text()));
}

/// What the next server lacks is not used, and what cannot be sent without it comes back.
#[test]
fn missing_extensions_are_respected() {
    let lab = Lab::start();
    let bare = Behaviour {
        keywords: Vec::new(),
        ..Behaviour::default()
    };
    let plain = place(&lab, "plain.test", bare.clone());
    let small = place(&lab, "small.test", Behaviour::default().with("SIZE 300"));
    let ascii = place(&lab, "ascii.test", Behaviour::default().without("SMTPUTF8"));
    let letter = Letter::new("anna", "box@plain.test", "plain").parameters("RET=HDRS ENVID=e1");
    assert!(lab.submit(&letter).starts_with("250"));
    lab.send("anna", "box@small.test", &"large ".repeat(100));
    let letter = Letter::new("anna", "bücher@ascii.test", "umlaut").parameters("SMTPUTF8");
    assert!(lab.submit(&letter).starts_with("250"));
    assert_eq!(plain.wait_mails(1)[0].from_parameters, "");
    lab.wait_inbox("anna", &["Action: failed", "box@small.test", "5.3.4"]);
    lab.wait_inbox("anna", &["Action: failed", "5.6.7"]);
    assert!(small.mails().is_empty() && ascii.mails().is_empty());
}

/// A slow server holds up its own mail only.
#[test]
fn a_slow_server_delays_nobody_else() {
    let lab = Lab::start();
    let slow = Trouble::Wait(Duration::from_secs(20));
    let slow = place(
        &lab,
        "slow.test",
        Behaviour::default().trouble(Step::Greeting, slow),
    );
    let quick = place(&lab, "quick.test", Behaviour::default());
    for n in 0..15 {
        lab.send("anna", &format!("b{n}@slow.test"), "slow");
    }
    for n in 0..15 {
        lab.send("anna", &format!("b{n}@quick.test"), "quick");
    }
    quick.wait_mails(15);
    assert!(slow.mails().is_empty());
}

/// RFC 5321 §5.1: all addresses and hosts are tried in one attempt, the best first.
#[test]
fn a_dead_address_leaves_the_next_one() {
    let lab = Lab::start();
    // IPv6 goes nowhere, IPv4 answers.
    let dual = place(&lab, "dual.test", Behaviour::default());
    let nowhere = "100::1".parse().expect("an address");
    lab.dns.address("mx.dual.test", nowhere);
    // The better host is dead.
    let second = place(&lab, "second.test", Behaviour::default());
    lab.dns.mx("second.test", 5, "dead.second.test");
    lab.dns.address("dead.second.test", [127, 0, 0, 77].into());
    // The better host is busy.
    let later = Trouble::Reply("421 4.3.2 busy".to_owned());
    let third = place(&lab, "third.test", Behaviour::default());
    lab.dns.mx("third.test", 5, "busy.third.test");
    let busy = Behaviour::default().trouble(Step::Greeting, later);
    let busy = lab.sink("busy.third.test", busy);
    for domain in ["dual.test", "second.test", "third.test"] {
        lab.send("anna", &format!("box@{domain}"), "next");
    }
    for sink in [&dual, &second, &third] {
        sink.wait_mails(1);
    }
    assert_eq!(busy.wait_sessions(1).len(), 1);
    for domain in ["dual.test", "second.test", "third.test"] {
        let to = format!("box@{domain}");
        lab.wait_event(&to, "relayed");
        let events = lab.events(&to);
        let deferred = events.iter().any(|event| event["event"] == "deferred");
        assert!(!deferred, "{}", lab.story(&to));
    }
}

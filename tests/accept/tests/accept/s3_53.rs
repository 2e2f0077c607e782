//! S3-53: with a full queue, mail of business customers goes first, and private customers still get
//! at least a tenth of what is delivered.

use harness::dns::Signing;
use harness::sink::{Behaviour, Step, Trouble};
use harness::{Lab, Letter};
use std::time::Duration;

const MESSAGES: usize = 60;

#[test]
fn business_goes_first_and_private_is_not_starved() {
    let lab = Lab::start_with(&[("queue.attempts_per_domain_max", "2")]);
    let slow = Trouble::Wait(Duration::from_millis(20));
    let behaviour = Behaviour::default().trouble(Step::Body, slow);
    let sink = lab.domain("away.test", Signing::Unsigned, behaviour);
    lab.cli(&["group", "defaults"]);
    lab.cli(&["group", "set", "firma.test", "business"]);
    lab.cli(&["group", "set", "privat.test", "private"]);
    // All are due at one moment: the queue is full then, private mail before business mail.
    for account in ["carla", "anna"] {
        for n in 0..MESSAGES {
            let letter = Letter::new(account, "box@away.test", &format!("{account} {n}"));
            let reply = lab.submit(&letter.parameters("HOLDFOR=3600"));
            assert!(reply.starts_with("250"), "{reply}");
        }
    }
    lab.forward(Duration::from_secs(3700));
    let mails = sink.wait_mails(2 * MESSAGES);
    let is_business = |mail: &harness::sink::Mail| mail.from.ends_with("@firma.test");
    let first: Vec<bool> = mails.iter().take(MESSAGES).map(is_business).collect();
    let business = first.iter().filter(|business| **business).count();
    let private = first.len() - business;
    assert!(
        business > 2 * private,
        "{business} of business, {private} private"
    );
    assert!(
        private * 10 >= first.len(),
        "{private} private of {}",
        first.len()
    );
    // And not at the end only.
    let early = first.iter().take(MESSAGES / 2).filter(|b| !**b).count();
    assert!(early > 0, "private mail waits for business mail to end");
}

//! The calendar of a provider that, in September 2020, switched TLS 1.0 and 1.1 off on the 16th, let accounts send
//! only as their own addresses from the 29th, and asked for a stricter DMARC policy from the 30th: who was named
//! before, who was written to, what happened on each date; a pause, and everything taken back.

use super::*;
use harness::Named;
use harness::dns::Signing;
use harness::sink::{Behaviour, Sink};

const SLUG: &str = "sicherheitsanpassungen";

const OLD_TLS: [&str; 3] = [
    "tls-version/imap",
    "tls-version/pop3",
    "tls-version/submission",
];

fn rollout() -> String {
    let mut text = format!(
        "slug = \"{SLUG}\"\nreason = \"RFC 8996; forged senders\"\nas_of = \"2020-08-24\"\n\
         audience = [\"installation\"]\n\
         [title]\nde = \"Sicherheitsanpassung und Abschaltung bestimmter Mailfunktionen\"\n\
         en = \"Tighter security, and some mail functions switched off\"\n\
         [rounds]\nfirst = \"2020-09-01\"\nevery_days = 7\nlast = \"2020-09-28\"\n\
         look_back_days = 30\n"
    );
    let mut step = |measure: &str, value: &str, stage: &str, date: &str| {
        text += &format!(
            "[[steps]]\nmeasure = \"{measure}\"\n{value}stage = \"{stage}\"\ndate = \"{date}\"\n"
        );
    };
    for measure in OLD_TLS {
        step(measure, "value = \"1.2\"\n", "observe", "2020-08-24");
        step(measure, "value = \"1.2\"\n", "enforce", "2020-09-16");
    }
    step("sender-ownership", "", "observe", "2020-08-24");
    step("sender-ownership", "", "enforce", "2020-09-29");
    text
}

/// The eight in this calendar: cleartext ended long ago, so that those who used it use STARTTLS.
fn people_of_2020(lab: &Lab) -> Vec<Person> {
    let mut people = people(lab);
    for person in &mut people {
        let program = &mut person.customer.program;
        if program.security == Security::Clear {
            (program.security, program.newest) = (Security::StartTls, Newest::Tls12);
        }
    }
    people
}

/// Mia writes as her address elsewhere; the contact form of Wera's website as whoever filled it in.
fn foreign(lab: &Lab, people: &mut [Person]) -> [Visit; 2] {
    let port = lab.server.port("submission");
    let to = "carla@privat.test";
    let mia = named(people, "mia").customer.clone();
    let wera = named(people, "wera").customer.clone();
    [
        mia.send_as(port, "mia@gmx.example", to),
        wera.send_as(port, "visitor@other.test", to),
    ]
}

/// August: nothing is refused; the previews name accounts and foreign senders.
fn august(lab: &Lab, people: &mut [Person]) {
    assert_eq!(day(lab, people, &[]), set(&[]));
    for visit in foreign(lab, people) {
        assert!(visit.ok, "{visit:?}");
    }
    assert_eq!(
        previewed(lab, &OLD_TLS, "14d"),
        owned(&["otto", "ida", "hans"])
    );
    assert_eq!(
        previewed(lab, &["sender-ownership"], "14d"),
        owned(&["mia", "wera"])
    );
    let shown = lab.cli(&["impact", "sender-ownership", "--since", "14d"]);
    for sender in ["mia@gmx.example", "visitor@other.test"] {
        assert!(shown.contains(sender), "{shown}");
    }
}

/// Before the 16th: letters, a proof of control, a new program.
fn letters_go_out(lab: &Lab, people: &mut [Person], gmx: &Sink) {
    lab.at("2020-09-01T06:00:05Z");
    let round = [
        "round otto",
        "round ida",
        "round hans",
        "round mia",
        "round wera",
    ];
    letters(lab, SLUG, 1, &round);
    reads_letter(
        lab,
        named(people, "mia"),
        &["mia@gmx.example", "29. September 2020"],
    );
    lab.cli(&["identity", "request", "mia@firma.test", "mia@gmx.example"]);
    let text = gmx.wait_mails(1)[0].text();
    let is_code = |word: &&str| word.len() == 14 && word.matches('-').count() == 2;
    let code = text.split_whitespace().find(is_code).expect("a code");
    lab.cli(&[
        "identity",
        "confirm",
        "mia@firma.test",
        "mia@gmx.example",
        code,
    ]);
    named(people, "otto").mends();
    lab.at("2020-09-07T08:00:00Z");
    assert_eq!(day(lab, people, &["hans"]), set(&[]));
    assert!(foreign(lab, people).iter().all(|visit| visit.ok));
    lab.at("2020-09-08T06:00:05Z");
    let second = [
        "round ida",
        "round hans",
        "round wera",
        "thanks otto",
        "thanks mia",
    ];
    letters(lab, SLUG, 2, &second);
}

/// The 16th: whoever the preview named is refused, by an alert, from midnight on.
fn old_tls_ends(lab: &Lab, people: &mut [Person]) {
    let pid = lab.server.pid();
    lab.at("2020-09-15T21:59:00Z");
    assert_eq!(day(lab, people, &["hans"]), set(&[]), "23:59 in Berlin");
    assert_eq!(previewed(lab, &OLD_TLS, "7d"), owned(&["ida"]));
    lab.at("2020-09-15T22:00:01Z");
    assert_eq!(
        day(lab, people, &[]),
        set(&["ida", "hans"]),
        "00:00 in Berlin"
    );
    let refused = named(people, "ida").day(lab);
    assert!(
        refused.stage == "tls" && refused.text.contains("ALERT"),
        "{refused:?}"
    );
    assert_eq!(lab.server.pid(), pid, "no restart");
    assert!(
        foreign(lab, people).iter().all(|visit| visit.ok),
        "another date"
    );
}

/// The 29th: only own senders, those with a proof among them.
fn foreign_senders_end(lab: &Lab, people: &mut [Person]) {
    lab.at("2020-09-28T21:59:00Z");
    assert!(
        foreign(lab, people).iter().all(|visit| visit.ok),
        "23:59 in Berlin"
    );
    assert_eq!(
        previewed(lab, &["sender-ownership"], "7d"),
        owned(&["wera"])
    );
    lab.at("2020-09-28T22:00:01Z");
    let [mia, wera] = foreign(lab, people);
    assert!(mia.ok, "{mia:?}");
    assert!(!wera.ok && wera.stage == "send", "{wera:?}");
    assert!(
        wera.text.contains("5.7.1") && wera.text.contains("https://"),
        "{wera:?}"
    );
    assert!(named(people, "wera").day(lab).ok, "as herself");
    lab.cli(&[
        "rollout",
        "pause",
        SLUG,
        "--reason",
        "too many calls",
        "--by",
        "nora",
    ]);
    assert!(foreign(lab, people)[1].ok, "held at observe");
    assert!(named(people, "ida").day(lab).ok, "all of its measures");
    lab.cli(&["rollout", "resume", SLUG, "--by", "nora"]);
    assert!(!foreign(lab, people)[1].ok);
    assert!(!named(people, "ida").day(lab).ok);
}

/// The 30th: the DMARC record becomes stricter by itself; and back.
fn dmarc_follows(lab: &Lab, zone: &Named) {
    let owner = "_dmarc.firma.test";
    let old = zone.dig(owner, "TXT");
    let plan = [
        "dmarc",
        "plan",
        "firma.test",
        "--to",
        "quarantine",
        "--on",
        "2020-09-30",
        "--yes",
        "--anyway",
    ];
    lab.cli(&plan);
    let shows = |wanted: &str| {
        lab.wait("the zone", || match zone.dig(owner, "TXT") {
            text if text.contains(wanted) => Ok(()),
            text => Err(text),
        });
    };
    lab.at("2020-09-29T21:59:50Z");
    assert_eq!(zone.dig(owner, "TXT"), old);
    lab.at("2020-09-29T22:00:01Z");
    shows("p=quarantine");
    lab.cli(&["dmarc", "rollback", "firma.test"]);
    shows("p=none");
}

/// Taken back as a whole, in one step.
fn taken_back(lab: &Lab, people: &mut [Person]) {
    lab.cli(&[
        "rollout",
        "rollback",
        SLUG,
        "--reason",
        "end of the test",
        "--by",
        "nora",
    ]);
    let stages = lab.cli(&["rollout", "show", SLUG]);
    assert!(stages.contains("rolled-back"), "{stages}");
    // Before it, defaults held: TLS 1.2 and own senders.
    assert!(!named(people, "ida").day(lab).ok);
    assert!(!foreign(lab, people)[1].ok);
    assert!(named(people, "thea").day(lab).ok);
}

#[test]
fn august_to_october() {
    let record = "v=DMARC1; p=none; rua=mailto:d@firma.test";
    let zone = Named::start("firma.test", &format!("_dmarc 300 TXT \"{record}\""));
    let settings = [
        ("dns.update_zones", "[\"firma.test\"]".to_owned()),
        ("dns.update_servers", format!("[\"{}\"]", zone.address())),
        ("dns.update_key_file", zone.key_file().display().to_string()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let lab = Lab::start_legacy_at("2020-08-24T08:00:00Z", &settings);
    lab.dns.txt("_dmarc.firma.test", record);
    let gmx = lab.domain("gmx.example", Signing::Unsigned, Behaviour::default());
    let mut people = people_of_2020(&lab);
    start_rollout(&lab, SLUG, &rollout());
    lab.settle();
    august(&lab, &mut people);
    letters_go_out(&lab, &mut people, &gmx);
    old_tls_ends(&lab, &mut people);
    foreign_senders_end(&lab, &mut people);
    dmarc_follows(&lab, &zone);
    taken_back(&lab, &mut people);
}

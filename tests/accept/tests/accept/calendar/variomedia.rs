//! The calendar of a provider that ended cleartext and TLS 1.0/1.1 on 5 March 2025 and kept legacy hosts until 30
//! May: newsletter in December, letters from mid-February to those it concerned, thanks to those who mended it,
//! late comers, the emergency switch, the end.

use super::*;
use std::time::{Duration, Instant};

const SLUG: &str = "sichere-verbindungen";

const MEASURES: [&str; 6] = [
    "tls-version/imap",
    "tls-version/pop3",
    "tls-version/submission",
    "cleartext/imap",
    "cleartext/pop3",
    "cleartext/submission",
];

fn rollout() -> String {
    let mut text = format!(
        "slug = \"{SLUG}\"\nreason = \"RFC 8996, RFC 8314\"\nas_of = \"2024-12-02\"\n\
         audience = [\"installation\"]\n\
         [title]\nde = \"Abschaltung der unverschlüsselten Nutzung zum 05. März 2025\"\n\
         en = \"No unencrypted connections from 5 March 2025\"\n\
         [rounds]\nnewsletter = \"2024-12-10T09:00\"\nfirst = \"2025-02-15\"\nevery_days = 7\n\
         last = \"2025-03-20\"\nlook_back_days = 60\n\
         [legacy]\nuntil = \"2025-05-30\"\ntls = [\"1.0\", \"1.1\"]\ncleartext = true\n"
    );
    for measure in MEASURES {
        let value = match measure.starts_with("tls") {
            true => "value = \"1.2\"\n",
            false => "",
        };
        for (date, stage) in [("2024-12-02", "observe"), ("2025-03-05", "enforce")] {
            text += &format!(
                "[[steps]]\nmeasure = \"{measure}\"\n{value}stage = \"{stage}\"\ndate = \"{date}\"\n"
            );
        }
    }
    text
}

/// December: nobody is refused, everybody gets the newsletter, the preview knows whom it concerns.
fn december(lab: &Lab, people: &[Person]) {
    assert_eq!(day(lab, people, &[]), set(&[]), "all programs still work");
    let concerned = owned(&["otto", "olga", "paul", "wera", "ida", "hans"]);
    assert_eq!(previewed(lab, &MEASURES, "14d"), concerned);
    lab.at("2024-12-10T08:00:05Z");
    let everybody = [
        "anna", "bernd", "carla", "thea", "mia", "otto", "olga", "paul", "wera", "ida", "hans",
    ];
    let newsletters: Vec<String> = everybody
        .iter()
        .map(|name| format!("newsletter {name}"))
        .collect();
    let newsletters: Vec<&str> = newsletters.iter().map(String::as_str).collect();
    letters(lab, SLUG, 0, &newsletters);
    reads_letter(
        lab,
        &people[0],
        &["List-Unsubscribe-Post: List-Unsubscribe=One-Click"],
    );
}

/// February: letters to those whom it concerns then; who has mended it is thanked and hears no more.
fn february(lab: &Lab, people: &mut [Person]) {
    lab.at("2025-02-14T09:00:00Z");
    // Hans was last seen in January and is on holiday from then on.
    assert_eq!(day(lab, people, &["hans"]), set(&[]));
    lab.at("2025-02-15T07:00:05Z");
    let first = ["otto", "olga", "paul", "wera", "ida", "hans"];
    let round: Vec<String> = first.iter().map(|name| format!("round {name}")).collect();
    letters(
        lab,
        SLUG,
        1,
        &round.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    // Otto gets a new Outlook.
    named(people, "otto").mends();
    lab.at("2025-02-17T09:00:00Z");
    assert!(named(people, "otto").day(lab).ok);
    reads_letter(
        lab,
        named(people, "otto"),
        &["Outlook", "5. März 2025", "TLS 1.0"],
    );
    lab.at("2025-02-21T09:00:00Z");
    assert_eq!(day(lab, people, &["hans"]), set(&[]));
    lab.at("2025-02-22T07:00:05Z");
    let second = [
        "round olga",
        "round paul",
        "round wera",
        "round ida",
        "round hans",
        "thanks otto",
    ];
    letters(lab, SLUG, 2, &second);
    // Olga follows the guide: the port stays, STARTTLS.
    named(people, "olga").mends();
    lab.at("2025-02-24T09:00:00Z");
    assert!(named(people, "olga").day(lab).ok);
    let (imap, submission) = (lab.server.port("imap"), lab.server.port("submission"));
    // Her IMAP connections name no program; sending does, so the guide is the one for that.
    let ports = [
        format!("kann auf {imap} gesetzt bleiben"),
        submission.to_string(),
    ];
    let words = [
        "Outlook",
        "„STARTTLS“",
        "Kontoeinstellungen",
        &ports[0],
        &ports[1],
    ];
    reads_letter(lab, named(people, "olga"), &words);
    lab.at("2025-03-01T07:00:05Z");
    let third = [
        "round paul",
        "round wera",
        "round ida",
        "round hans",
        "thanks olga",
    ];
    letters(lab, SLUG, 3, &third);
}

/// The night of 5 March, and the day after: exactly those are refused whom the preview named.
fn cut_over(lab: &Lab, people: &mut [Person]) {
    let pid = lab.server.pid();
    lab.at("2025-03-04T22:59:00Z");
    assert_eq!(day(lab, people, &["hans"]), set(&[]), "23:59 in Berlin");
    // What was mended two weeks ago is no longer an answer to who breaks now.
    let told = previewed(lab, &MEASURES, "7d");
    assert_eq!(told, owned(&["paul", "wera", "ida"]));
    lab.at("2025-03-04T23:00:01Z");
    let refused = day(lab, people, &["hans"]);
    assert_eq!(refused, set(&["paul", "wera", "ida"]), "00:00 in Berlin");
    assert_eq!(lab.server.pid(), pid, "no restart");
    let clear = named(people, "wera").send(lab);
    assert_eq!(clear.stage, "login", "{clear:?}");
    // Wera sets her website right; support lets the printer stay on the legacy host.
    named(people, "wera").mends();
    assert!(named(people, "wera").day(lab).ok);
    lab.cli(&[
        "legacy",
        "enrol",
        "paul@firma.test",
        "--reason",
        "printer of 2013",
        "--by",
        "support",
    ]);
    named(people, "paul").hosts = Hosts::Legacy;
    named(people, "ida").hosts = Hosts::Legacy;
    lab.wait("the legacy hosts", || {
        match named(people, "paul").day(lab) {
            visit if visit.ok => Ok(()),
            visit => Err(format!("{visit:?}")),
        }
    });
    let stranger = named(people, "ida").day(lab);
    assert!(
        !stranger.ok && stranger.text.contains("https://"),
        "{stranger:?}"
    );
    lab.cli(&[
        "legacy",
        "enrol",
        "ida@firma.test",
        "--reason",
        "old telephone",
        "--by",
        "ida",
    ]);
    assert!(named(people, "ida").day(lab).ok, "by TLS 1.0");
}

/// Hans comes home two weeks late.
fn late_comer(lab: &Lab, people: &mut [Person]) {
    lab.at("2025-03-17T08:00:00Z");
    let refused = named(people, "hans").day(lab);
    assert!(!refused.ok && refused.stage == "tls", "{refused:?}");
    let shown = lab.cli(&["audit", "account", "hans@firma.test"]);
    // What support reads: last seen in January, with this program.
    assert!(
        shown.contains("outlook/2010") && shown.contains("TLSv1.1"),
        "{shown}"
    );
    assert!(!shown.contains("nothing to do"), "{shown}");
    lab.cli(&["legacy", "enrol", "hans@firma.test", "--by", "hans"]);
    named(people, "hans").hosts = Hosts::Legacy;
    assert!(named(people, "hans").day(lab).ok);
    let left = lab.cli(&["legacy", "list"]);
    for name in ["paul", "ida", "hans"] {
        assert!(left.contains(&format!("{name}@firma.test")), "{left}");
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "tests wait on the machine's clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// A hole in old TLS becomes known: off within seconds, everybody concerned is told; and on again.
fn emergency(lab: &Lab, people: &mut [Person]) {
    lab.at("2025-04-10T08:00:00Z");
    let begin = now();
    let told = lab.cli(&[
        "legacy",
        "disable",
        "--tls",
        "1.0,1.1",
        "--now",
        "--reason",
        "CVE-2025-0001",
        "--by",
        "nora",
    ]);
    assert!(told.contains("3 enrolled accounts get a notice"), "{told}");
    lab.wait("old TLS to be off", || {
        match named(people, "ida").day(lab) {
            visit if visit.ok => Err(format!("{visit:?}")),
            _ => Ok(()),
        }
    });
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    assert!(
        named(people, "paul").day(lab).ok,
        "in clear: another switch"
    );
    reads_letter(lab, named(people, "ida"), &["TLS 1.0"]);
    let history = lab.cli(&["legacy", "history"]);
    assert!(
        history.contains("nora") && history.contains("CVE-2025-0001"),
        "{history}"
    );
    lab.cli(&["legacy", "enable", "--tls", "1.0,1.1", "--by", "nora"]);
    lab.wait("old TLS again", || match named(people, "ida").day(lab) {
        visit if visit.ok => Ok(()),
        visit => Err(format!("{visit:?}")),
    });
}

/// 30 May is the last day of the legacy hosts.
fn the_end(lab: &Lab, people: &mut [Person]) {
    named(people, "hans").mends();
    lab.at("2025-05-30T21:59:00Z");
    assert_eq!(day(lab, people, &[]), set(&[]), "23:59 in Berlin");
    lab.at("2025-05-30T22:00:02Z");
    lab.wait("the end of the legacy hosts", || {
        match day(lab, people, &[]) {
            refused if refused == set(&["paul", "ida"]) => Ok(()),
            refused => Err(format!("{refused:?}")),
        }
    });
    let (ok, _, why) = lab.server.cli(&["legacy", "enrol", "paul@firma.test"]);
    assert!(!ok, "never after the end: {why}");
    let records = lab.cli(&["legacy", "dns"]);
    assert!(records.contains("imap-legacy."), "{records}");
}

#[test]
fn december_to_may() {
    let lab = Lab::start_legacy_at("2024-12-02T08:00:00Z", &[]);
    let mut people = people(&lab);
    start_rollout(&lab, SLUG, &rollout());
    lab.settle();
    december(&lab, &people);
    lab.at("2025-01-10T09:00:00Z");
    assert_eq!(day(&lab, &people, &[]), set(&[]));
    february(&lab, &mut people);
    cut_over(&lab, &mut people);
    late_comer(&lab, &mut people);
    emergency(&lab, &mut people);
    the_end(&lab, &mut people);
}

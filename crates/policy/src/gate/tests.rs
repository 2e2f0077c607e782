//! Every login a customer can try, over service, door, stage, TLS, enrolment, exception and date.

use super::*;
use crate::model::Scope;
use crate::rows::Setting;
use crate::setting::{Name, Value};
use crate::snapshot::Contents;
use directory::{AccountId, DomainName};

const HELP: &str = "https://mx.test/h/";
const ANNA: Sender<'static> = Sender {
    account: Some(AccountId(1)),
    domain: "firma.test",
    group: Some("business"),
};
/// An account of another domain.
const BERT: Sender<'static> = Sender {
    account: Some(AccountId(2)),
    domain: "other.test",
    group: None,
};

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn setting(scope: &Scope, name: Name, item: &str, value: &str) -> Setting {
    Setting {
        scope: scope.clone(),
        name,
        item: item.to_owned(),
        value: Value::parse(name, value).unwrap(),
        expires_at: None,
        changed_at: Timestamp(0),
        changed_by: String::new(),
        reason: String::new(),
        consent: None,
        owner: None,
    }
}

fn snapshot(settings: Vec<Setting>) -> Snapshot {
    let contents = Contents {
        settings,
        ..Contents::default()
    };
    Snapshot::build(contents, Timestamp(0))
}

fn firma() -> Scope {
    Scope::Domain(DomainName::parse("firma.test").unwrap())
}

fn attempt(service: Service, door: Door, tls: Option<TlsVersion>, now: &str) -> Attempt<'static> {
    Attempt {
        service,
        door,
        tls,
        sender: Some(ANNA),
        enrolled: false,
        help: HELP,
        now: at(now),
    }
}

/// `ok`, the stages noted, or the reason of the refusal.
fn told(ruling: &Ruling) -> String {
    match ruling {
        Ruling::Refuse(refusal) => refusal.reason.to_owned(),
        Ruling::Admit(noticed) if noticed.is_empty() => "ok".to_owned(),
        Ruling::Admit(noticed) => {
            let each = noticed
                .iter()
                .map(|(measure, stage)| format!("{measure} {stage}"));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

const CLEAR: Option<TlsVersion> = None;
const V10: Option<TlsVersion> = Some(TlsVersion::V1_0);
const V11: Option<TlsVersion> = Some(TlsVersion::V1_1);
const V12: Option<TlsVersion> = Some(TlsVersion::V1_2);
const V13: Option<TlsVersion> = Some(TlsVersion::V1_3);
const NOW: &str = "2025-03-01T12:00:00Z";

#[test]
fn nothing_old_comes_in_where_nothing_is_set() {
    let policy = snapshot(Vec::new());
    for service in [
        Service::Submission,
        Service::Imap,
        Service::Pop3,
        Service::ManageSieve,
    ] {
        for (tls, normal, old) in [
            (CLEAR, "cleartext", "legacy-over"),
            (V10, "tls-below-1.2", "legacy-over"),
            (V11, "tls-below-1.2", "legacy-over"),
            (V12, "ok", "legacy-over"),
            (V13, "ok", "legacy-over"),
        ] {
            for (door, wanted) in [(Door::Normal, normal), (Door::Legacy, old)] {
                let mut attempt = attempt(service, door, tls, NOW);
                attempt.enrolled = true;
                assert_eq!(
                    told(&login(&policy, &attempt)),
                    wanted,
                    "{service} {door:?} {tls:?}"
                );
                assert_eq!(told(&before_login(&policy, &attempt)), wanted);
            }
        }
    }
}

#[test]
fn stages_of_clear_text() {
    let here = Scope::Installation;
    for (value, wanted) in [
        ("off; 2099-01-01 enforce", "ok"),
        ("observe; 2099-01-01 enforce", "cleartext/imap observe"),
        ("warn; 2099-01-01 enforce", "cleartext/imap warn"),
        ("enforce", "cleartext"),
        ("warn; 2025-03-01 enforce", "cleartext"),
        (
            "warn; 2025-03-01 enforce; paused=observe",
            "cleartext/imap observe",
        ),
    ] {
        for item in ["*", "imap"] {
            let policy = snapshot(vec![setting(&here, Name::Cleartext, item, value)]);
            let imap = attempt(Service::Imap, Door::Normal, CLEAR, NOW);
            assert_eq!(told(&login(&policy, &imap)), wanted, "{item} {value}");
            let offered = if wanted == "cleartext" { wanted } else { "ok" };
            assert_eq!(
                told(&before_login(&policy, &imap)),
                offered,
                "{item} {value}"
            );
            let pop3 = attempt(Service::Pop3, Door::Normal, CLEAR, NOW);
            let enforced = told(&login(&policy, &pop3)) == "cleartext";
            assert_eq!(
                enforced,
                item == "imap" || wanted == "cleartext",
                "{item} {value}"
            );
            let mx = attempt(Service::Mx, Door::Normal, CLEAR, NOW);
            assert_eq!(
                told(&login(&policy, &mx)),
                "cleartext",
                "nobody logs in there"
            );
        }
    }
}

#[test]
fn stages_of_tls_versions() {
    let here = Scope::Installation;
    for (value, v10, v12, v13) in [
        ("1.2 enforce", "tls-below-1.2", "ok", "ok"),
        (
            "1.2 observe; 2099-01-01 enforce",
            "tls-version/imap observe",
            "ok",
            "ok",
        ),
        (
            "1.2 warn; 2099-01-01 enforce",
            "tls-version/imap warn",
            "ok",
            "ok",
        ),
        ("1.2 off; 2099-01-01 enforce", "ok", "ok", "ok"),
        (
            "1.3 observe",
            "tls-below-1.2",
            "tls-version/imap observe",
            "ok",
        ),
        ("1.3 off", "tls-below-1.2", "ok", "ok"),
        ("1.3 enforce", "tls-below-1.2", "tls-below-1.3", "ok"),
        (
            "1.3 warn; 2025-03-01 enforce",
            "tls-below-1.2",
            "tls-below-1.3",
            "ok",
        ),
    ] {
        let policy = snapshot(vec![setting(&here, Name::TlsVersion, "imap", value)]);
        for (tls, wanted) in [(V10, v10), (V11, v10), (V12, v12), (V13, v13)] {
            let attempt = attempt(Service::Imap, Door::Normal, tls, NOW);
            assert_eq!(told(&login(&policy, &attempt)), wanted, "{value} {tls:?}");
            let offered = if wanted.starts_with("tls-below") {
                wanted
            } else {
                "ok"
            };
            assert_eq!(
                told(&before_login(&policy, &attempt)),
                offered,
                "{value} {tls:?}"
            );
        }
        // S1-20: another service is another matter.
        let pop3 = attempt(Service::Pop3, Door::Normal, V12, NOW);
        assert_eq!(told(&login(&policy, &pop3)), "ok");
    }
}

#[test]
fn the_narrower_scope_decides_and_what_is_offered_is_what_somebody_may_do() {
    let here = Scope::Installation;
    let open = "observe; 2099-01-01 enforce";
    let policy = snapshot(vec![
        setting(&here, Name::Cleartext, "*", "enforce"),
        setting(&firma(), Name::Cleartext, "imap", open),
        setting(
            &Scope::Account(AccountId(1)),
            Name::Cleartext,
            "submission",
            open,
        ),
        setting(
            &Scope::Group("business".into()),
            Name::Cleartext,
            "pop3",
            open,
        ),
    ]);
    for (service, anna) in [
        (Service::Imap, "cleartext/imap observe"),
        (Service::Submission, "cleartext/submission observe"),
        (Service::Pop3, "cleartext/pop3 observe"),
        (Service::ManageSieve, "cleartext"),
    ] {
        let mut attempt = attempt(service, Door::Normal, CLEAR, NOW);
        assert_eq!(told(&login(&policy, &attempt)), anna, "{service}");
        attempt.sender = Some(BERT);
        assert_eq!(told(&login(&policy, &attempt)), "cleartext", "{service}");
        attempt.sender = None;
        let offered = if anna == "cleartext" { anna } else { "ok" };
        assert_eq!(told(&login(&policy, &attempt)), offered, "{service}");
        assert_eq!(told(&before_login(&policy, &attempt)), offered, "{service}");
    }
    // Within one scope the service itself stands before all services, also for what is offered.
    let policy = snapshot(vec![
        setting(&here, Name::Cleartext, "*", open),
        setting(&here, Name::Cleartext, "imap", "enforce"),
    ]);
    let imap = attempt(Service::Imap, Door::Normal, CLEAR, NOW);
    assert_eq!(told(&login(&policy, &imap)), "cleartext");
    assert_eq!(told(&before_login(&policy, &imap)), "cleartext");
    // An account can be held to more than its domain.
    let policy = snapshot(vec![
        setting(&firma(), Name::Cleartext, "*", open),
        setting(
            &Scope::Account(AccountId(1)),
            Name::Cleartext,
            "*",
            "enforce",
        ),
    ]);
    assert_eq!(told(&login(&policy, &imap)), "cleartext");
}

#[test]
fn an_exception_ends_at_its_moment() {
    let mut exception = setting(
        &Scope::Account(AccountId(1)),
        Name::TlsVersion,
        "*",
        "1.2 observe",
    );
    exception.expires_at = Some(at("2025-04-01T10:00:00Z"));
    let policy = snapshot(vec![exception]);
    for (now, named, unnamed) in [
        ("2025-04-01T09:59:59Z", "tls-version/imap observe", "ok"),
        ("2025-04-01T10:00:00Z", "tls-below-1.2", "tls-below-1.2"),
    ] {
        let mut attempt = attempt(Service::Imap, Door::Normal, V10, now);
        assert_eq!(told(&login(&policy, &attempt)), named, "{now}");
        attempt.sender = None;
        assert_eq!(told(&login(&policy, &attempt)), unnamed, "{now}");
    }
    assert_eq!(
        policy.next_change(at(NOW)),
        Some(at("2025-04-01T10:00:00Z"))
    );
}

#[test]
fn all_services_switch_in_the_same_second() {
    // S1-01: one night, three protocols, both measures.
    let here = Scope::Installation;
    let policy = snapshot(vec![
        setting(&here, Name::Cleartext, "*", "warn; 2025-03-05 enforce"),
        setting(&here, Name::TlsVersion, "*", "1.2 warn; 2025-03-05 enforce"),
    ]);
    for service in [Service::Submission, Service::Imap, Service::Pop3] {
        for (tls, refused) in [
            (CLEAR, "cleartext"),
            (V10, "tls-below-1.2"),
            (V11, "tls-below-1.2"),
        ] {
            let evening = attempt(service, Door::Normal, tls, "2025-03-04T22:59:59.999Z");
            assert!(
                told(&login(&policy, &evening)).ends_with(" warn"),
                "{service}"
            );
            assert_eq!(told(&before_login(&policy, &evening)), "ok");
            let midnight = attempt(service, Door::Normal, tls, "2025-03-04T23:00:00Z");
            assert_eq!(told(&login(&policy, &midnight)), refused, "{service}");
            assert_eq!(told(&before_login(&policy, &midnight)), refused);
        }
    }
    assert_eq!(
        policy.next_change(at(NOW)),
        Some(at("2025-03-04T23:00:00Z"))
    );
    assert_eq!(policy.next_change(at("2025-03-04T23:00:00Z")), None);
}

#[test]
fn the_legacy_door_is_for_the_enrolled_until_its_date() {
    let here = Scope::Installation;
    let until = "until 2025-05-30 tls=1.0,1.1 cleartext";
    let last = "2025-05-30T21:59:59Z";
    let over = "2025-05-30T22:00:00Z";
    let other = Scope::Domain(DomainName::parse("other.test").unwrap());
    let policy = snapshot(vec![
        setting(&here, Name::LegacyAccess, "", until),
        setting(&other, Name::LegacyAccess, "", "forbidden"),
    ]);
    for (tls, enrolled, now, wanted) in [
        (V10, true, NOW, "tls-version/imap warn"),
        (V11, true, last, "tls-version/imap warn"),
        (V12, true, NOW, "ok"),
        (V13, true, NOW, "ok"),
        (CLEAR, true, NOW, "cleartext/imap warn"),
        (V10, false, NOW, "legacy-not-enrolled"),
        (V13, false, NOW, "legacy-not-enrolled"),
        (CLEAR, false, last, "legacy-not-enrolled"),
        (V10, true, over, "legacy-over"),
        (V13, true, over, "legacy-over"),
        (CLEAR, false, over, "legacy-over"),
    ] {
        let mut attempt = attempt(Service::Imap, Door::Legacy, tls, now);
        attempt.enrolled = enrolled;
        assert_eq!(
            told(&login(&policy, &attempt)),
            wanted,
            "{tls:?} {enrolled} {now}"
        );
        attempt.sender = None;
        let offered = if wanted == "legacy-over" {
            wanted
        } else {
            "ok"
        };
        assert_eq!(
            told(&login(&policy, &attempt)),
            offered,
            "{tls:?} {enrolled} {now}"
        );
        attempt.sender = Some(BERT);
        let forbidden = told(&login(&policy, &attempt));
        assert_eq!(
            forbidden, "legacy-forbidden",
            "even once it is over for all others"
        );
    }
    // What opens the legacy door opens no normal one.
    let mut normal = attempt(Service::Imap, Door::Normal, V10, NOW);
    normal.enrolled = true;
    assert_eq!(told(&login(&policy, &normal)), "tls-below-1.2");
}

#[test]
fn the_legacy_door_speaks_what_the_operator_named() {
    let here = Scope::Installation;
    let policy = snapshot(vec![setting(
        &here,
        Name::LegacyAccess,
        "",
        "until 2025-05-30 tls=1.1",
    )]);
    for (tls, wanted) in [
        (CLEAR, "legacy-cleartext"),
        (V10, "legacy-tls"),
        (V11, "tls-version/pop3 warn"),
    ] {
        let mut attempt = attempt(Service::Pop3, Door::Legacy, tls, NOW);
        attempt.enrolled = true;
        assert_eq!(told(&login(&policy, &attempt)), wanted, "{tls:?}");
        attempt.sender = None;
        let offered = if wanted.starts_with("legacy") {
            wanted
        } else {
            "ok"
        };
        assert_eq!(told(&before_login(&policy, &attempt)), offered, "{tls:?}");
    }
    // A domain may have what the others have not.
    let policy = snapshot(vec![setting(
        &firma(),
        Name::LegacyAccess,
        "",
        "until 2025-05-30",
    )]);
    let mut attempt = attempt(Service::Pop3, Door::Legacy, V10, NOW);
    attempt.enrolled = true;
    assert_eq!(told(&login(&policy, &attempt)), "tls-version/pop3 warn");
    attempt.sender = Some(BERT);
    assert_eq!(told(&login(&policy, &attempt)), "legacy-over");
}

#[test]
fn a_name_nobody_has_is_told_what_an_account_of_the_domain_is_told() {
    let here = Scope::Installation;
    let policy = snapshot(vec![
        setting(&here, Name::LegacyAccess, "", "until 2025-05-30 cleartext"),
        setting(
            &firma(),
            Name::Cleartext,
            "imap",
            "warn; 2099-01-01 enforce",
        ),
    ]);
    let nobody = Sender {
        account: None,
        group: None,
        ..ANNA
    };
    for door in [Door::Normal, Door::Legacy] {
        for tls in [CLEAR, V10, V11, V12, V13] {
            let known = attempt(Service::Imap, door, tls, NOW);
            let mut unknown = known;
            unknown.sender = Some(nobody);
            assert_eq!(
                login(&policy, &known),
                login(&policy, &unknown),
                "{door:?} {tls:?}"
            );
        }
    }
}

/// Who is refused when: anna, anna once legacy access is over, and bert whose domain forbids it.
const ANNA_NOW: &(Sender<'static>, &str) = &(ANNA, NOW);
const ANNA_LATER: &(Sender<'static>, &str) = &(ANNA, "2025-06-30T00:00:00Z");
const BERT_NOW: &(Sender<'static>, &str) = &(BERT, NOW);

type Refused = (
    Service,
    Door,
    Option<TlsVersion>,
    &'static (Sender<'static>, &'static str),
    &'static str,
    &'static str,
);

/// What is refused, with the page the text leads to and a word of its German.
#[rustfmt::skip]
const REFUSED: &[Refused] = &[
    (Service::Imap, Door::Normal, CLEAR, ANNA_NOW, "cleartext", "verschluesselt"),
    (Service::Imap, Door::Normal, V10, ANNA_NOW, "tls", "nicht mehr angenommen"),
    (Service::Pop3, Door::Normal, V12, ANNA_NOW, "tls", "TLS 1.2 wird hier"),
    (Service::Imap, Door::Legacy, V12, ANNA_LATER, "legacy", "Uebergangszeit"),
    (Service::Imap, Door::Legacy, V12, BERT_NOW, "legacy", "Ihre Domain"),
    (Service::Imap, Door::Legacy, V12, ANNA_NOW, "legacy", "Freischaltung"),
    (Service::Imap, Door::Legacy, CLEAR, ANNA_NOW, "cleartext", "Auch hier"),
    (Service::Imap, Door::Legacy, V10, ANNA_NOW, "legacy", "Auch hier"),
];

#[test]
fn what_customers_read_is_one_line_of_ascii_with_its_page_at_the_end() {
    let here = Scope::Installation;
    let other = Scope::Domain(DomainName::parse("other.test").unwrap());
    let policy = snapshot(vec![
        setting(&here, Name::LegacyAccess, "", "until 2025-05-30 tls=1.1"),
        setting(&other, Name::LegacyAccess, "", "forbidden"),
        setting(&here, Name::TlsVersion, "pop3", "1.3 enforce"),
    ]);
    for (service, door, tls, whose, page, german) in REFUSED {
        let (sender, now) = **whose;
        let (service, tls) = (*service, *tls);
        let mut attempt = attempt(service, *door, tls, now);
        attempt.sender = Some(sender);
        let Ruling::Refuse(refusal) = login(&policy, &attempt) else {
            panic!("{door:?} {tls:?} is admitted");
        };
        let text = &refusal.text;
        assert!(text.ends_with(&format!(" Help: {HELP}{page}")), "{text}");
        assert!(text.contains(german), "{text}");
        assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text}");
        // With code, enhanced code and a longer address of the help pages within RFC 5321 §4.5.3.1.5.
        assert!(text.len() < 430, "{} {text}", text.len());
        assert!(refusal.explain.ends_with('.'), "{}", refusal.explain);
        let measure = match tls {
            None => Measure::Cleartext(service),
            Some(_) => Measure::TlsVersion(service),
        };
        assert_eq!(refusal.measure, measure);
    }
}

//! Rules as tables: conditions against facts, order, stages, forms.

use super::*;
use crate::measure::Zone;
use platform::clock::Timestamp;
use platform::tls::TlsVersion;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A Thursday, 12:00 in Berlin.
const NOON: Timestamp = Timestamp(1_709_204_400_000);

fn compiled(json: &str) -> Compiled {
    let set = RuleSet::from_json(json).unwrap();
    Compiled::new(Arc::new(set), &Zone::default(), 0)
}

/// Whether a rule with this condition rejects.
fn holds(when: &str, facts: &Facts<'_>) -> Truth {
    let rules = compiled(&format!(
        r#"{{"rules":[{{"name":"r","at":["data"],"when":{when},"then":[{{"do":"reject","text":"no"}}]}}]}}"#
    ));
    let decision = evaluate(&rules, Point::Data, facts, NOON);
    match (decision.ruling, decision.undecided.len()) {
        (Some(_), 0) => Truth::Yes,
        (None, 0) => Truth::No,
        (None, 1) => Truth::Unknown,
        other => panic!("{other:?}"),
    }
}

fn to<'a>(domain: &'a str) -> Recipient<'a> {
    Recipient {
        address: Known::Unknown,
        domain,
        group: Known::Absent,
    }
}

#[test]
fn all_any_and_not_nest_as_in_the_truth_table() {
    use Truth::{No, Unknown, Yes};
    let yes = r#"{"fact":"tls","value":false}"#;
    let no = r#"{"fact":"tls","value":true}"#;
    let unknown = r#"{"fact":"reverse-name","value":"x"}"#;
    let facts = Facts {
        tls: Known::Absent,
        ..Facts::default()
    };
    let values = [(yes, Yes), (no, No), (unknown, Unknown)];
    for (a, truth_a) in values {
        assert_eq!(holds(&format!(r#"{{"not":{a}}}"#), &facts), truth_a.not());
        for (b, truth_b) in values {
            let both = [truth_a, truth_b];
            let all = if both.contains(&No) {
                No
            } else if both.contains(&Unknown) {
                Unknown
            } else {
                Yes
            };
            let any = if both.contains(&Yes) {
                Yes
            } else if both.contains(&Unknown) {
                Unknown
            } else {
                No
            };
            let group = |word: &str| format!(r#"{{"{word}":[{a},{b}]}}"#);
            assert_eq!(holds(&group("all"), &facts), all, "{a} ALL {b}");
            assert_eq!(holds(&group("any"), &facts), any, "{a} ANY {b}");
            // One deeper, and turned round (De Morgan).
            let deeper = format!(r#"{{"not":{{"any":[{{"not":{a}}},{{"not":{b}}}]}}}}"#);
            assert_eq!(holds(&deeper, &facts), all, "{deeper}");
            let deeper = format!(r#"{{"all":[{{"any":[{a},{b}]}},{yes}]}}"#);
            assert_eq!(holds(&deeper, &facts), any, "{deeper}");
        }
    }
    for always in ["{}", r#"{"all":[]}"#, r#"{"any":[]}"#] {
        assert_eq!(holds(always, &facts), Yes, "{always}");
        let condition: Condition = serde_json::from_str(always).unwrap();
        assert!(condition.is_always());
    }
}

#[test]
fn every_kind_of_fact_is_compared() {
    use Truth::{No, Yes};
    let header = HeaderNames::of(
        &RuleSet::from_json(
            r#"{"rules":[{"name":"h","at":["data"],"then":[{"do":"junk"}],
                "when":{"all":[{"fact":"header:X-Spam","op":"present"},
                               {"fact":"header-count:Received","op":"above","value":1}]}}]}"#,
        )
        .unwrap(),
    );
    let header = HeaderFacts::read(
        b"Received: a\r\nreceived: b\r\nX-SPAM: =?utf-8?q?J=C3=A4?=\r\nSubject: x\r\n\r\n",
        &header,
    );
    let recipients = [to("a.test"), to("b.test")];
    let facts = Facts {
        client: Known::Is(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        port: Known::Is(587),
        tls: Known::Is(Tls {
            version: TlsVersion::V1_2,
            cipher: "TLS_X",
        }),
        account: Known::Is("Anna@Firma.test"),
        sender: Known::Is(""),
        recipients: Known::Is(&recipients),
        size: Known::Is(1_000),
        headers: Known::Is(&header),
        ..Facts::default()
    };
    for (test, expected) in [
        (r#""client","op":"in-network","value":"192.0.2.0/24""#, Yes),
        (
            r#""client","op":"in-network","value":["10.0.0.0/8","2001:db8::/32"]"#,
            No,
        ),
        (r#""port","value":587"#, Yes),
        (r#""port","op":"is-one-of","value":["25","465"]"#, No),
        (r#""tls","value":true"#, Yes),
        (r#""tls-version","op":"below","value":"1.3""#, Yes),
        (r#""tls-version","op":"above","value":"1.1""#, Yes),
        (
            r#""tls-version","op":"is-one-of","value":["1.0","1.1"]"#,
            No,
        ),
        (r#""cipher","op":"begins-with","value":"tls_""#, Yes),
        (r#""authenticated","value":true"#, Yes),
        (r#""account","value":"anna@firma.test""#, Yes),
        (r#""account","op":"ends-with","value":"@FIRMA.test""#, Yes),
        (r#""account","op":"contains","value":"a@f""#, Yes),
        (r#""account","op":"matches","value":"a*@firma.?est""#, Yes),
        (r#""sender","op":"present""#, No),
        (r#""sender","value":"""#, Yes),
        (r#""recipient-domain","value":"b.test""#, Yes),
        (
            r#""recipient-domain","op":"is-one-of","value":["c.test"]"#,
            No,
        ),
        (r#""recipient-group","op":"present""#, No),
        (r#""recipients","value":2"#, Yes),
        (r#""size","op":"above","value":999"#, Yes),
        (r#""size","op":"below","value":1000"#, No),
        (r#""header:x-spam","op":"contains","value":"J""#, Yes),
        (r#""header:x-spam","op":"ends-with","value":"ä""#, Yes),
        (r#""header-count:received","value":2"#, Yes),
        (r#""time","op":"within","value":"11:00-12:01""#, Yes),
        (r#""time","op":"within","value":"22:00-06:00""#, No),
        (
            r#""weekday","op":"is-one-of","value":["monday","thursday"]"#,
            Yes,
        ),
        (r#""weekday","value":"friday""#, No),
    ] {
        let when = format!(r#"{{"fact":{test}}}"#);
        assert_eq!(holds(&when, &facts), expected, "{test}");
    }
}

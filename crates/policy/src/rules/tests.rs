//! Rules as tables: conditions against facts, order, stages, forms.

mod kept;

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
        assert_eq!(holds(&format!(r#"{{"not":{a}}}"#), &facts), !truth_a);
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

/// The header every kind of fact is compared on.
fn some_header() -> HeaderFacts {
    let header = HeaderNames::of(
        &RuleSet::from_json(
            r#"{"rules":[{"name":"h","at":["data"],"then":[{"do":"junk"}],
                "when":{"all":[{"fact":"header:X-Spam","op":"present"},
                               {"fact":"header-count:Received","op":"above","value":1}]}}]}"#,
        )
        .unwrap(),
    );
    HeaderFacts::read(
        b"Received: a\r\nreceived: b\r\nX-SPAM: =?utf-8?q?J=C3=A4?=\r\nSubject: x\r\n\r\n",
        &header,
    )
}

#[test]
fn every_kind_of_fact_is_compared() {
    use Truth::{No, Yes};
    let header = some_header();
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

fn remarks(json: &str) -> Vec<(String, Problem, String)> {
    let set = RuleSet::from_json(json).unwrap();
    let remarks = lint(&set, &Existing::default());
    let mut all: Vec<_> = remarks
        .into_iter()
        .map(|r| (r.rule, r.problem, r.other))
        .collect();
    all.retain(|(_, problem, _)| *problem != Problem::NoText);
    all
}

fn two(first: &str, second: &str) -> Vec<(String, Problem, String)> {
    remarks(&format!(
        r#"{{"rules":[{{"name":"a","at":["rcpt"],{first}}},{{"name":"b","at":["rcpt"],{second}}}]}}"#
    ))
}

#[test]
fn the_linter_sees_what_is_never_reached() {
    let reject = r#""then":[{"do":"reject","text":"no"}]"#;
    let shadowed = [("b".to_owned(), Problem::Shadowed, "a".to_owned())];
    for (wide, narrow) in [
        (r#""when":{}"#, r#""when":{"fact":"tls","value":false}"#),
        (
            r#""when":{"fact":"recipient-domain","op":"ends-with","value":".test"}"#,
            r#""when":{"fact":"recipient-domain","op":"is-one-of","value":["a.test","b.test"]}"#,
        ),
        (
            r#""when":{"fact":"recipient-domain","value":"a.test"}"#,
            r#""when":{"all":[{"fact":"recipient","value":"x@a.test"},{"fact":"tls","value":true}]}"#,
        ),
        (
            r#""when":{"fact":"client","op":"in-network","value":"10.0.0.0/8"}"#,
            r#""when":{"fact":"client","op":"in-network","value":["10.1.0.0/16","10.2.2.2"]}"#,
        ),
        (
            r#""when":{"fact":"tls","value":true}"#,
            r#""when":{"fact":"tls-version","op":"below","value":"1.3"}"#,
        ),
        (
            r#""when":{"any":[{"fact":"port","value":25},{"fact":"port","op":"above","value":400}]}"#,
            r#""when":{"fact":"port","op":"is-one-of","value":["25","465","587"]}"#,
        ),
        (
            r#""when":{"not":{"all":[{"fact":"tls","value":true},{"fact":"port","value":25}]}}"#,
            r#""when":{"fact":"port","value":587}"#,
        ),
    ] {
        assert_eq!(
            two(&format!("{wide},{reject}"), &format!("{narrow},{reject}")),
            shadowed,
            "{wide} {narrow}"
        );
        assert_eq!(
            two(&format!("{narrow},{reject}"), &format!("{wide},{reject}")),
            [],
            "{wide} {narrow}"
        );
    }
    // One that is not enforced decides nothing.
    let observed = format!(r#""schedule":"observe",{reject}"#);
    assert_eq!(two(&observed, reject), []);
}

#[test]
fn the_linter_sees_contradictions_and_what_cannot_be() {
    let accept = r#""when":{"fact":"port","value":25},"then":[{"do":"accept"}]"#;
    let reject = r#""when":{"fact":"port","op":"is-one-of","value":["25"]},"then":[{"do":"reject","text":"no"}]"#;
    assert_eq!(
        two(accept, reject),
        [("b".into(), Problem::Contradicts, "a".into())]
    );
    for never in [
        r#"{"all":[{"fact":"port","value":25},{"fact":"port","value":26}]}"#,
        r#"{"all":[{"fact":"tls","value":false},{"fact":"tls-version","value":"1.3"}]}"#,
        r#"{"all":[{"fact":"sender-domain","op":"ends-with","value":".test"},{"fact":"sender-domain","value":"a.example"}]}"#,
        r#"{"all":[{"fact":"hello","op":"contains","value":"abc"},{"not":{"fact":"hello","op":"contains","value":"b"}}]}"#,
        r#"{"not":{"any":[{"fact":"tls","value":true},{"fact":"tls","value":false}]}}"#,
    ] {
        let rule = format!(r#""when":{never},"then":[{{"do":"reject","text":"no"}}]"#);
        let accept = r#""then":[{"do":"accept"}]"#;
        assert_eq!(
            two(&rule, accept),
            [("a".into(), Problem::NeverHolds, String::new())],
            "{never}"
        );
    }
    // A message may have both recipients.
    let both = r#"{"all":[{"fact":"recipient","value":"a@x.test"},{"fact":"recipient","value":"b@x.test"}]}"#;
    let rule = format!(r#""when":{both},"then":[{{"do":"reject","text":"no"}}]"#);
    assert_eq!(two(&rule, r#""then":[{"do":"accept"}]"#), []);
}

#[test]
fn the_order_of_forbidding_and_permitting_logins_matters() {
    let disable = |when: &str| {
        format!(
            r#"{{"name":"disableAUTH_on_non_SSL","at":["hello"],{when}"then":[{{"do":"auth-mechanisms","only":[]}}]}}"#
        )
    };
    let enable = r#"{"name":"enableAUTH_on_SSL","at":["hello"],"when":{"fact":"tls","value":true},
        "then":[{"do":"auth-mechanisms","only":["PLAIN","LOGIN"]}]}"#;
    let set = |first: &str, second: &str| format!(r#"{{"rules":[{first},{second}]}}"#);
    let always = disable("");
    assert_eq!(remarks(&set(&always, enable)), []);
    assert_eq!(
        remarks(&set(enable, &always)),
        [(
            "enableAUTH_on_SSL".into(),
            Problem::Overridden,
            "disableAUTH_on_non_SSL".into()
        )]
    );
    let in_clear = disable(r#""when":{"fact":"tls","value":false},"#);
    assert_eq!(remarks(&set(&in_clear, enable)), []);
    assert_eq!(
        remarks(&set(enable, &in_clear)),
        [(
            "enableAUTH_on_SSL".into(),
            Problem::Order,
            "disableAUTH_on_non_SSL".into()
        )]
    );
    // What the linter says is what happens.
    let facts = Facts {
        tls: Known::Is(Tls {
            version: TlsVersion::V1_3,
            cipher: "",
        }),
        ..Facts::default()
    };
    let offered = |json: &str| {
        let rules = compiled(json);
        let decision = evaluate(&rules, Point::Hello, &facts, NOON);
        decision.mechanisms().map(|all| all.len())
    };
    assert_eq!(offered(&set(&always, enable)), Some(2));
    assert_eq!(offered(&set(enable, &always)), Some(0));
}

#[test]
fn the_first_rule_that_ends_decides_and_the_others_add_up() {
    let rules = compiled(
        r#"{"rules":[
            {"name":"tagged","at":["data"],"then":[{"do":"tag","word":"big"},{"do":"junk"}],
             "when":{"fact":"size","op":"above","value":10}},
            {"name":"watched","at":["data"],"then":[{"do":"reject","text":"w"}],"schedule":"observe"},
            {"name":"off","at":["data"],"then":[{"do":"reject","text":"o"}],"schedule":"off"},
            {"name":"elsewhere","at":["rcpt"],"then":[{"do":"reject","text":"e"}]},
            {"name":"decides","at":["data"],"then":[{"do":"defer","text":"later"}],
             "when":{"fact":"tag","value":"BIG"}},
            {"name":"after","at":["data"],"then":[{"do":"reject","text":"a"}]}]}"#,
    );
    let facts = Facts {
        size: Known::Is(11),
        ..Facts::default()
    };
    let decision = evaluate(&rules, Point::Data, &facts, NOON);
    let ruling = decision.ruling.unwrap();
    assert_eq!(
        (ruling.rule.name.as_str(), ruling.action.word()),
        ("decides", "defer")
    );
    let words: Vec<_> = decision.actions.iter().map(|a| a.action.word()).collect();
    assert_eq!(words, ["tag", "junk"]);
    let noted: Vec<_> = decision
        .noted
        .iter()
        .map(|n| n.rule.name.as_str())
        .collect();
    assert_eq!(noted, ["watched"]);
    let (again, all) = explain(&rules, Point::Data, &facts, NOON);
    assert_eq!(again, decision);
    let effects: Vec<_> = all
        .iter()
        .map(|e| (e.rule.name.as_str(), e.effect))
        .collect();
    assert_eq!(
        effects,
        [
            ("tagged", Effect::Acted),
            ("watched", Effect::Noted),
            ("off", Effect::Off),
            ("decides", Effect::Decided),
            ("after", Effect::NotAsked),
        ]
    );
}

#[test]
fn a_rule_begins_to_act_at_its_date() {
    let rules = compiled(
        r#"{"rules":[{"name":"r","at":["data"],"then":[{"do":"reject","text":"no"}],
            "schedule":"observe; 2024-02-29T12:00 enforce"}]}"#,
    );
    let at = |now| evaluate(&rules, Point::Data, &Facts::default(), Timestamp(now));
    let before = at(NOON.0 - 1);
    assert_eq!((before.ruling, before.noted.len()), (None, 1));
    let after = at(NOON.0);
    assert!(after.ruling.is_some() && after.noted.is_empty());
}

#[test]
fn json_and_toml_are_two_forms_of_one_set() {
    let json = r#"{"rules":[{"name":"secure","note":"why","at":["rcpt"],
        "when":{"all":[{"fact":"tls","value":false},
                       {"any":[{"fact":"recipient-domain","value":"mydomain.com"},
                               {"not":{"fact":"client","op":"in-network","value":["10.0.0.0/8"]}}]}]},
        "then":[{"do":"reject","status":"5.7.10","text":"Accepting only secure delivery (STARTTLS) for mydomain.com"}],
        "schedule":"observe; 2025-03-01 warn; 2025-03-05 enforce"},
        {"name":"all","at":["data","route"],"then":[{"do":"delay","by":"10m"},{"do":"copy","to":"a@b.test"}]},
        {"name":"header","at":["data"],"then":[{"do":"header","action":"remove first X-Originating-IP"}]},
        {"name":"out","at":["deliver"],"then":[{"do":"require-tls","lowest":"1.3","level":"verify"},
         {"do":"source","addresses":["192.0.2.1"]}]},
        {"name":"few","at":["mail"],"then":[{"do":"rate","by":["client","sender-domain"],"count":5,"per":"2h"}]}]}"#;
    let set = RuleSet::from_json(json).unwrap();
    assert_eq!(RuleSet::from_json(&set.to_json()), Ok(set.clone()));
    let toml = set.to_toml().unwrap();
    assert_eq!(RuleSet::from_toml(&toml), Ok(set.clone()), "{toml}");
    assert!(
        set.to_json().contains(r#""status":"7.10""#),
        "{}",
        set.to_json()
    );
    let words = set
        .rules()
        .iter()
        .map(|rule| rule.when.in_words(formats::language::Language::German));
    let words: Vec<_> = words.collect();
    assert_eq!(words[1], "immer");
    assert!(
        words[0].starts_with("nicht: die Verbindung nutzt TLS und (die Domain"),
        "{}",
        words[0]
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason() {
    let rule = |at: &str, when: &str, then: &str| {
        let json =
            format!(r#"{{"rules":[{{"name":"r","at":[{at}],"when":{when},"then":[{then}]}}]}}"#);
        RuleSet::from_json(&json).map(drop).unwrap_err()
    };
    let accept = r#"{"do":"accept"}"#;
    for (text, told) in [
        (
            rule(
                r#""connect""#,
                r#"{"fact":"recipient","value":"x"}"#,
                accept,
            ),
            "is not known at connect",
        ),
        (
            rule(r#""rcpt""#, "{}", r#"{"do":"header","action":"remove X"}"#),
            "cannot be done at rcpt",
        ),
        (
            rule(r#""rcpt""#, r#"{"all":[{"any":[]}]}"#, accept),
            "has nothing in it",
        ),
        (
            rule(
                r#""rcpt""#,
                r#"{"fact":"port","op":"contains","value":"2"}"#,
                accept,
            ),
            "cannot be asked with",
        ),
        (
            rule(r#""rcpt""#, r#"{"fact":"port","value":"x"}"#, accept),
            "needs a number",
        ),
        (
            rule(r#""rcpt""#, r#"{"fact":"colour","value":"x"}"#, accept),
            "there is no fact",
        ),
        (
            rule(r#""rcpt""#, "{}", r#"{"do":"reject","text":"nö"}"#),
            "ASCII",
        ),
        (
            rule(r#""rcpt""#, "{}", r#"{"do":"reject","words":"x"}"#),
            "unknown field",
        ),
        (rule("", "{}", accept), "asked nowhere"),
        (rule(r#""rcpt""#, "{}", ""), "needs 1 to"),
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let deep = format!(
        "{}{}{}",
        r#"{"not":"#.repeat(9),
        r#"{"fact":"tls","value":true}"#,
        "}".repeat(9)
    );
    assert!(
        rule(r#""rcpt""#, &deep, accept).contains("nested"),
        "{deep}"
    );
    let wide = vec![r#"{"fact":"tls","value":true}"#; 64].join(",");
    assert!(rule(r#""rcpt""#, &format!(r#"{{"any":[{wide}]}}"#), accept).contains("at most 64"));
}

#[test]
fn a_rate_lets_so_many_through_in_its_window() {
    let rules = compiled(
        r#"{"rules":[{"name":"few","at":["mail"],"then":[{"do":"rate","by":["sender-domain"],"count":2,"per":"1h"}]}]}"#,
    );
    let rates = Rates::default();
    let ask = |domain: &'static str, now: i64| {
        let facts = Facts {
            sender_domain: Known::Is(domain),
            ..Facts::default()
        };
        let decision = evaluate(&rules, Point::Mail, &facts, Timestamp(now));
        rates.count(&decision.actions[0], &facts, Timestamp(now))
    };
    assert_eq!(
        (ask("a.test", 0), ask("A.test", 1), ask("b.test", 2)),
        (Room::Left, Room::Left, Room::Left)
    );
    assert_eq!(
        ask("a.test", 3),
        Room::Full {
            until: Timestamp(3_600_000)
        }
    );
    assert_eq!(ask("a.test", 3_600_000), Room::Left);
}

/// The index must change nothing but the time it takes.
#[test]
fn rules_found_by_index_are_those_that_hold() {
    use proptest::prelude::*;
    let names = ["a.test", "b.test", "c.test"];
    let condition = prop_oneof![
        Just(r#"{"fact":"tls","value":false}"#.to_owned()),
        Just(r#"{"fact":"header:x","op":"present"}"#.to_owned()),
        (0..3usize)
            .prop_map(move |n| format!(r#"{{"fact":"recipient-domain","value":"{}"}}"#, names[n])),
        (0..3usize).prop_map(move |n| format!(
            r#"{{"fact":"sender-domain","op":"is-one-of","value":["{}","x"]}}"#,
            names[n]
        )),
    ];
    let condition = condition.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..3)
                .prop_map(|all| format!(r#"{{"all":[{}]}}"#, all.join(","))),
            proptest::collection::vec(inner.clone(), 1..3)
                .prop_map(|all| format!(r#"{{"any":[{}]}}"#, all.join(","))),
            inner.prop_map(|one| format!(r#"{{"not":{one}}}"#)),
        ]
    });
    let set = proptest::collection::vec(condition, 1..8);
    proptest!(|(conditions in set, to_a in any::<bool>(), from in 0..4usize)| {
        let rules: Vec<_> = conditions.iter().enumerate().map(|(n, when)| format!(
            r#"{{"name":"r{n}","at":["data"],"when":{when},"then":[{{"do":"junk"}}]}}"#
        )).collect();
        let rules = compiled(&format!(r#"{{"rules":[{}]}}"#, rules.join(",")));
        let recipients = [to("b.test"), to("a.test")];
        let recipients = if to_a { &recipients[..] } else { &recipients[..1] };
        let facts = Facts {
            tls: Known::Absent,
            sender_domain: names.get(from).map_or(Known::Unknown, |name| Known::Is(*name)),
            recipients: Known::Is(recipients),
            ..Facts::default()
        };
        let decision = evaluate(&rules, Point::Data, &facts, NOON);
        let (_, all) = explain(&rules, Point::Data, &facts, NOON);
        let with = |effect| all.iter().filter(move |e| e.effect == effect).map(|e| &e.rule.name).collect::<Vec<_>>();
        let acted: Vec<_> = decision.actions.iter().map(|a| &a.rule.name).collect();
        let undecided: Vec<_> = decision.undecided.iter().map(|r| &r.name).collect();
        prop_assert_eq!(acted, with(Effect::Acted));
        prop_assert_eq!(undecided, with(Effect::Undecided));
    });
}

#[test]
fn what_could_not_be_carried_out_is_refused_with_words() {
    for (rules, why) in [
        (
            r#"{"name":"r","at":["data"],"when":{"fact":"size","op":"above","value":9},
                "then":[{"do":"header","action":"add X-Big: yes"}]}"#,
            "before the size is known",
        ),
        (
            r#"{"name":"mark","at":["data"],"then":[{"do":"tag","word":"vip"}]},
               {"name":"r","at":["deliver"],"when":{"fact":"tag","value":"vip"},
                "then":[{"do":"pool","name":"fast"}]}"#,
            "gone at deliver",
        ),
    ] {
        let refused = RuleSet::from_json(&format!(r#"{{"rules":[{rules}]}}"#)).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}

//! The records for a delegated subdomain, what is refused, and what is seen in the DNS.

use super::*;
use platform::dns::StaticResolver;

fn firma() -> DomainName {
    DomainName::parse("firma.test").unwrap()
}

fn typed() -> Typed<'static> {
    Typed {
        name: "news",
        selector: "nl1",
        key_alias: "nl1.dkim.tool.test",
        from: "spf.tool.test, 192.0.2.7 2001:db8::1",
        bounce_exchanger: "mx.tool.test",
        ..Typed::default()
    }
}

fn lines(typed: &Typed<'_>, reports_address: &str) -> Vec<String> {
    let delegation = Delegation::new(&firma(), typed).unwrap();
    let around = Around {
        wish: Some(Wish::Quarantine),
        reports_address,
    };
    records(&delegation, &around)
        .iter()
        .map(Wanted::line)
        .collect()
}

#[test]
fn every_record_is_exact() {
    assert_eq!(
        lines(&typed(), "dmarc@rp.test"),
        [
            "news.firma.test. IN TXT \"v=spf1 include:spf.tool.test ip4:192.0.2.7 ip6:2001:db8::1 -all\"",
            "nl1._domainkey.news.firma.test. IN CNAME nl1.dkim.tool.test.",
            "_dmarc.news.firma.test. IN TXT \"v=DMARC1; p=quarantine; adkim=s; aspf=r; rua=mailto:dmarc@rp.test\"",
            "news.firma.test._report._dmarc.rp.test. IN TXT \"v=DMARC1\"",
            "bounce.news.firma.test. IN MX 10 mx.tool.test.",
            "bounce.news.firma.test. IN TXT \"v=spf1 include:spf.tool.test ip4:192.0.2.7 ip6:2001:db8::1 -all\"",
        ]
    );
}

#[test]
fn reports_to_the_domain_itself_need_no_leave() {
    let own = lines(&typed(), "dmarc@firma.test");
    assert!(!own.iter().any(|line| line.contains("_report")), "{own:?}");
}

#[test]
fn what_the_tool_has_not_said_is_left_open_and_nothing_made_up() {
    let bare = Typed {
        name: "news.firma.test",
        ..Typed::default()
    };
    let lines = lines(&bare, "dmarc@firma.test");
    let open = lines.iter().filter(|line| line.starts_with(';')).count();
    assert_eq!(open, 3, "{lines:#?}");
    let aliased = Typed {
        bounce_alias: "bounces.tool.test",
        ..bare
    };
    let lines = self::lines(&aliased, "dmarc@firma.test");
    assert!(lines[0].ends_with("\"v=spf1 -all\""), "{lines:#?}");
}

#[test]
fn what_is_no_delegation_is_refused() {
    let usual = typed();
    for wrong in [
        Typed { name: "", ..usual },
        Typed {
            name: "firma.test",
            ..usual
        },
        Typed {
            name: "news.other.test",
            ..usual
        },
        Typed {
            name: "newsfirma.test",
            ..usual
        },
        Typed {
            name: ".firma.test",
            ..usual
        },
        Typed {
            name: "_dmarc",
            ..usual
        },
        Typed {
            selector: "a.b",
            ..usual
        },
        Typed {
            key_record: "v=DKIM1; p=AAAA",
            ..usual
        },
        Typed {
            key_alias: "",
            key_record: "v=DKIM1",
            ..usual
        },
        Typed {
            key_alias: "",
            key_record: "p=\"A\"",
            ..usual
        },
        Typed {
            from: "not a domain!",
            ..usual
        },
        Typed {
            from: "a.test b.test c.test d.test e.test f.test g.test h.test i.test",
            ..usual
        },
        Typed {
            bounce_alias: "b.tool.test",
            ..usual
        },
    ] {
        assert!(Delegation::new(&firma(), &wrong).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn what_is_published_is_told_from_what_is_not() {
    let dns = StaticResolver::new();
    dns.add_txt(
        "news.firma.test",
        "v=spf1 include:spf.tool.test ip4:192.0.2.7 ip6:2001:db8::1 -all",
    );
    dns.add_txt("news.firma.test", "some-tool-verification=4711");
    dns.add_txt("_dmarc.news.firma.test", "v=DMARC1; p=none");
    dns.add_mx("bounce.news.firma.test", 5, "mx.tool.test");
    dns.fail("news.firma.test._report._dmarc.rp.test", "timed out");
    let delegation = Delegation::new(&firma(), &typed()).unwrap();
    let around = Around {
        wish: None,
        reports_address: "dmarc@rp.test",
    };
    let seen = look(&dns, &records(&delegation, &around)).await;
    let words: Vec<&str> = seen.iter().map(Seen::word).collect();
    assert_eq!(
        words,
        [
            "published",
            "missing",
            "other",
            "unknown",
            "published",
            "missing"
        ],
        "{seen:?}"
    );
}

#[tokio::test]
async fn two_records_of_a_kind_are_none() {
    let dns = StaticResolver::new();
    dns.add_txt(
        "_dmarc.news.firma.test",
        "v=DMARC1; p=none;adkim=s; aspf=r; rua=mailto:dmarc@rp.test;",
    );
    let delegation = Delegation::new(&firma(), &typed()).unwrap();
    let around = Around {
        wish: None,
        reports_address: "dmarc@rp.test",
    };
    let wanted: Vec<Wanted> = records(&delegation, &around)
        .into_iter()
        .filter(|record| record.purpose == Purpose::Policy)
        .collect();
    assert_eq!(look(&dns, &wanted).await, [Seen::Published]);
    dns.add_txt("_dmarc.news.firma.test", "v=DMARC1; p=none");
    assert_eq!(look(&dns, &wanted).await[0].word(), "other");
}

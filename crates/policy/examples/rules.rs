//! How long a ruling takes against 200 rules, and against 1,000: at RCPT, and for a message with its header.
//! `cargo run --release -p policy --example rules`; for people who change rules. The promise is 20 us for 200.

use platform::clock::Clock;
use policy::Zone;
use policy::rules::{
    Compiled, Facts, HeaderFacts, Known, Point, Recipient, RuleSet, Tls, Way, evaluate,
};
use std::hint::black_box;
use std::sync::Arc;

const ASKED: u32 = 200_000;
const HEADER: &[u8] =
    b"Received: from x\r\nFrom: a@far.test\r\nTo: b@here.test\r\nSubject: =?utf-8?q?J=C3=A4?=\r\n\
    X-Mailer: Some Program 1.0\r\nList-Id: <news.far.test>\r\n\r\n";

fn main() -> Result<(), String> {
    for count in [200, 1000] {
        measured("every rule about another domain", count, |n| {
            format!(
                r#"{{"all":[{{"fact":"tls","value":false}},{{"fact":"recipient-domain","value":"d{n}.test"}}]}}"#
            )
        })?;
        measured("every rule has to be looked at", count, |n| {
            format!(
                r#"{{"any":[{{"fact":"client","op":"in-network","value":"10.{}.{}.0/24"}},
                {{"all":[{{"fact":"hello","op":"ends-with","value":".host{n}.test"}},{{"fact":"tls-version","op":"below","value":"1.3"}}]}}]}}"#,
                n / 250,
                n % 250
            )
        })?;
        measured("every rule looks into the header", count, |n| {
            format!(r#"{{"fact":"header:subject","op":"contains","value":"word{n}"}}"#)
        })?;
    }
    Ok(())
}

fn measured(what: &str, count: usize, when: impl Fn(usize) -> String) -> Result<(), String> {
    let rules = (0..count).map(|n| {
        let when = when(n);
        format!(r#"{{"name":"r{n}","at":["data"],"when":{when},"then":[{{"do":"reject","text":"no"}}]}}"#)
    });
    let rules: Vec<_> = rules.collect();
    let set = RuleSet::from_json(&format!(r#"{{"rules":[{}]}}"#, rules.join(",")))?;
    let rules = Compiled::new(Arc::new(set), &Zone::default(), 1);
    let now = Clock::system().now();
    let recipients = [Recipient {
        address: Known::Is("anna@firma.test"),
        domain: "firma.test",
        group: Known::Is("business"),
    }];
    let begin = tokio::time::Instant::now();
    for _ in 0..ASKED {
        let headers = HeaderFacts::read(HEADER, rules.header_names());
        let facts = Facts {
            client: Known::Is([192, 0, 2, 7].into()),
            port: Known::Is(25),
            service: Known::Is("mx"),
            tls: Known::Is(Tls {
                version: platform::tls::TlsVersion::V1_3,
                cipher: "TLS_AES_256_GCM_SHA384",
            }),
            hello: Known::Is("mx.far.test"),
            account: Known::Absent,
            way: Known::Is(Way::Inbound),
            sender: Known::Is("a@far.test"),
            sender_domain: Known::Is("far.test"),
            recipients: Known::Is(&recipients),
            headers: Known::Is(&headers),
            ..Facts::default()
        };
        black_box(evaluate(&rules, Point::Data, black_box(&facts), now));
    }
    let each = begin.elapsed() / ASKED;
    println!("{count} rules, {what}: {each:?}");
    Ok(())
}

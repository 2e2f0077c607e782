//! Runs `commands/*.transcript` against a real server.
//!
//! ```text
//! == mx: title              a scenario with a fresh server; the client connects to that listener
//! == mx recipients_max=2: title                        … with this limit
//! C: text                   the client sends a line; several in a row leave in one write
//! C*100: text               … a hundred times
//! C_: text                  … without CRLF (also C_*100:). Escapes: \r \n \t \0 \\ \xFF
//! TLS                       the client does its part of the handshake
//! S: 250 2.1.0 *            the server answers; * stands for anything
//! S: 250-*                  … any number of lines that go on, at least one
//! S: (closed)               the server closed the connection
//! M: anna 1                 anna has one message now
//! M: anna Subject: *        … whose text has such a line; "M: anna !X*" where it must not
//! P: firma.test hold-back 5 a setting of policy is made
//! G: x@elsewhere.example    anna may send as this address
//! F: chef@firma.test 2      this sender was found so often
//! I: installation cleartext submission off   the same for a setting with an item
//! T: 2025-03-04T23:59       it is then, in Berlin
//! V: logged-in clear 2 *    anna connected so often in this way, with a program whose key fits
//! Q: priority 3             the column of all rows of the queue holds this
//! ```

use super::{Client, TestServer};
use crate::data::BareEndings;
use crate::server::{Extension, Listener, LoginOffer, Settings};
use directory::sasl::Mechanism;
use std::time::Duration;

macro_rules! transcripts {
    ($($name:ident),* $(,)?) => { $(
        #[tokio::test]
        async fn $name() {
            let file = concat!(stringify!($name), ".transcript");
            let text = include_str!(concat!("../commands/", stringify!($name), ".transcript"));
            run_file(file, text).await;
        }
    )* };
}

transcripts!(
    auth, bdat, cleartext, data, forwarding, hello, listeners, mail, pipelining, quota, rcpt, rset,
    senders, session, starttls, tls_duty, travel, vrfy, xclient
);

async fn run_file(file: &str, text: &str) {
    let mut lines = text.lines().enumerate().peekable();
    let mut scenarios = 0;
    while let Some((number, line)) = lines.next() {
        let Some(head) = line.strip_prefix("== ") else {
            assert!(
                line.is_empty() || line.starts_with('#'),
                "{file}:{}: {line}",
                number + 1
            );
            continue;
        };
        let mut steps = Vec::new();
        while let Some((number, step)) = lines.next_if(|(_, line)| !line.starts_with("== ")) {
            if !step.is_empty() && !step.starts_with('#') {
                steps.push((format!("{file}:{}", number + 1), step));
            }
        }
        run_scenario(head, &steps).await;
        scenarios += 1;
    }
    assert!(scenarios > 0, "{file} has no scenario");
}

async fn run_scenario(head: &str, steps: &[(String, &str)]) {
    let (place, _title) = head.split_once(": ").expect("== listener: title");
    let mut words = place.split(' ');
    let listener = words.next().unwrap_or_default();
    let (settings, own) = settings(words);
    let server = TestServer::start_with(settings, own).await;
    let mut client = match listener {
        "mx" => Client::connect(server.mx).await,
        "securemx" => Client::connect(server.securemx).await,
        "groupmx" => Client::connect(server.groupmx).await,
        "submission" => Client::connect(server.submission).await,
        "submissions" => {
            let mut client = Client::connect(server.submissions).await;
            client.start_tls().await;
            client
        }
        other => panic!("no listener {other}"),
    };
    let mut steps = steps.iter().peekable();
    while let Some((at, step)) = steps.next() {
        // Shown where the step fails.
        println!("{at}: {step}");
        let (kind, rest) = step
            .split_once(": ")
            .unwrap_or((step.trim_end_matches(':'), ""));
        match kind {
            "TLS" => client.start_tls().await,
            "S" => expect(&mut client, at, rest).await,
            "M" => expect_mail(&server, at, rest).await,
            "P" => {
                let mut words = rest.splitn(3, ' ');
                let mut word = || words.next().unwrap_or_default();
                server.policy(word(), word(), word()).await;
            }
            "I" => {
                let mut words = rest.splitn(4, ' ');
                let mut word = || words.next().unwrap_or_default();
                server.set(word(), word(), word(), word()).await;
            }
            "T" => {
                let local: policy::LocalTime = rest.parse().unwrap();
                let at = policy::Zone::default().beginning(local);
                assert!(server.context.clock.set(at));
            }
            "V" => expect_visits(&server, at, rest).await,
            "G" => server.grant(rest).await,
            "F" => {
                let (detail, seen) = rest.rsplit_once(' ').expect("F: sender count");
                let wanted = (detail.to_owned(), seen.parse().unwrap());
                let found = server.findings().await;
                assert!(found.contains(&wanted), "{at}: {found:?}");
            }
            "Q" => expect_queue(&server, at, rest).await,
            _ => {
                let mut bytes = outgoing(kind, rest, at);
                while let Some((at, step)) = steps.next_if(|(_, step)| step.starts_with('C')) {
                    let (kind, rest) = step
                        .split_once(": ")
                        .unwrap_or((step.trim_end_matches(':'), ""));
                    bytes.extend(outgoing(kind, rest, at));
                }
                client.send(&bytes).await;
            }
        }
    }
}

fn settings<'a>(words: impl Iterator<Item = &'a str>) -> (Settings, Listener) {
    let mut settings = Settings::new("mx.rp.test");
    let mut own = Listener::default();
    let limits = &mut settings.limits;
    for word in words {
        let (name, value) = word.split_once('=').expect("name=value");
        let number: u32 = value.parse().unwrap_or(0);
        match name {
            "recipients_max" => limits.recipients_max = number as usize,
            "refused_recipients_max" => limits.refused_recipients_max = number as usize,
            "errors_max" => limits.errors_max = number,
            "messages_max" => limits.messages_max = number,
            "idle_commands_max" => limits.idle_commands_max = number,
            "login_failures_max" => limits.login_failures_max = number,
            "message_bytes_max" => limits.message_bytes_max = u64::from(number),
            "command_idle_ms" => limits.command_idle = Duration::from_millis(u64::from(number)),
            "data_idle_ms" => limits.data_idle = Duration::from_millis(u64::from(number)),
            "login" => own.login = LoginOffer::AfterTls,
            "mechanisms" => {
                let names = value.split(',').map(|name| Mechanism::parse(name).unwrap());
                own.mechanisms = Some(names.collect());
            }
            "extensions_off" => {
                let words = value.split(',').map(|word| Extension::parse(word).unwrap());
                own.extensions_off = words.collect();
            }
            "bare_endings" => settings.submission_bare_endings = BareEndings::Refuse,
            "xclient" => settings.xclient_networks = vec![value.parse().unwrap()],
            other => panic!("no setting {other}"),
        }
    }
    (settings, own)
}

fn outgoing(kind: &str, text: &str, at: &str) -> Vec<u8> {
    let rest = kind
        .strip_prefix('C')
        .unwrap_or_else(|| panic!("{at}: {kind} is no step"));
    let (rest, end) = rest
        .strip_prefix('_')
        .map_or((rest, "\r\n"), |rest| (rest, ""));
    let times = rest
        .strip_prefix('*')
        .map_or(1, |times| times.parse().unwrap());
    let mut line = unescape(text);
    line.extend_from_slice(end.as_bytes());
    line.repeat(times)
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'r') => bytes.push(b'\r'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'0') => bytes.push(0),
            Some(b'x') => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
            }
            Some(other) => bytes.push(other),
            None => bytes.push(b'\\'),
        }
    }
    bytes
}

async fn expect(client: &mut Client, at: &str, pattern: &str) {
    if pattern == "(closed)" {
        assert_eq!(
            client.line().await,
            None,
            "{at}: the server should have closed"
        );
        return;
    }
    let line = client.line().await;
    let Some(line) = line else {
        panic!("{at}: the server closed, expected {pattern}")
    };
    assert!(
        matches(pattern, &line),
        "{at}:\n expected {pattern}\n      got {line}"
    );
    if pattern.get(3..) == Some("-*") {
        skip_continued(client, pattern).await;
    }
}

/// Takes the other lines of the same reply that go on.
async fn skip_continued(client: &mut Client, pattern: &str) {
    loop {
        let next = client.stream.read_line(1024, super::soon()).await.unwrap();
        let text = String::from_utf8_lossy(&client.stream.buffer()[..next.content_bytes]);
        if !matches(pattern, &text) {
            return;
        }
        client.stream.consume(next.total_bytes);
    }
}

async fn expect_mail(server: &TestServer, at: &str, rest: &str) {
    let (who, wanted) = rest.split_once(' ').expect("M: account what");
    let account = match who {
        "anna" => server.anna,
        "bernd" => server.bernd,
        other => panic!("{at}: nobody is called {other}"),
    };
    let inbox = server.inbox(account).await;
    if let Ok(count) = wanted.parse::<usize>() {
        assert_eq!(inbox.len(), count, "{at}: messages of {who}");
        return;
    }
    let last = inbox
        .last()
        .unwrap_or_else(|| panic!("{at}: {who} has no message"));
    let has = |pattern: &str| last.split("\r\n").any(|line| matches(pattern, line));
    match wanted.strip_prefix('!') {
        Some(unwanted) => assert!(!has(unwanted), "{at}: {unwanted} in\n{last}"),
        None => assert!(has(wanted), "{at}: no {wanted} in\n{last}"),
    }
}

async fn expect_visits(server: &TestServer, at: &str, rest: &str) {
    let words: Vec<&str> = rest.split(' ').collect();
    let [outcome, encryption, times, client] = words[..] else {
        panic!("{at}: V: outcome encryption times client")
    };
    let seen = server.visits(server.anna).await;
    let fits = |row: &&policy::connections::Connection| {
        row.manner.outcome.word() == outcome
            && row.manner.encryption.word() == encryption
            && matches(client, &row.manner.client)
    };
    let sum: u64 = seen.iter().filter(fits).map(|row| row.seen).sum();
    assert_eq!(sum.to_string(), times, "{at}: {seen:#?}");
}

async fn expect_queue(server: &TestServer, at: &str, rest: &str) {
    let (column, wanted) = rest.split_once(' ').unwrap_or((rest, ""));
    let sql = match column {
        "address" => "SELECT address FROM queue_recipients",
        "priority" => "SELECT CAST(priority AS TEXT) FROM queue_recipients",
        "tls_demand" => "SELECT CAST(tls_demand AS TEXT) FROM queue_messages",
        "release_at" => "SELECT CAST(release_at AS TEXT) FROM queue_messages",
        other => panic!("{at}: no column {other}"),
    };
    let found = server
        .store
        .read(move |tx| tx.all(sql, &[], |row| Ok(row.text(0)?.to_owned())))
        .await;
    let found: Vec<String> = found.map_err(|e: platform::store::StoreError| e).unwrap();
    assert!(
        !found.is_empty() && found.iter().all(|value| matches(wanted, value)),
        "{at}: {found:?}"
    );
}

/// Whether `text` is `pattern` with anything for each `*`.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| matches(tail, &rest[at..]))
        }),
    }
}

#[test]
fn patterns_match_as_the_files_expect() {
    assert!(matches("250 *", "250 2.1.0 ok") && matches("*b*", "abc") && matches("", ""));
    assert!(!matches("250 *", "250-x") && !matches("a*c", "ab"));
    assert_eq!(unescape(r"a\r\n\x00\\"), b"a\r\n\0\\");
}

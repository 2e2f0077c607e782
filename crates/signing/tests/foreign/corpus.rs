//! Awkward messages, written down and made up from a seed.

use platform::random::Random;

const HEADER: &str = "From: Anna <anna@firma.test>\r\nTo: bob@far.test\r\nSubject: Hallo\r\n\
                      Date: Sun, 22 Nov 2026 20:00:00 +0000\r\nMessage-ID: <1@firma.test>\r\n";

/// Name and message of the written ones.
pub(crate) fn written() -> Vec<(String, Vec<u8>)> {
    let bodies: &[(&str, &str)] = &[
        ("empty", ""),
        ("only-blank-lines", "\r\n\r\n\r\n"),
        ("only-white-space", " \t\r\n\t \r\n"),
        ("blank-lines-at-end", "text\r\n\r\n \t\r\n\r\n"),
        ("no-line-end", "one\r\ntwo"),
        ("white-space-runs", "a \t b\t\tc  \r\n  d e \r\n\te\r\n"),
        ("blank-lines-between", "a\r\n\r\n \r\n\r\nb\r\n"),
        ("dots", ".\r\n..\r\n.a\r\n"),
        ("8-bit", "Gr\u{fc}\u{df}e \u{20ac}\r\n"),
        ("forty-blank-lines", &"\r\n".repeat(40)),
    ];
    let mut all: Vec<(String, Vec<u8>)> = bodies
        .iter()
        .map(|(name, body)| {
            (
                format!("body-{name}"),
                format!("{HEADER}\r\n{body}").into_bytes(),
            )
        })
        .collect();
    let many_blank = format!("{HEADER}\r\na{}b\r\n", "\r\n".repeat(500));
    all.push(("body-500-blank-lines".to_owned(), many_blank.into_bytes()));
    let headers: &[(&str, String)] = &[
        ("folded", "Subject: a\r\n b\r\n\t  c \r\nFrom:a@firma.test\r\nTo:  x@far.test\t\r\n".into()),
        ("obsolete-colon", "From: a@firma.test\r\nSubject :  b \r\nTo:x@far.test\r\n".into()),
        ("repeated", "From: a@firma.test\r\nSubject: 1\r\nsubject: 2\r\nSUBJECT: 3\r\nTo: x@y.test\r\nTo: z@y.test\r\n".into()),
        ("empty-values", "From: a@firma.test\r\nSubject:\r\nTo: \r\nCc: \t \r\n".into()),
        ("8-bit", "From: J\u{f6}rg <joerg@firma.test>\r\nSubject: Gr\u{fc}\u{df}e\r\n".into()),
        ("huge", format!("From: a@firma.test\r\nReferences:{}\r\n", "\r\n <0123456789@firma.test>".repeat(5000))),
        ("list", "From: a@firma.test\r\nList-Unsubscribe: <https://firma.test/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Id: <l.firma.test>\r\nSender: b@firma.test\r\n".into()),
        ("many-received", "Received: from a by b; date\r\n\t(more)\r\n".repeat(40) + "From: a@firma.test\r\n"),
    ];
    for (name, header) in headers {
        all.push((
            format!("header-{name}"),
            format!("{header}\r\nHallo\r\n").into_bytes(),
        ));
    }
    all
}

/// Messages made up from `seed`: bodies and header values of the bytes canonicalisation cares about.
pub(crate) fn made_up(seed: u64, count: usize) -> Vec<(String, Vec<u8>)> {
    let random = Random::seeded(seed);
    let pick = |max: u64| random.next_u64() % max;
    let mut all = Vec::new();
    for n in 0..count {
        let mut message = HEADER.to_owned();
        for _ in 0..pick(6) {
            let names = [
                "Subject", "subject", "CC", "Reply-To", "X-Other", "Comments", "List-Id",
            ];
            message.push_str(names[pick(7) as usize]);
            message.push(':');
            for _ in 0..pick(8) {
                message.push_str(
                    [" ", "\t", "a", "\r\n x", "\r\n\ty", "z  ", "=", "; "][pick(8) as usize],
                );
            }
            // A field ends in text, so that its last line is not white space only.
            message.push_str("e\r\n");
        }
        message.push_str("\r\n");
        for _ in 0..pick(40) {
            message.push_str(
                [" ", "\t", "a", "\r\n", "\r\n\r\n", "word ", ".", "\u{e4}"][pick(8) as usize],
            );
        }
        message.push_str("\r\n");
        all.push((format!("made-up-{n:03}"), message.into_bytes()));
    }
    all
}

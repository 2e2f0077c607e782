//! Tests of the scan and of its stored form: the awkward messages as a table of part trees, and the
//! properties every message must have.

use proptest::prelude::*;

use super::*;

/// `depth kind type header-range body-range lines`, one part per line.
fn tree(facts: &Facts) -> String {
    fn walk(part: Part<'_>, depth: usize, out: &mut String) {
        let (header, body) = (part.header(), part.body());
        *out += &format!(
            "{}{}/{} {}..{} {}..{} {}\n",
            "  ".repeat(depth),
            String::from_utf8_lossy(part.media_type()),
            String::from_utf8_lossy(part.subtype()),
            header.start,
            header.end,
            body.start,
            body.end,
            part.body_lines(),
        );
        for child in part.children() {
            walk(child, depth + 1, out);
        }
    }
    let mut out = String::new();
    walk(facts.root(), 0, &mut out);
    out
}

/// The bodies of all leaves, which shows offsets better than numbers do.
fn leaves(message: &str) -> Vec<String> {
    let message = message.replace('\n', "\r\n");
    let facts = Facts::scan(message.as_bytes());
    check(message.as_bytes(), &facts);
    facts
        .parts()
        .filter(|part| part.kind() == PartKind::Leaf)
        .map(|part| {
            let body = part.body();
            message[body.start as usize..body.end as usize].replace("\r\n", "\n")
        })
        .collect()
}

/// What must hold for every message.
fn check(message: &[u8], facts: &Facts) {
    assert_eq!(facts.size(), message.len() as u64);
    for part in facts.parts() {
        let (header, body) = (part.header(), part.body());
        assert!(header.start <= header.end && header.end == body.start && body.start <= body.end);
        assert!(body.end <= facts.size());
        let lines = message[body.start as usize..body.end as usize]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count();
        assert_eq!(part.body_lines(), lines as u64, "{}", tree(facts));
        let mut floor = body.start;
        for child in part.children() {
            assert!(
                child.header().start >= floor && child.body().end <= body.end,
                "{}",
                tree(facts)
            );
            floor = child.body().end;
        }
        match part.kind() {
            PartKind::Leaf => assert_eq!(part.children().count(), 0),
            PartKind::Multipart => assert!(part.children().count() > 0),
            PartKind::Message => {
                assert_eq!(part.children().count(), 1);
                assert!(part.children().all(|child| child.envelope().is_some()));
            }
        }
    }
    let crlfs = message.windows(2).filter(|pair| pair == b"\r\n").count();
    let count = |wanted| message.iter().filter(|&&byte| byte == wanted).count();
    let marks = facts.marks();
    assert_eq!(marks.bare_cr, count(b'\r') > crlfs);
    assert_eq!(marks.bare_lf, count(b'\n') > crlfs);
    assert_eq!(marks.nul, message.contains(&0));
    assert_eq!(marks.eight_bit, !message.is_ascii());
    let stored = facts.to_bytes();
    let back = Facts::from_bytes(&stored).expect("what we wrote");
    assert_eq!(back.to_bytes(), stored);
    assert_eq!(tree(&back), tree(facts));
    assert_eq!(Envelope::from_facts_bytes(&stored), Ok(facts.envelope()));
}

#[test]
fn a_plain_message_is_one_part() {
    let message = b"Date: Wed, 17 Jul 1996 02:44:25 -0700\r\nFrom: Anna <anna@x.test>\r\nSubject:\r\n =?utf-8?q?J=C3=B6rg?=\r\n x \r\nReceived: a\r\nreceived: b\r\nTO : a@x\r\nTo: b@x\r\nMessage-ID: <1@x>\r\nSubject: second\r\n\r\nHello\r\nworld\r\n";
    let facts = Facts::scan(message);
    check(message, &facts);
    let envelope = facts.envelope();
    assert_eq!(envelope.subject, Some(&b"=?utf-8?q?J=C3=B6rg?= x"[..]));
    assert_eq!(envelope.to, Some(&b"a@x, b@x"[..]));
    assert_eq!(envelope.message_id, Some(&b"<1@x>"[..]));
    assert_eq!(envelope.cc, None);
    assert_eq!(facts.received_count(), 2);
    assert_eq!(facts.date().map(|date| date.unix_ms), Some(837_596_665_000));
    assert_eq!(facts.root().body_lines(), 2);
    assert_eq!(
        &message[facts.header_bytes() as usize..],
        b"Hello\r\nworld\r\n"
    );
    assert_eq!(facts.marks().line_bytes_max, 37 + "Date: ".len() as u64 - 6);
}

#[test]
fn parts_end_before_the_line_end_of_the_boundary() {
    let nested = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"outer\"\n\npreamble\n--outer\n\nfirst\n\n--outer\nContent-Type: multipart/alternative; boundary=outer2\n\n--outer2\nContent-Type: text/html; charset=utf-8\n\n<b>\n--outer2--\nepilogue of the inner\n--outer  \nContent-Type: message/rfc822\n\nSubject: inside\n\ninner body\n--outer--\nepilogue\n--outer\nstill epilogue\n";
    assert_eq!(leaves(nested), ["first\n", "<b>", "inner body"]);
    let message = nested.replace('\n', "\r\n");
    let facts = Facts::scan(message.as_bytes());
    assert_eq!(
        tree(&facts),
        "multipart/mixed 0..70 70..377 24\n  \
           text/plain 89..91 91..98 1\n  \
           multipart/alternative 109..165 165..255 5\n    \
             text/html 175..217 217..220 0\n  \
           message/rfc822 268..300 300..329 2\n    \
             text/plain 300..319 319..329 0\n"
    );
    let inside = facts
        .part(5)
        .and_then(|part| part.envelope())
        .expect("a message");
    assert_eq!(inside.subject, Some(&b"inside"[..]));
}

/// Messages and the bodies of their leaves.
const AWKWARD: &[(&str, &[&str])] = &[
    ("", &[""]),
    ("\n", &[""]),
    ("Subject: no body", &[""]),
    ("no colon\nSubject: x\n\nbody", &["body"]),
    // The close delimiter is missing.
    (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n",
        &["one", "two\n"],
    ),
    // The close delimiter is the last line and has no line end.
    (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--",
        &["one"],
    ),
    // An inner multipart without close delimiter ends at the outer boundary.
    (
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--o\n\ny\n--o--\n",
        &["x", "y"],
    ),
    // A boundary that is the beginning of another one: the longer fits better.
    (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\nx\n--bb--\n--b--\n",
        &["x"],
    ),
    // The other way round: the line fits the inner one too, but the outer one is meant.
    (
        "Content-Type: multipart/mixed; boundary=bb\n\n--bb\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--bb\n\ny\n--bb--\nz\n--b\n",
        &["x", "y"],
    ),
    // The same boundary inside and outside.
    (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n--b\n\ny\n--b--\n",
        &["x", "y"],
    ),
    // Empty parts.
    (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\n\n\n--b--\n",
        &["", "", ""],
    ),
    (
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n--i\n--o--\n",
        &["", ""],
    ),
    // A header that runs into the boundary.
    (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b--\n",
        &[""],
    ),
    (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n--b--\n",
        &[""],
    ),
    // No boundary, or one that never comes: all of it is text.
    (
        "Content-Type: multipart/mixed\n\n--b\n\nx\n",
        &["--b\n\nx\n"],
    ),
    (
        "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\nx\n",
        &["--\n\nx\n"],
    ),
    (
        "Content-Type: multipart/mixed; boundary=b\n\nx\n--c\ny\n",
        &["x\n--c\ny\n"],
    ),
    (
        "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nbody\n--b\nContent-Type: text/plain\n\nno\n--b--",
        &["body", "no"],
    ),
    (
        "Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nA: b\n\nx",
        &["x"],
    ),
    ("Content-Type: text/plain\n\n--b\n-- \nx", &["--b\n-- \nx"]),
];

#[test]
fn awkward_messages_have_the_leaves_they_should() {
    for (message, expected) in AWKWARD {
        assert_eq!(leaves(message), *expected, "{message}");
    }
}

#[test]
fn digest_parts_are_messages() {
    let facts = Facts::scan(b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\nbody\r\n--b--\r\n");
    let child = facts.part(1).expect("a part");
    assert_eq!(
        (child.kind(), child.subtype()),
        (PartKind::Message, &b"rfc822"[..])
    );
}

#[test]
fn values_of_mime_fields_are_kept() {
    let message = b"Content-Type: Application/PDF; Name*0=\"a b\"; name*1=c; x=\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: BASE64 (c)\r\nContent-Disposition: Attachment;\r\n\tfilename*=utf-8''%C3%A4.pdf\r\nContent-ID: <1@x>\r\nContent-Description: a\r\n b\r\nContent-MD5: Q2hlY2s=\r\nContent-Language: de, en\r\nContent-Location: http://x.test/\r\n\r\n";
    let facts = Facts::scan(message);
    check(message, &facts);
    let root = facts.root();
    assert_eq!(
        (root.media_type(), root.subtype()),
        (&b"application"[..], &b"pdf"[..])
    );
    assert_eq!(root.param("name"), Some(&b"a bc"[..]));
    assert_eq!(root.encoding(), Some(&b"base64"[..]));
    let disposition = root.disposition().expect("a disposition");
    assert_eq!(disposition.kind, b"attachment");
    let params: Vec<_> = disposition.params().collect();
    assert_eq!(params, [(&b"filename*"[..], &b"utf-8''%C3%A4.pdf"[..])]);
    assert_eq!(root.id(), Some(&b"<1@x>"[..]));
    assert_eq!(root.description(), Some(&b"a b"[..]));
    assert_eq!(root.md5(), Some(&b"Q2hlY2s="[..]));
    assert_eq!(root.language(), Some(&b"de, en"[..]));
    assert_eq!(root.location(), Some(&b"http://x.test/"[..]));
}

#[test]
fn marks_tell_what_smtp_must_know() {
    let marks = |message: &[u8]| *Facts::scan(message).marks();
    assert_eq!(
        marks(b"A: b\r\n\r\nx\r\n"),
        Marks {
            line_bytes_max: 4,
            ..Marks::default()
        }
    );
    assert!(marks(b"A: b\r\n\r\nx\ry\r\n").bare_cr);
    assert!(marks(b"A: b\r\n\r\nx\r").bare_cr);
    assert!(marks(b"A: b\r\n\r\nx\r\r\n").bare_cr);
    assert!(marks(b"A: b\r\n\nx\r\n").bare_lf);
    assert!(marks(b"\n").bare_lf);
    assert!(marks(b"A: b\r\n\r\n\0").nul);
    let body = marks("A: b\r\n\r\nä".as_bytes());
    assert!(body.eight_bit && !body.eight_bit_header);
    assert!(marks("A: ä\r\n\r\n".as_bytes()).eight_bit_header);
    let inner = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nA: ä\r\n";
    assert!(marks(inner.as_bytes()).eight_bit_header);
    let mut scanner = Scanner::new();
    scanner.push(b"A: b\r");
    assert!(!scanner.marks().bare_cr);
    scanner.push(b"\n\r\r");
    assert!(scanner.marks().bare_cr);
}

#[test]
fn bombs_stay_within_the_limits() {
    let many = "Content-Type: multipart/mixed; boundary=b\n\n".to_owned() + &"--b\n\n".repeat(5000);
    let facts = Facts::scan(many.as_bytes());
    check(many.as_bytes(), &facts);
    assert_eq!(facts.parts().count(), Limits::default().parts_max);
    assert!(facts.marks().incomplete);

    let deep = "Content-Type: message/rfc822\n\n".repeat(5000);
    let facts = Facts::scan(deep.as_bytes());
    check(deep.as_bytes(), &facts);
    assert_eq!(facts.parts().count(), Limits::default().depth_max);
    let last = facts.parts().last().expect("a part");
    assert_eq!(last.media_type(), b"application");

    let mut deep = String::new();
    for level in 0..5000 {
        deep += &format!("Content-Type: multipart/mixed; boundary=b{level:04}\n\n--b{level:04}\n");
    }
    let facts = Facts::scan(deep.as_bytes());
    check(deep.as_bytes(), &facts);
    assert_eq!(facts.parts().count(), Limits::default().depth_max);

    let wide = "Subject: x\nTo: a@x\n".repeat(100_000) + &"x".repeat(1 << 20) + "\n\nbody";
    let facts = Facts::scan(wide.as_bytes());
    check(wide.as_bytes(), &facts);
    assert!(facts.marks().incomplete);
    assert!(facts.text.len() <= Limits::default().kept_bytes_max);
}

#[test]
fn stored_facts_of_another_version_are_named() {
    assert!(matches!(
        Facts::from_bytes(&[2, 0]),
        Err(FactsError::Version(2))
    ));
    assert!(matches!(Facts::from_bytes(&[]), Err(FactsError::Damaged)));
    assert_eq!(Facts::default(), Facts::scan(b""));
}

#[test]
fn every_cut_of_stored_facts_is_noticed() {
    let stored = Facts::scan(b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-ID: x\r\n\r\n--b--").to_bytes();
    for bytes in 0..stored.len() {
        assert!(
            Facts::from_bytes(&stored[..bytes]).is_err(),
            "{bytes} bytes"
        );
    }
}

/// Messages that are much more likely to be awkward than random bytes.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"--a".to_vec()),
        Just(b"\r\n--a\r\n".to_vec()),
        Just(b"\r\n--a--\r\n".to_vec()),
        Just(b"\r\n--ab\r\n".to_vec()),
        Just(b"\r\n--ab--".to_vec()),
        Just(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n".to_vec()),
        Just(b"Content-Type: multipart/digest;\r\n boundary=\"ab\"\r\n\r\n".to_vec()),
        Just(b"Content-Type: message/rfc822\r\n\r\n".to_vec()),
        Just(b"Content-Type: text/html; charset*0=\"utf\"; charset*1=-8\r\n".to_vec()),
        Just(b"Content-Disposition: attachment; filename=x\r\n".to_vec()),
        Just(b"Subject: x\r\n y\r\n".to_vec()),
        Just(b"To: a@x".to_vec()),
        Just(b" folded".to_vec()),
        Just("ä\0".as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn facts_hold_for_every_message(message in message()) {
        check(&message, &Facts::scan(&message));
    }

    #[test]
    fn the_split_into_chunks_does_not_matter(
        message in message(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
        small in any::<bool>(),
    ) {
        let limits = match small {
            true => Limits { parts_max: 4, depth_max: 3, header_bytes_max: 90, value_bytes_max: 10, kept_bytes_max: 60, params_max: 1 },
            false => Limits::default(),
        };
        let mut whole = Scanner::with_limits(limits);
        whole.push(&message);
        let mut split = Scanner::with_limits(limits);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
        cuts.sort_unstable();
        let mut from = 0;
        for cut in cuts {
            split.push(&message[from..cut]);
            from = cut;
        }
        split.push(&message[from..]);
        let (whole, split) = (whole.finish(), split.finish());
        prop_assert_eq!(tree(&whole), tree(&split));
        prop_assert_eq!(whole.marks(), split.marks());
        prop_assert_eq!(whole.to_bytes(), split.to_bytes());
        check(&message, &whole);
    }

    #[test]
    fn damaged_stored_facts_never_panic(message in message(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut stored = Facts::scan(&message).to_bytes();
        let at = at.index(stored.len());
        stored[at] = byte;
        if let Ok(facts) = Facts::from_bytes(&stored) {
            let _ = tree(&facts);
            let _ = facts.to_bytes();
        }
        let _ = Envelope::from_facts_bytes(&stored);
    }
}

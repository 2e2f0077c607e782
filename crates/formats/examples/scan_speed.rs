//! Measures the message scan on synthetic mail: `cargo run --release -p formats --example scan_speed`.
//! Prints time per message and bytes per second; checks nothing.

use std::hint::black_box;
use std::time::Duration;

use formats::imap_text::{self, Structure, Utf8};
use formats::message::{Envelope, Facts};

fn header(content_type: &str) -> String {
    let mut header = String::from("Return-Path: <anna@firma.test>\r\n");
    for hop in 0..3 {
        header += &format!(
            "Received: from host{hop}.example.test (host{hop}.example.test [192.0.2.{hop}])\r\n\tby mx.firma.test with ESMTPS id 4bX{hop}yZ\r\n\tfor <bernd@firma.test>; Wed, 17 Jul 1996 02:44:25 -0700\r\n"
        );
    }
    header += &format!(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=firma.test; s=s1;\r\n\th=from:to:subject:date; bh={0}=;\r\n\tb={0}{0}{0}\r\nFrom: Anna Beispiel <anna@firma.test>\r\nTo: Bernd <bernd@firma.test>, Carla <carla@firma.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= aus dem Labor\r\nDate: Wed, 17 Jul 1996 02:44:25 -0700\r\nMessage-ID: <0123456789abcdef@firma.test>\r\nMIME-Version: 1.0\r\nX-Mailer: example\r\nContent-Type: {content_type}\r\n\r\n",
        "A".repeat(43)
    );
    header
}

fn text(bytes: usize, line_bytes: usize) -> String {
    let line = "x".repeat(line_bytes) + "\r\n";
    line.repeat(bytes / line.len() + 1)
}

#[allow(
    clippy::disallowed_methods,
    reason = "a measurement needs the machine's clock"
)]
fn measure(name: &str, bytes: usize, mut work: impl FnMut()) {
    let started = std::time::Instant::now();
    let mut rounds = 0u32;
    while started.elapsed() < Duration::from_millis(500) {
        for _ in 0..16 {
            work();
        }
        rounds += 16;
    }
    let each = started.elapsed().as_secs_f64() / f64::from(rounds);
    println!(
        "{name:32} {:10.2} us {:8.2} GB/s",
        each * 1e6,
        bytes as f64 / each / 1e9
    );
}

fn main() {
    let plain = |bytes: usize, line: usize| {
        let header = header("text/plain; charset=utf-8");
        let body = bytes.saturating_sub(header.len());
        header + &text(body, line)
    };
    let mixed = |bytes: usize| {
        let mut message = header("multipart/mixed; boundary=\"=_boundary\"");
        message += "--=_boundary\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n--=_boundary\r\nContent-Type: application/pdf; name=\"x.pdf\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"x.pdf\"\r\n\r\n";
        let rest = bytes.saturating_sub(message.len());
        message + &text(rest, 76) + "--=_boundary--\r\n"
    };
    for (name, message) in [
        ("plain 4 KB", plain(4096, 72)),
        ("mixed 4 KB", mixed(4096)),
        ("mixed 20 KB", mixed(20 << 10)),
        ("mixed 1 MB", mixed(1 << 20)),
        ("plain 16 MB", plain(16 << 20, 76)),
        ("plain 16 MB, lines of 20", plain(16 << 20, 20)),
        ("plain 16 MB, empty lines", plain(16 << 20, 0)),
    ] {
        let bytes = message.as_bytes();
        measure(&format!("scan {name}"), bytes.len(), || {
            black_box(Facts::scan(black_box(bytes)));
        });
    }
    let message = mixed(4096);
    let facts = Facts::scan(message.as_bytes());
    let stored = facts.to_bytes();
    println!("stored facts of mixed 4 KB: {} bytes", stored.len());
    measure("to_bytes", stored.len(), || {
        black_box(black_box(&facts).to_bytes());
    });
    measure("from_bytes", stored.len(), || {
        black_box(Facts::from_bytes(black_box(&stored))).expect("our own bytes");
    });
    let mut out = Vec::new();
    measure("ENVELOPE from stored bytes", stored.len(), || {
        out.clear();
        let envelope = Envelope::from_facts_bytes(black_box(&stored)).expect("our own bytes");
        imap_text::write_envelope(&mut out, &envelope, Utf8::Literals);
    });
    measure("BODYSTRUCTURE from stored bytes", stored.len(), || {
        out.clear();
        let facts = Facts::from_bytes(black_box(&stored)).expect("our own bytes");
        imap_text::write_structure(&mut out, &facts, Structure::BodyStructure, Utf8::Literals);
    });
}

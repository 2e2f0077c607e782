//! What a server offers in its EHLO answer, what a message needs, and the MAIL and RCPT commands that follow from
//! both (RFC 5321 §4.1.1, RFC 1870, RFC 3461, RFC 6152, RFC 6531, RFC 8689). Pure.

use super::reply::Reply;
use formats::address::Address;
use queue::relay::Attempt;
use queue::{Notify, RequireTls, Return};
use routing::idn::on_the_wire;

/// What the server offers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offers {
    pub(super) starttls: bool,
    pub(super) eight_bit: bool,
    pub(super) utf8: bool,
    pub(super) dsn: bool,
    pub(super) pipelining: bool,
    pub(super) require_tls: bool,
    /// 0: no limit told.
    pub(super) size_max: u64,
    pub(super) size: bool,
}

/// What the message needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    /// There are 8-bit bytes in the body.
    pub(super) eight_bit_body: bool,
    /// There are 8-bit bytes in the header.
    pub(super) eight_bit_header: bool,
    /// An address of the envelope is international beyond its domain.
    pub(super) utf8_envelope: bool,
    /// REQUIRETLS.
    pub(super) require_tls: bool,
    /// Of the message as it is sent.
    pub(super) bytes: u64,
}

/// Why a server cannot take the message, with an enhanced code; waiting does not help.
pub(super) fn problem(offers: Offers, needs: Needs) -> Option<&'static str> {
    if needs.require_tls && !offers.require_tls {
        // RFC 8689 §4.2.1.
        Some(
            "5.7.30 the message may only travel by servers that promise TLS onwards (REQUIRETLS), and the recipient's \
             server does not; send it without that demand",
        )
    } else if needs.utf8_envelope && !offers.utf8 {
        Some(
            "5.6.7 the recipient's server takes no international addresses (SMTPUTF8); use plain ASCII addresses",
        )
    } else if needs.eight_bit_body && !offers.eight_bit {
        Some(
            "5.6.3 the recipient's server takes no 8-bit text; send the message as quoted-printable",
        )
    } else if offers.size_max > 0 && needs.bytes > offers.size_max {
        Some("5.3.4 the message is larger than the recipient's server takes; send a link instead")
    } else {
        None
    }
}

/// Reads the answer to EHLO.
pub(super) fn read(reply: &Reply) -> Offers {
    let mut offers = Offers::default();
    // The first line is the greeting.
    for line in reply.lines.iter().skip(1) {
        let mut words = line.split_ascii_whitespace();
        let Some(keyword) = words.next() else {
            continue;
        };
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if is("STARTTLS") {
            offers.starttls = true;
        } else if is("8BITMIME") {
            offers.eight_bit = true;
        } else if is("SMTPUTF8") {
            offers.utf8 = true;
        } else if is("DSN") {
            offers.dsn = true;
        } else if is("PIPELINING") {
            offers.pipelining = true;
        } else if is("REQUIRETLS") {
            offers.require_tls = true;
        } else if is("SIZE") {
            offers.size = true;
            offers.size_max = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        }
    }
    offers
}

/// Adds `MAIL FROM:<…> …` and its line end.
pub(super) fn mail(attempt: &Attempt, offers: Offers, needs: Needs, out: &mut Vec<u8>) {
    let sender = attempt.mail_from.to_text();
    let mut command = format!("MAIL FROM:<{}>", on_the_wire(&sender));
    if offers.size {
        command.push_str(&format!(" SIZE={}", needs.bytes));
    }
    if offers.eight_bit && (needs.eight_bit_body || needs.eight_bit_header) {
        command.push_str(" BODY=8BITMIME");
    }
    // A header in UTF-8 alone goes to servers without SMTPUTF8 as it is, as it always has.
    if offers.utf8 && (needs.utf8_envelope || needs.eight_bit_header) {
        command.push_str(" SMTPUTF8");
    }
    if attempt.require_tls == RequireTls::Yes {
        command.push_str(" REQUIRETLS");
    }
    if offers.dsn {
        match attempt.dsn.ret {
            Return::Full => command.push_str(" RET=FULL"),
            Return::Headers => command.push_str(" RET=HDRS"),
            Return::Unspecified => {}
        }
        if let Some(id) = &attempt.dsn.envelope_id {
            command.push_str(&format!(" ENVID={id}"));
        }
    }
    command.push_str("\r\n");
    out.extend_from_slice(command.as_bytes());
}

/// Adds `RCPT TO:<…> …` and its line end.
pub(super) fn rcpt(
    address: &Address,
    notify: Notify,
    original: Option<&str>,
    offers: Offers,
    out: &mut Vec<u8>,
) {
    let mut command = format!("RCPT TO:<{}>", on_the_wire(&address.to_string()));
    if offers.dsn {
        if notify == Notify::NEVER {
            command.push_str(" NOTIFY=NEVER");
        } else if notify != Notify::DEFAULT {
            let words = [
                (notify.success, "SUCCESS"),
                (notify.failure, "FAILURE"),
                (notify.delay, "DELAY"),
            ];
            let words: Vec<_> = words
                .iter()
                .filter(|(on, _)| *on)
                .map(|(_, word)| *word)
                .collect();
            command.push_str(&format!(" NOTIFY={}", words.join(",")));
        }
        if let Some(original) = original {
            command.push_str(&format!(" ORCPT={original}"));
        }
    }
    command.push_str("\r\n");
    out.extend_from_slice(command.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_from_ehlo() {
        let lines = [
            "mx.example hello",
            "SIZE 1000",
            "8bitmime",
            "STARTTLS",
            "X-ODD thing",
        ];
        let reply = Reply {
            code: 250,
            lines: lines.map(str::to_owned).to_vec(),
        };
        let found = read(&reply);
        assert!(found.starttls && found.eight_bit && !found.dsn && found.size);
        assert_eq!(found.size_max, 1000);
    }

    #[test]
    fn what_the_server_cannot_take_fails_for_good() {
        let fits = Needs {
            eight_bit_body: false,
            eight_bit_header: false,
            utf8_envelope: false,
            require_tls: false,
            bytes: 10,
        };
        let small = Offers {
            size: true,
            size_max: 9,
            ..Offers::default()
        };
        for (offers, needs, code) in [
            (Offers::default(), fits, None),
            (
                Offers::default(),
                Needs {
                    eight_bit_body: true,
                    ..fits
                },
                Some("5.6.3"),
            ),
            (
                Offers::default(),
                Needs {
                    utf8_envelope: true,
                    ..fits
                },
                Some("5.6.7"),
            ),
            (
                Offers::default(),
                Needs {
                    eight_bit_header: true,
                    ..fits
                },
                None,
            ),
            (
                Offers::default(),
                Needs {
                    require_tls: true,
                    ..fits
                },
                Some("5.7.30"),
            ),
            (small, fits, Some("5.3.4")),
        ] {
            let found = problem(offers, needs).map(|text| text.split(' ').next().unwrap());
            assert_eq!(found, code, "{needs:?}");
        }
    }
}

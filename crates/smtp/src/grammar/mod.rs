//! The grammar of SMTP commands: bytes -> `Command`. Pure; knows no socket, no state and no policy.
//! The same functions serve the server, the fuzz target and tests. Strict where the RFC is, except
//! for blanks that real clients send; each error says what was expected.

mod parameters;
mod path;
mod text;

pub use parameters::{Body, HoldRequest, MailParameters, RcptParameters};
pub use path::Path;
pub use text::split_word;

use queue::xtext;
use text::as_text;

/// The name of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the commands'")]
pub enum Verb {
    Ehlo,
    Helo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    Quit,
    StartTls,
    Auth,
    Xclient,
}

/// A command with its argument understood. Borrows from the line.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `EHLO name`
    Ehlo(&'a str),
    /// `HELO name`
    Helo(&'a str),
    /// `MAIL FROM:<path> parameters`
    Mail(Path<'a>, MailParameters<'a>),
    /// `RCPT TO:<path> parameters`
    Rcpt(Path<'a>, RcptParameters<'a>),
    /// `DATA`
    Data,
    /// `BDAT size [LAST]` (RFC 3030 §2)
    Bdat(Chunk),
    /// `RSET`
    Rset,
    /// `NOOP [anything]`
    Noop,
    /// `VRFY text`
    Vrfy,
    /// `EXPN text`
    Expn,
    /// `HELP [text]`
    Help,
    /// `QUIT`
    Quit,
    /// `STARTTLS`
    StartTls,
    /// `AUTH mechanism [initial-response]`
    Auth(Auth<'a>),
    /// `XCLIENT name=value …`
    Xclient(Vec<(&'a str, String)>),
}

/// The argument of BDAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Octets that follow the line.
    pub bytes: u64,
    /// Whether the message ends with them.
    pub end: ChunkEnd,
}

/// Whether a chunk is the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkEnd {
    /// Others follow.
    More,
    /// `LAST`.
    Last,
}

/// The argument of AUTH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auth<'a> {
    /// As written; mechanism names are compared without regard to case.
    pub mechanism: &'a str,
    /// Base64 text, `=` for an empty one (RFC 4954 §4); `None` where the client sent none.
    pub initial: Option<&'a str>,
}

/// Why a line is no command. The text says what was expected and is for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// No such command (500).
    #[error("Command not recognised. Send HELP for the list of commands.")]
    UnknownCommand,
    /// The first line of an HTTP request (421).
    #[error("This is a mail server; HTTP is not spoken here.")]
    Http,
    /// The argument breaks the grammar (501 5.5.4).
    #[error("{0}")]
    Argument(&'static str),
    /// The path of MAIL breaks the grammar (501 5.1.7).
    #[error("{0}")]
    Sender(&'static str),
    /// The path of RCPT breaks the grammar (501 5.1.3).
    #[error("{0}")]
    Recipient(&'static str),
    /// A parameter this server does not offer (555 5.5.4).
    #[error("{0}")]
    UnknownParameter(&'static str),
}

/// Splits a line (without its CRLF) into verb and argument. Verbs are compared without regard to
/// case (RFC 5321 §2.4); blanks at the end are ignored (§4.1.1).
///
/// # Errors
/// `Bad::UnknownCommand` where the first word is no command, `Bad::Http` where the line is HTTP.
pub fn verb(line: &[u8]) -> Result<(Verb, &[u8]), Bad> {
    let line = line.trim_ascii_end();
    let end = memchr::memchr2(b' ', b'\t', line).unwrap_or(line.len());
    let (name, argument) = line.split_at(end);
    let mut upper = [0_u8; 8];
    let upper = upper.get_mut(..name.len()).ok_or(Bad::UnknownCommand)?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    let verb = match &*upper {
        b"EHLO" => Verb::Ehlo,
        b"HELO" => Verb::Helo,
        b"MAIL" => Verb::Mail,
        b"RCPT" => Verb::Rcpt,
        b"DATA" => Verb::Data,
        b"BDAT" => Verb::Bdat,
        b"RSET" => Verb::Rset,
        b"NOOP" => Verb::Noop,
        b"VRFY" => Verb::Vrfy,
        b"EXPN" => Verb::Expn,
        b"HELP" => Verb::Help,
        b"QUIT" => Verb::Quit,
        b"STARTTLS" => Verb::StartTls,
        b"AUTH" => Verb::Auth,
        b"XCLIENT" => Verb::Xclient,
        _ if is_http(argument) => return Err(Bad::Http),
        _ => return Err(Bad::UnknownCommand),
    };
    Ok((verb, argument.trim_ascii_start()))
}

/// Whether what follows the first word is that of an HTTP request line. A page can make a browser
/// send one here with commands behind it, so the session must not go on to them.
fn is_http(argument: &[u8]) -> bool {
    let version = argument.rsplit(|byte| *byte == b' ').next();
    version.is_some_and(|word| word.starts_with(b"HTTP/"))
}

/// Understands the argument of `verb`.
///
/// # Errors
/// See `Bad`.
pub fn argument(verb: Verb, argument: &[u8]) -> Result<Command<'_>, Bad> {
    match verb {
        Verb::Ehlo => hello(argument).map(Command::Ehlo),
        Verb::Helo => hello(argument).map(Command::Helo),
        Verb::Mail => mail(argument),
        Verb::Rcpt => rcpt(argument),
        Verb::Data => none(argument, Command::Data, "DATA takes no argument."),
        Verb::Bdat => bdat(argument).map(Command::Bdat),
        Verb::Rset => none(argument, Command::Rset, "RSET takes no argument."),
        Verb::Noop => Ok(Command::Noop),
        Verb::Vrfy => some(argument, Command::Vrfy, "VRFY takes an address."),
        Verb::Expn => some(argument, Command::Expn, "EXPN takes the name of a list."),
        Verb::Help => Ok(Command::Help),
        Verb::Quit => none(argument, Command::Quit, "QUIT takes no argument."),
        Verb::StartTls => none(argument, Command::StartTls, "STARTTLS takes no argument."),
        Verb::Auth => auth(argument).map(Command::Auth),
        Verb::Xclient => xclient(argument).map(Command::Xclient),
    }
}

/// A whole line (without its CRLF): `verb` and `argument` in one.
///
/// # Errors
/// See `Bad`.
pub fn command(line: &[u8]) -> Result<Command<'_>, Bad> {
    let (name, rest) = verb(line)?;
    argument(name, rest)
}

fn none<'a>(argument: &[u8], command: Command<'a>, why: &'static str) -> Result<Command<'a>, Bad> {
    if argument.is_empty() {
        Ok(command)
    } else {
        Err(Bad::Argument(why))
    }
}

fn some<'a>(argument: &[u8], command: Command<'a>, why: &'static str) -> Result<Command<'a>, Bad> {
    if argument.is_empty() {
        Err(Bad::Argument(why))
    } else {
        Ok(command)
    }
}

/// ```abnf
/// ehlo = "EHLO" SP ( Domain / address-literal ) CRLF   ; RFC 5321 §4.1.1.1
/// ```
/// Wider than the RFC on purpose: underscores, single labels and half-written literals are common
/// and say nothing about the mail (§4.1.4 forbids refusing a name that is merely wrong). What would
/// make a Received line ambiguous is refused.
fn hello(argument: &[u8]) -> Result<&str, Bad> {
    const WHY: &str = "Give your host name or address literal, for example EHLO mail.example.org.";
    let name = as_text(argument).ok_or(Bad::Argument(WHY))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80 || b"-._:[]".contains(&b);
    // Some clients add words after their name; the first one is the name.
    let name = name.split([' ', '\t']).next().unwrap_or_default();
    if name.is_empty() || name.len() > crate::limits::HELLO_BYTES_MAX || !name.bytes().all(plain) {
        return Err(Bad::Argument(WHY));
    }
    Ok(name)
}

/// ```abnf
/// mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF   ; RFC 5321 §4.1.1.2
/// ```
/// One or more blanks after the colon are accepted, because some clients send them (§3.3 says they
/// must not); an address without angle brackets is not.
fn mail(argument: &[u8]) -> Result<Command<'_>, Bad> {
    const WHY: &str = "Write the sender as MAIL FROM:<name@example.org>, or MAIL FROM:<> for none.";
    let rest = keyword(argument, b"FROM:").ok_or(Bad::Sender(WHY))?;
    let (path, rest) = path::reverse(rest).ok_or(Bad::Sender(WHY))?;
    Ok(Command::Mail(path, MailParameters::parse(rest)?))
}

/// ```abnf
/// rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
///        [SP Rcpt-parameters] CRLF                             ; RFC 5321 §4.1.1.3
/// ```
fn rcpt(argument: &[u8]) -> Result<Command<'_>, Bad> {
    const WHY: &str = "Write the recipient as RCPT TO:<name@example.org>.";
    let rest = keyword(argument, b"TO:").ok_or(Bad::Recipient(WHY))?;
    let (path, rest) = path::forward(rest).ok_or(Bad::Recipient(WHY))?;
    Ok(Command::Rcpt(path, RcptParameters::parse(rest)?))
}

/// Takes `name` (compared without regard to case) and blanks off the front.
fn keyword<'a>(argument: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = argument.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name)
        .then(|| rest.trim_ascii_start())
}

/// ```abnf
/// bdat-cmd   = "BDAT" SP chunk-size [ SP end-marker ] CR LF    ; RFC 3030 §2
/// chunk-size = 1*DIGIT
/// end-marker = "LAST"
/// ```
fn bdat(argument: &[u8]) -> Result<Chunk, Bad> {
    const WHY: &str = "Write BDAT with a number of octets, then LAST with the last chunk.";
    let text = as_text(argument).ok_or(Bad::Argument(WHY))?;
    let mut words = text.split_ascii_whitespace();
    let bytes = words
        .next()
        .and_then(text::number)
        .ok_or(Bad::Argument(WHY))?;
    let end = match words.next() {
        None => ChunkEnd::More,
        Some(word) if word.eq_ignore_ascii_case("LAST") => ChunkEnd::Last,
        Some(_) => return Err(Bad::Argument(WHY)),
    };
    if words.next().is_some() {
        return Err(Bad::Argument(WHY));
    }
    Ok(Chunk { bytes, end })
}

/// ```abnf
/// auth-command     = "AUTH" SP sasl-mech [SP initial-response] *(CRLF [base64]) ; RFC 4954 §8
/// initial-response = base64 / "="
/// ```
fn auth(argument: &[u8]) -> Result<Auth<'_>, Bad> {
    const WHY: &str = "Write AUTH with one mechanism from the list in the answer to EHLO.";
    let text = as_text(argument)
        .filter(|t| t.is_ascii())
        .ok_or(Bad::Argument(WHY))?;
    let mut words = text.split_ascii_whitespace();
    let mechanism = words.next().ok_or(Bad::Argument(WHY))?;
    let initial = words.next();
    let fits = mechanism.len() <= 20
        && mechanism
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !fits || words.next().is_some() {
        return Err(Bad::Argument(WHY));
    }
    Ok(Auth { mechanism, initial })
}

/// `XCLIENT 1*( SP attribute "=" xtext )`, the form Postfix and its testing tools use.
fn xclient(argument: &[u8]) -> Result<Vec<(&str, String)>, Bad> {
    const WHY: &str =
        "Write XCLIENT with NAME=, ADDR=, PORT=, PROTO= or HELO= and values as xtext.";
    let text = as_text(argument).ok_or(Bad::Argument(WHY))?;
    let pairs: Option<Vec<_>> = text
        .split_ascii_whitespace()
        .map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name, xtext::decode(value)?))
        })
        .collect();
    pairs
        .filter(|pairs| !pairs.is_empty())
        .ok_or(Bad::Argument(WHY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn verbs_have_any_case_and_blanks_at_the_end_do_not_count() {
        assert_eq!(command(b"data  "), Ok(Command::Data));
        assert_eq!(command(b"eHlO mx.example"), Ok(Command::Ehlo("mx.example")));
        assert_eq!(
            command(b"RSET now"),
            Err(Bad::Argument("RSET takes no argument."))
        );
        for unknown in [
            &b""[..],
            b"MAI",
            b"MAILFROM:<a@b>",
            b"EHLO\0 x",
            b" NOOP",
            b"XXXXXXXXXXXX",
        ] {
            assert_eq!(command(unknown), Err(Bad::UnknownCommand), "{unknown:?}");
        }
    }

    #[test]
    fn a_hello_name_is_taken_leniently_but_cannot_break_a_received_line() {
        for good in [
            "a",
            "[192.0.2.1]",
            "[IPv6:::1]",
            "my_host.example.",
            "grüße.example",
        ] {
            assert_eq!(
                command(format!("EHLO {good}").as_bytes()),
                Ok(Command::Ehlo(good))
            );
        }
        for bad in ["", "a(b", "a;b", "a\rb", "<a>", "a\"b", &"x".repeat(256)] {
            assert!(
                command(format!("HELO {bad}").as_bytes()).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn bdat_takes_a_number_and_perhaps_last() {
        let chunk = |bytes, end| Ok(Command::Bdat(Chunk { bytes, end }));
        assert_eq!(command(b"BDAT 0 LAST"), chunk(0, ChunkEnd::Last));
        assert_eq!(command(b"bdat 1024"), chunk(1024, ChunkEnd::More));
        // More digits than fit: as large as can be, so that it is refused as too large.
        assert_eq!(
            command(b"BDAT 99999999999999999999999"),
            chunk(u64::MAX, ChunkEnd::More)
        );
        for bad in [
            &b"BDAT"[..],
            b"BDAT x",
            b"BDAT -1",
            b"BDAT +1",
            b"BDAT 1 FIRST",
            b"BDAT 1 LAST x",
        ] {
            assert!(matches!(command(bad), Err(Bad::Argument(_))), "{bad:?}");
        }
    }

    #[test]
    fn auth_takes_a_mechanism_and_perhaps_a_first_response() {
        let auth = |mechanism, initial| Ok(Command::Auth(Auth { mechanism, initial }));
        assert_eq!(
            command(b"AUTH PLAIN AGEAYg=="),
            auth("PLAIN", Some("AGEAYg=="))
        );
        assert_eq!(command(b"AUTH LOGIN"), auth("LOGIN", None));
        assert_eq!(command(b"AUTH PLAIN ="), auth("PLAIN", Some("=")));
        assert!(command(b"AUTH").is_err());
        assert!(command(b"AUTH PLAIN a b").is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_the_grammar_panic(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = command(&line);
            for verb in [Verb::Mail, Verb::Rcpt, Verb::Bdat, Verb::Auth, Verb::Xclient, Verb::Ehlo] {
                let _ = argument(verb, &line);
            }
        }

        #[test]
        fn nothing_near_a_path_makes_it_panic(line in "(FROM:|TO:)<?[@,:a\\\\\"\\[\\]>= <ü.+0-9]{0,40}") {
            let _ = argument(Verb::Mail, line.as_bytes());
            let _ = argument(Verb::Rcpt, line.as_bytes());
        }
    }
}

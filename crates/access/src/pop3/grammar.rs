//! POP3 command lines (RFC 1939 §3, §5 to §7, RFC 2449, RFC 2595, RFC 5034, RFC 6856). Pure.
//!
//! command = keyword *(SP argument) CRLF        keyword is 3 or 4 letters in any case

/// A command. Message numbers count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// CAPA (RFC 2449 §5).
    Capa,
    /// STLS (RFC 2595 §4).
    Stls,
    /// USER name; spaces belong to it.
    User(String),
    /// PASS password; spaces belong to it (RFC 1939 §7).
    Pass(Vec<u8>),
    /// AUTH, with mechanism and initial response (RFC 5034 §4).
    Auth {
        /// `None` asks for the list.
        mechanism: Option<String>,
        /// Still in base64; `=` is an empty one.
        initial: Option<String>,
    },
    /// UTF8 (RFC 6856 §2).
    Utf8,
    /// STAT.
    Stat,
    /// LIST [msg].
    List(Option<u32>),
    /// UIDL [msg].
    Uidl(Option<u32>),
    /// RETR msg.
    Retr(u32),
    /// TOP msg n.
    Top {
        /// Which message.
        message: u32,
        /// Lines of its body.
        lines: u64,
    },
    /// DELE msg.
    Dele(u32),
    /// NOOP.
    Noop,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

/// Why a line is no command; the text for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Reads one line without its end.
///
/// # Errors
/// A text that says what was expected.
pub fn parse(line: &[u8]) -> Result<Command, Malformed> {
    let end = line
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.get(1..).unwrap_or_default();
    let keyword = keyword.to_ascii_uppercase();
    match keyword.as_slice() {
        // PASS comes first: its argument may hold anything, and is never taken apart.
        b"PASS" => required(rest, "PASS needs a password").map(|p| Command::Pass(p.to_vec())),
        b"USER" => text(required(rest, "USER needs a name")?).map(|n| Command::User(n.to_owned())),
        b"AUTH" => auth(text(rest)?),
        b"CAPA" => alone(rest, Command::Capa),
        b"STLS" => alone(rest, Command::Stls),
        b"UTF8" => alone(rest, Command::Utf8),
        b"STAT" => alone(rest, Command::Stat),
        b"NOOP" => alone(rest, Command::Noop),
        b"RSET" => alone(rest, Command::Rset),
        b"QUIT" => alone(rest, Command::Quit),
        b"LIST" => Ok(Command::List(maybe_number(text(rest)?)?)),
        b"UIDL" => Ok(Command::Uidl(maybe_number(text(rest)?)?)),
        b"RETR" => number(text(rest)?).map(Command::Retr),
        b"DELE" => number(text(rest)?).map(Command::Dele),
        b"TOP" => top(text(rest)?),
        b"APOP" => Err(Malformed(
            "APOP is not offered; use STLS, then USER and PASS or AUTH",
        )),
        _ => Err(Malformed("unknown command; CAPA lists what there is")),
    }
}

fn required<'a>(rest: &'a [u8], otherwise: &'static str) -> Result<&'a [u8], Malformed> {
    if rest.is_empty() {
        Err(Malformed(otherwise))
    } else {
        Ok(rest)
    }
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed("the argument is not UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(Malformed("the argument has control characters"));
    }
    Ok(text)
}

fn alone(rest: &[u8], command: Command) -> Result<Command, Malformed> {
    if rest.trim_ascii().is_empty() {
        return Ok(command);
    }
    Err(Malformed("this command has no argument"))
}

fn number(text: &str) -> Result<u32, Malformed> {
    let digits = text.trim_ascii();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed("a message number is needed"));
    }
    // More digits than a number has cannot name a message that is there.
    Ok(digits.parse().unwrap_or(u32::MAX))
}

fn maybe_number(text: &str) -> Result<Option<u32>, Malformed> {
    if text.trim_ascii().is_empty() {
        Ok(None)
    } else {
        number(text).map(Some)
    }
}

fn top(text: &str) -> Result<Command, Malformed> {
    let (message, lines) = text.trim_ascii().split_once(' ').ok_or(Malformed(
        "TOP needs a message number and a number of lines",
    ))?;
    Ok(Command::Top {
        message: number(message)?,
        lines: u64::from(number(lines)?),
    })
}

fn auth(text: &str) -> Result<Command, Malformed> {
    let mut words = text.split_ascii_whitespace().map(str::to_owned);
    let (mechanism, initial) = (words.next(), words.next());
    if words.next().is_some() {
        return Err(Malformed(
            "AUTH has a mechanism and at most one initial response",
        ));
    }
    Ok(Command::Auth { mechanism, initial })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_read_in_any_case() {
        assert_eq!(parse(b"retr 3"), Ok(Command::Retr(3)));
        assert_eq!(
            parse(b"TOP 1 0"),
            Ok(Command::Top {
                message: 1,
                lines: 0
            })
        );
        assert_eq!(parse(b"LIST"), Ok(Command::List(None)));
        assert_eq!(
            parse(b"PASS  two spaces "),
            Ok(Command::Pass(b" two spaces ".to_vec()))
        );
        assert_eq!(
            parse(b"USER anna@firma.test"),
            Ok(Command::User("anna@firma.test".into()))
        );
        assert!(
            matches!(parse(b"AUTH PLAIN ="), Ok(Command::Auth { initial: Some(i), .. }) if i == "=")
        );
    }

    #[test]
    fn what_is_no_command_says_why() {
        for line in [
            &b""[..],
            b"RETR",
            b"RETR x",
            b"RETR -1",
            b"TOP 1",
            b"USER",
            b"QUIT now",
            b"USER \xff",
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
        assert_eq!(parse(b"DELE 99999999999"), Ok(Command::Dele(u32::MAX)));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&line);
        }
    }
}

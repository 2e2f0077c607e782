//! The parameters of MAIL and RCPT: SIZE, BODY, SMTPUTF8, RET, ENVID, AUTH, REQUIRETLS, HOLDFOR,
//! HOLDUNTIL, MT-PRIORITY; NOTIFY, ORCPT. Pure. Each may stand once; one that no listener offers is
//! refused by name (RFC 5321 §4.1.1.11). Whether this connection offers it is asked by the verb.

use super::Bad;
use super::text::{as_text, number, split_word};
use crate::limits::{ENVID_BYTES_MAX, ORCPT_BYTES_MAX};
use queue::{Notify, Return, xtext};

/// BODY (RFC 6152 §2): how the message is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Body {
    /// Not said, or `7BIT`.
    #[default]
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
}

/// The parameters of MAIL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailParameters<'a> {
    /// SIZE in bytes (RFC 1870 §6); `None` where not said.
    pub size: Option<u64>,
    /// BODY.
    pub body: Body,
    /// SMTPUTF8 (RFC 6531 §3.4) was given.
    pub utf8: bool,
    /// RET (RFC 3461 §4.3).
    pub ret: Return,
    /// ENVID, as written: xtext (RFC 3461 §4.4).
    pub envelope_id: Option<&'a str>,
    /// AUTH= (RFC 4954 §5) was given. Its value is not used: we do not take a peer's word for it.
    pub auth: bool,
    /// REQUIRETLS (RFC 8689 §2) was given.
    pub require_tls: bool,
    /// HOLDFOR or HOLDUNTIL (RFC 4865 §3).
    pub hold: Option<HoldRequest>,
    /// MT-PRIORITY (RFC 6710 §3), -9 to 9.
    pub priority: Option<i8>,
}

/// Until when the client wants a message held (RFC 4865 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldRequest {
    /// HOLDFOR: seconds from now, at least 1.
    For(u64),
    /// HOLDUNTIL: milliseconds since 1970.
    Until(i64),
}

/// The parameters of RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RcptParameters<'a> {
    /// NOTIFY (RFC 3461 §4.1); `None` where not said.
    pub notify: Option<Notify>,
    /// ORCPT, as written: `addr-type;xtext` (RFC 3461 §4.2).
    pub original: Option<&'a str>,
}

/// ```abnf
/// Mail-parameters = esmtp-param *(SP esmtp-param)      ; RFC 5321 §4.1.2
/// esmtp-param     = esmtp-keyword ["=" esmtp-value]
/// ```
/// Calls `each` with every keyword and its value; refuses a keyword that stands twice.
fn each_parameter<'a>(
    text: &'a [u8],
    mut each: impl FnMut(&'a str, Option<&'a str>) -> Result<(), Bad>,
) -> Result<(), Bad> {
    const WHY: &str = "Write parameters after the address as NAME=VALUE, separated by blanks.";
    let mut rest = as_text(text).ok_or(Bad::Argument(WHY))?;
    let whole = rest;
    while let Some((word, after)) = split_word(rest) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        if name.is_empty() || value == Some("") {
            return Err(Bad::Argument(WHY));
        }
        let before = &whole[..word.as_ptr() as usize - whole.as_ptr() as usize];
        let same = |earlier: &str| {
            earlier
                .split('=')
                .next()
                .is_some_and(|other| other.eq_ignore_ascii_case(name))
        };
        if before.split_ascii_whitespace().any(same) {
            return Err(Bad::Argument("A parameter may be given only once."));
        }
        each(name, value)?;
        rest = after;
    }
    Ok(())
}

impl<'a> MailParameters<'a> {
    /// Understands what follows the path of MAIL.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Bad> {
        let mut found = Self::default();
        each_parameter(text, |name, value| found.take(name, value))?;
        Ok(found)
    }

    fn take(&mut self, name: &str, value: Option<&'a str>) -> Result<(), Bad> {
        if name.eq_ignore_ascii_case("SIZE") {
            self.size = Some(
                value
                    .and_then(number)
                    .ok_or(Bad::Argument("SIZE= takes a number of bytes."))?,
            );
        } else if name.eq_ignore_ascii_case("BODY") {
            self.body = body(value)?;
        } else if name.eq_ignore_ascii_case("SMTPUTF8") {
            // RFC 6531 §3.4: the keyword has no value.
            self.utf8 = value.is_none();
            if value.is_some() {
                return Err(Bad::Argument("SMTPUTF8 takes no value."));
            }
        } else if name.eq_ignore_ascii_case("RET") {
            self.ret = match value {
                Some(value) if value.eq_ignore_ascii_case("FULL") => Return::Full,
                Some(value) if value.eq_ignore_ascii_case("HDRS") => Return::Headers,
                _ => return Err(Bad::Argument("RET= takes FULL or HDRS.")),
            };
        } else if name.eq_ignore_ascii_case("ENVID") {
            let fits =
                |value: &&str| value.len() <= ENVID_BYTES_MAX && xtext::decode(value).is_some();
            let why = Bad::Argument("ENVID= takes up to 100 characters of xtext (RFC 3461).");
            self.envelope_id = Some(value.filter(fits).ok_or(why)?);
        } else if name.eq_ignore_ascii_case("AUTH") {
            let fits = |value: &str| value == "<>" || xtext::decode(value).is_some();
            self.auth = value.is_some_and(fits);
            if !self.auth {
                return Err(Bad::Argument("AUTH= takes an address as xtext, or <>."));
            }
        } else {
            return self.take_later(name, value);
        }
        Ok(())
    }

    /// The parameters about how the message travels on.
    fn take_later(&mut self, name: &str, value: Option<&'a str>) -> Result<(), Bad> {
        if name.eq_ignore_ascii_case("REQUIRETLS") {
            if value.is_some() {
                return Err(Bad::Argument("REQUIRETLS takes no value."));
            }
            self.require_tls = true;
        } else if name.eq_ignore_ascii_case("HOLDFOR") {
            let seconds = value.and_then(number).filter(|&seconds| seconds > 0);
            let why = Bad::Argument("HOLDFOR= takes a number of seconds from 1.");
            self.set_hold(HoldRequest::For(seconds.ok_or(why)?))?;
        } else if name.eq_ignore_ascii_case("HOLDUNTIL") {
            let why = Bad::Argument("HOLDUNTIL= takes a time in UTC such as 2026-01-31T08:00:00Z.");
            let utc = value.filter(|text| text.ends_with(['Z', 'z']));
            let until = utc.and_then(|text| formats::rfc3339::parse(text).ok());
            self.set_hold(HoldRequest::Until(until.ok_or(why)?))?;
        } else if name.eq_ignore_ascii_case("MT-PRIORITY") {
            let why = Bad::Argument("MT-PRIORITY= takes a whole number from -9 to 9.");
            self.priority = Some(value.and_then(priority).ok_or(why)?);
        } else {
            return Err(Bad::UnknownParameter(
                "This parameter of MAIL is not offered here; see the answer to EHLO.",
            ));
        }
        Ok(())
    }

    /// RFC 4865 §4 item 9: only one of the two.
    fn set_hold(&mut self, hold: HoldRequest) -> Result<(), Bad> {
        match self.hold.replace(hold) {
            None => Ok(()),
            Some(_) => Err(Bad::Argument("Give HOLDFOR or HOLDUNTIL, not both.")),
        }
    }
}

/// ```abnf
/// priority-value = (["-"] NZDIGIT) / "0"                ; RFC 6710 §8
/// ```
fn priority(value: &str) -> Option<i8> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let one_digit = digits.len() == 1 && digits.bytes().all(|b| b.is_ascii_digit());
    (one_digit && value != "-0")
        .then(|| value.parse().ok())
        .flatten()
}

/// ```abnf
/// body-value = "7BIT" / "8BITMIME"                     ; RFC 6152 §2
/// ```
/// BINARYMIME (RFC 3030 §3) is not offered, because such a message could be read by no IMAP client
/// and sent on to hardly any server.
fn body(value: Option<&str>) -> Result<Body, Bad> {
    match value {
        Some(value) if value.eq_ignore_ascii_case("7BIT") => Ok(Body::SevenBit),
        Some(value) if value.eq_ignore_ascii_case("8BITMIME") => Ok(Body::EightBitMime),
        Some(value) if value.eq_ignore_ascii_case("BINARYMIME") => Err(Bad::UnknownParameter(
            "BODY=BINARYMIME is not offered here; send the message as 8BITMIME.",
        )),
        _ => Err(Bad::Argument("BODY= takes 7BIT or 8BITMIME.")),
    }
}

impl<'a> RcptParameters<'a> {
    /// Understands what follows the path of RCPT.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Bad> {
        let mut found = Self::default();
        each_parameter(text, |name, value| {
            if name.eq_ignore_ascii_case("NOTIFY") {
                found.notify = Some(notify(value.unwrap_or_default())?);
            } else if name.eq_ignore_ascii_case("ORCPT") {
                found.original = Some(original(value)?);
            } else {
                return Err(Bad::UnknownParameter(
                    "This parameter of RCPT is not offered here; see the answer to EHLO.",
                ));
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// ```abnf
/// notify-esmtp-value    = "NEVER" / 1#notify-list-element       ; RFC 3461 §4.1
/// notify-list-element   = "SUCCESS" / "FAILURE" / "DELAY"
/// ```
fn notify(value: &str) -> Result<Notify, Bad> {
    const WHY: &str = "NOTIFY= takes NEVER alone, or a list of SUCCESS, FAILURE and DELAY.";
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(Notify::NEVER);
    }
    let mut wanted = Notify::NEVER;
    for word in value.split(',') {
        match word {
            word if word.eq_ignore_ascii_case("SUCCESS") => wanted.success = true,
            word if word.eq_ignore_ascii_case("FAILURE") => wanted.failure = true,
            word if word.eq_ignore_ascii_case("DELAY") => wanted.delay = true,
            _ => return Err(Bad::Argument(WHY)),
        }
    }
    Ok(wanted)
}

/// ```abnf
/// original-recipient-address = addr-type ";" xtext              ; RFC 3461 §4.2
/// ```
fn original(value: Option<&str>) -> Result<&str, Bad> {
    let why =
        Bad::Argument("ORCPT= takes a type and an address as xtext: rfc822;name@example.org.");
    let value = value
        .filter(|value| value.len() <= ORCPT_BYTES_MAX)
        .ok_or(why)?;
    let (kind, address) = value.split_once(';').ok_or(why)?;
    let atom = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if kind.is_empty() || !kind.bytes().all(atom) || address.is_empty() {
        return Err(why);
    }
    // RFC 6533 §3: the type utf-8 may also be written with unencoded or \x{…} characters.
    if !kind.eq_ignore_ascii_case("utf-8") && xtext::decode(address).is_none() {
        return Err(why);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(text: &str) -> Result<MailParameters<'_>, Bad> {
        MailParameters::parse(text.as_bytes())
    }

    fn rcpt(text: &str) -> Result<RcptParameters<'_>, Bad> {
        RcptParameters::parse(text.as_bytes())
    }

    #[test]
    fn all_parameters_of_mail_together() {
        let found =
            mail(" SIZE=1000 body=8bitmime SMTPUTF8 RET=HDRS ENVID=QQ+2B314 AUTH=<>").unwrap();
        assert_eq!(found.size, Some(1000));
        assert_eq!(found.body, Body::EightBitMime);
        assert!(found.utf8 && found.auth);
        assert_eq!(found.ret, Return::Headers);
        assert_eq!(found.envelope_id, Some("QQ+2B314"));
        assert_eq!(mail(""), Ok(MailParameters::default()));
    }

    #[test]
    fn how_a_message_travels_on() {
        let found = mail(" REQUIRETLS HOLDFOR=600 MT-PRIORITY=-3").unwrap();
        assert!(found.require_tls);
        assert_eq!(found.hold, Some(HoldRequest::For(600)));
        assert_eq!(found.priority, Some(-3));
        let found = mail("requiretls holduntil=2026-01-31T08:00:00Z mt-priority=9").unwrap();
        assert_eq!(found.hold, Some(HoldRequest::Until(1_769_846_400_000)));
        assert_eq!((found.require_tls, found.priority), (true, Some(9)));
    }

    #[test]
    fn what_is_not_offered_is_refused_by_its_code() {
        for unknown in ["BY=120;R", "BODY=BINARYMIME", "X"] {
            assert!(
                matches!(mail(unknown), Err(Bad::UnknownParameter(_))),
                "{unknown}"
            );
        }
        for bad in [
            "SIZE",
            "SIZE=",
            "SIZE=x",
            "SIZE=1 SIZE=1",
            "size=1 SIZE=2",
            "BODY=9BIT",
            "SMTPUTF8=1",
            "RET=ALL",
            "ENVID=a=b",
            "AUTH=a=b",
            "=1",
            "SIZE=1\u{1}",
            "REQUIRETLS=1",
            "HOLDFOR",
            "HOLDFOR=0",
            "HOLDFOR=-1",
            "HOLDUNTIL=2026-01-31",
            "HOLDUNTIL=2026-01-31T08:00:00+01:00",
            "HOLDFOR=1 HOLDUNTIL=2026-01-31T08:00:00Z",
            "MT-PRIORITY=10",
            "MT-PRIORITY=+1",
            "MT-PRIORITY=-0",
            "MT-PRIORITY",
        ] {
            assert!(matches!(mail(bad), Err(Bad::Argument(_))), "{bad}");
        }
        assert!(mail(&format!("ENVID={}", "x".repeat(101))).is_err());
    }

    #[test]
    fn notify_and_orcpt() {
        let found = rcpt("NOTIFY=success,DELAY ORCPT=rfc822;a+2Bb@c").unwrap();
        assert_eq!(
            found.notify,
            Some(Notify {
                success: true,
                failure: false,
                delay: true
            })
        );
        assert_eq!(found.original, Some("rfc822;a+2Bb@c"));
        assert_eq!(rcpt("NOTIFY=NEVER").unwrap().notify, Some(Notify::NEVER));
        for bad in [
            "NOTIFY",
            "NOTIFY=NEVER,DELAY",
            "NOTIFY=,",
            "ORCPT=a@b",
            "ORCPT=;a",
            "ORCPT=rfc822;a=b",
        ] {
            assert!(matches!(rcpt(bad), Err(Bad::Argument(_))), "{bad}");
        }
        assert!(matches!(rcpt("SIZE=1"), Err(Bad::UnknownParameter(_))));
    }
}

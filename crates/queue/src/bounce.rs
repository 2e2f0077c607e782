//! Notices to senders about messages that failed, are late, or were handed on (RFC 3461 to 3464).
//! Makes a message with the null sender; the caller writes it in the transaction that records
//! what it tells. Never for a message that itself came from the null sender.

use crate::accept::Accept;
use crate::dispatch::{Dispatch, Origin, RequireTls};
use crate::envelope::{DeliverTo, DsnOptions, Notify, Recipient, Return, ReversePath};
use crate::relay::Cause;
use crate::trace::{self, TraceId};
use crate::xtext;
use directory::{AccountId, Directory, Resolution};
use formats::address::Address;
use formats::dsn::{self, Action, Reason, Returned};
use formats::language::Language;
use formats::message::Facts;
use platform::clock::Timestamp;
use platform::segments::{BodyRef, Segments};
use platform::spool::{Spool, SpoolLimits};
use platform::store::StoreError;
use policy::{Policies, Sender};
use std::io;

/// Most of a failed message that is sent back.
const RETURNED_BYTES_MAX: u64 = 256 * 1024;
/// Most of its header, where only that goes back.
const RETURNED_HEADER_BYTES_MAX: u64 = 64 * 1024;

/// What a notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// Given up.
    Failed,
    /// Late, still being tried.
    Delayed,
    /// Handed to a server that sends no notices.
    Relayed,
    /// In the recipient's mailbox.
    Delivered,
}

impl NoticeKind {
    /// All, in the order they are sent.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Delayed, Self::Relayed, Self::Delivered];

    /// As the story says it; the action of RFC 3464 §2.3.3.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Relayed => "relayed",
            Self::Delivered => "delivered",
        }
    }
}

/// How notices speak.
#[derive(Clone, Default)]
pub struct Wording {
    /// The language of the first half of the text, where policies set none for the sender.
    pub first: Language,
    /// Whose language is set, and where the help pages are; without it notices have no links.
    pub policies: Option<Policies>,
}

impl std::fmt::Debug for Wording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wording")
            .field("first", &self.first)
            .finish()
    }
}

impl Wording {
    /// The same place that refusals name, without its final slash.
    fn help(&self, host: &str) -> String {
        let set = self.policies.as_ref().map(Policies::snapshot);
        let set = set.as_deref().and_then(policy::Snapshot::help_url);
        let url = set.map_or_else(|| policy::own_help_url(host), str::to_owned);
        url.trim_end_matches('/').to_owned()
    }

    /// What account, domain or installation set for the sender, else `first`.
    fn first(&self, submitter: Option<AccountId>, sender: &Address) -> Language {
        let set = self.policies.as_ref().and_then(|policies| {
            policies.snapshot().language(&Sender {
                account: submitter,
                domain: sender.domain(),
                group: None,
            })
        });
        set.unwrap_or(self.first)
    }
}

/// A recipient a notice is about.
#[derive(Debug, Clone)]
pub struct Reported {
    /// Who.
    pub address: Address,
    /// ORCPT as written.
    pub original: Option<String>,
    /// The last reply, or our own reason.
    pub reply: String,
    /// Why it failed or is late.
    pub cause: Cause,
    /// The TLS policy that applied in the last try, as the trace names it; empty where none did.
    pub policy: String,
    /// The host of the last try, where there was one.
    pub host: Option<String>,
    /// Until when it is tried, where it is late.
    pub retry_until: Option<Timestamp>,
}

impl Reported {
    /// ORCPT with its address decoded. The type utf-8 may have an encoding of its own (RFC 6533
    /// §3); what is no xtext stays as it was written.
    fn original_text(&self) -> Option<String> {
        let written = self.original.as_deref()?;
        let (kind, address) = written.split_once(';')?;
        let decoded = xtext::decode(address).unwrap_or_else(|| address.to_owned());
        Some(format!("{kind};{decoded}"))
    }
}

/// A notice to be made.
#[derive(Debug, Clone)]
pub struct Notice {
    /// What it says.
    pub kind: NoticeKind,
    /// About whom; at least one.
    pub about: Vec<Reported>,
    /// The time.
    pub now: Timestamp,
    /// Its own name.
    pub trace: TraceId,
}

/// The message a notice is about.
#[derive(Debug)]
pub struct About<'a> {
    /// Who gets the notice; not the null sender.
    pub sender: &'a ReversePath,
    /// RET and ENVID.
    pub dsn: &'a DsnOptions,
    /// Who submitted it, so that what the account demands of the way counts for the notice too.
    pub submitter: Option<AccountId>,
    /// Whether it said REQUIRETLS; its notices then say so too (RFC 8689 §5).
    pub require_tls: RequireTls,
    /// When it was taken over.
    pub accepted_at: Timestamp,
    /// Its name.
    pub trace: TraceId,
    /// This server's name.
    pub host: &'a str,
    /// Where the notice is put together.
    pub spool: &'a SpoolLimits,
    /// What goes back of it.
    pub original: Original,
    /// How the notice speaks.
    pub wording: &'a Wording,
}

/// What goes back of a message.
#[derive(Debug)]
pub enum Original {
    /// Its header.
    Header(Vec<u8>),
    /// All of it.
    Whole(Vec<u8>),
}

/// Reads what goes back: the whole message only where RET=FULL asked for it and it is small, and
/// never of a message with REQUIRETLS (RFC 8689 §5).
pub fn original(
    segments: &Segments,
    body: &BodyRef,
    ret: Return,
    require_tls: RequireTls,
) -> io::Result<Original> {
    let size = u64::try_from(body.body_bytes).unwrap_or(0);
    let is_whole = ret == Return::Full && require_tls == RequireTls::No;
    if is_whole && size <= RETURNED_BYTES_MAX {
        return segments.read_body(body, 0..size).map(Original::Whole);
    }
    let mut head = segments.read_body(body, 0..size.min(RETURNED_HEADER_BYTES_MAX))?;
    if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
        head.truncate(end + 2);
    }
    Ok(Original::Header(head))
}

/// Makes the notice, addressed to where the sender of the message is.
///
/// # Errors
/// Where the directory could not be asked, or there is nobody to send it to.
pub async fn accept_for(
    about: &About<'_>,
    notice: &Notice,
    directory: &Directory,
) -> Result<Accept, NoticeError> {
    let ReversePath::Address(to) = about.sender else {
        return Err(NoticeError::NullSender);
    };
    // RFC 5321 §4.4: final delivery shows the null sender; the client leaves it out on the way on.
    let mut bytes = b"Return-Path: <>\r\n".to_vec();
    bytes.extend(build(about, notice, to)?);
    let mut body = Spool::new(about.spool.clone());
    body.push(&bytes)?;
    Ok(Accept {
        trace: notice.trace,
        sender: ReversePath::Null,
        recipients: recipients(to, directory).await?,
        submitter: about.submitter,
        dsn: DsnOptions::default(),
        facts: Facts::scan(&bytes).to_bytes(),
        body,
        session: trace::Session {
            notice_about: Some(about.trace.to_string()),
            ..trace::Session::default()
        },
        now: notice.now,
        announced: None,
        dispatch: Dispatch {
            origin: Origin::Ours,
            require_tls: about.require_tls,
            rules_of: Some(to.domain().into()),
            ..Dispatch::default()
        },
    })
}

/// Why a notice could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// A notice about a notice would loop (RFC 3461 §6.1).
    #[error("the message has the null sender")]
    NullSender,
    /// The directory could not be asked.
    #[error(transparent)]
    Directory(#[from] StoreError),
    /// Our own address cannot be built.
    #[error("the host name makes no address: {0}")]
    Address(#[from] formats::address::AddressError),
    /// Writing it failed.
    #[error(transparent)]
    Body(#[from] io::Error),
}

/// Who gets a notice or report of ours to `to`: local mailboxes, else the server of its domain; empty
/// where a local address is gone. Nobody hears what becomes of it.
///
/// # Errors
/// Where the directory could not be asked.
pub async fn recipients(to: &Address, directory: &Directory) -> Result<Vec<Recipient>, StoreError> {
    let recipient = |address: Address, deliver_to| Recipient {
        address,
        deliver_to,
        notify: Notify::NEVER,
        original: None,
    };
    Ok(match directory.resolve(to).await?.as_ref() {
        Resolution::Local {
            deliveries,
            forwards,
        } => deliveries
            .iter()
            .map(|d| recipient(d.address.clone(), DeliverTo::Account(d.account)))
            .chain(
                forwards
                    .iter()
                    .map(|to| recipient(to.clone(), DeliverTo::Remote)),
            )
            .collect(),
        Resolution::NoSuchDomain => vec![recipient(to.clone(), DeliverTo::Remote)],
        // For a notice, the account's trace still tells the story.
        _ => Vec::new(),
    })
}

fn build(about: &About<'_>, notice: &Notice, to: &Address) -> Result<Vec<u8>, NoticeError> {
    let from = Address::parse(&format!("postmaster@{}", about.host))?;
    let parts: Vec<_> = notice
        .about
        .iter()
        .map(|reported| Reply::of(&reported.reply))
        .collect();
    let originals: Vec<_> = notice.about.iter().map(Reported::original_text).collect();
    let recipients: Vec<_> = notice
        .about
        .iter()
        .zip(&originals)
        .zip(&parts)
        .map(|((reported, original), reply)| dsn::Recipient {
            address: &reported.address,
            original: original.as_deref(),
            action: action(notice.kind),
            reason: reason(reported, reply),
            status: reply.status(notice.kind, reported.cause),
            remote_mta: reply.host.or(reported.host.as_deref()),
            diagnostic: reply.code.is_some().then_some(reply.text),
            own_reason: Some(reply.text).filter(|text| reply.code.is_none() && !text.is_empty()),
            last_attempt_ms: Some(notice.now.0),
            retry_until_ms: reported
                .retry_until
                .filter(|_| notice.kind == NoticeKind::Delayed)
                .map(|until| until.0),
        })
        .collect();
    let token = notice.trace.to_string();
    let help = about.wording.help(about.host);
    // RFC 3461 §6.3 (a): ENVID is decoded on its way into the notice.
    let envelope_id = about.dsn.envelope_id.as_deref().and_then(xtext::decode);
    Ok(dsn::build(&dsn::Notice {
        reporting_mta: about.host,
        from: &from,
        to,
        unix_ms: notice.now.0,
        token: &token,
        envelope_id: envelope_id.as_deref(),
        arrived_ms: about.accepted_at.0,
        recipients: &recipients,
        returned: match &about.original {
            Original::Header(bytes) => Returned::Headers(bytes),
            Original::Whole(bytes) => Returned::Message(bytes),
        },
        first: about.wording.first(about.submitter, to),
        help: Some(&help),
    }))
}

/// Whose demand for TLS could not be met, where that is the only trouble.
fn reason(reported: &Reported, reply: &Reply<'_>) -> Reason {
    if reported.cause == Cause::Other {
        return Reason::Status;
    }
    match reported.policy.as_str() {
        "requiretls" => Reason::RequireTls,
        _ if reply.enhanced == Some("5.7.30") => Reason::RequireTls,
        "dane" | "mta-sts" => Reason::RecipientTls,
        _ => Reason::MandatoryTls,
    }
}

fn action(kind: NoticeKind) -> Action {
    match kind {
        NoticeKind::Failed => Action::Failed,
        NoticeKind::Delayed => Action::Delayed,
        NoticeKind::Relayed => Action::Relayed,
        NoticeKind::Delivered => Action::Delivered,
    }
}

/// A stored reply taken apart: `host=mx.example tls=none 550 5.1.1 text`, each part optional. What
/// stands before the reply as `name=value` is ours and never told as if the server had said it.
#[derive(Debug, PartialEq, Eq)]
struct Reply<'a> {
    host: Option<&'a str>,
    code: Option<&'a str>,
    enhanced: Option<&'a str>,
    text: &'a str,
}

impl<'a> Reply<'a> {
    fn of(reply: &'a str) -> Self {
        let (mut host, mut text) = (None, reply);
        while let Some((fact, rest)) = text.split_once(' ')
            && let Some((name, value)) = fact.split_once('=')
        {
            host = host.or((name == "host").then_some(value));
            text = rest;
        }
        let mut words = text.split(' ').peekable();
        let is_code = |word: &str| word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit());
        let code = words.next_if(|word| is_code(word));
        let enhanced = words.next().filter(|word| is_enhanced(word));
        Self {
            host,
            code,
            enhanced,
            text,
        }
    }

    /// The enhanced status, of the class the kind of notice demands (RFC 3464 §2.3.4).
    fn status(&self, kind: NoticeKind, cause: Cause) -> &'a str {
        // RFC 3463 §3.8, RFC 8689 §4.2.1: late because of 4.7.4 (feature not there) or 4.7.5
        // (cryptographic failure); in the end the demand for encryption was not met.
        match (kind, cause, self.enhanced) {
            (NoticeKind::Delayed, Cause::TlsPolicy, Some("4.7.4" | "5.7.4")) => return "4.7.4",
            (NoticeKind::Delayed, Cause::TlsPolicy, _) => return "4.7.5",
            (NoticeKind::Failed, Cause::TlsPolicy, Some("5.7.30")) => return "5.7.30",
            (NoticeKind::Failed, Cause::TlsPolicy, _) => return "5.7.10",
            _ => {}
        }
        let (class, unknown) = match kind {
            NoticeKind::Failed => ("5", "5.0.0"),
            NoticeKind::Delayed => ("4", "4.0.0"),
            NoticeKind::Relayed | NoticeKind::Delivered => ("2", "2.0.0"),
        };
        match self.enhanced {
            Some(enhanced) if enhanced.starts_with(class) => enhanced,
            // Given up on after temporary failures: the delivery time expired (RFC 3463 §3.5).
            Some(enhanced) if kind == NoticeKind::Failed && enhanced.starts_with('4') => "5.4.7",
            _ => unknown,
        }
    }
}

fn is_enhanced(word: &str) -> bool {
    let mut numbers = word.split('.');
    let digits =
        |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    matches!(numbers.next(), Some("2" | "4" | "5"))
        && numbers.next().is_some_and(digits)
        && numbers.next().is_some_and(digits)
        && numbers.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_apart() {
        let reply = Reply::of("host=mx.example 550 5.1.1 no such user");
        assert_eq!(
            reply,
            Reply {
                host: Some("mx.example"),
                code: Some("550"),
                enhanced: Some("5.1.1"),
                text: "550 5.1.1 no such user",
            }
        );
        let reply = Reply::of("host=mx.example tls=TLSv1.3 cipher=X 250 2.0.0 ok a=b");
        assert_eq!(reply.host, Some("mx.example"));
        assert_eq!(reply.text, "250 2.0.0 ok a=b");
        assert_eq!(Reply::of("4.4.1 nobody answered").code, None);
        assert_eq!(Reply::of("").enhanced, None);
    }

    #[test]
    fn an_envelope_id_is_decoded() {
        let dsn = DsnOptions {
            envelope_id: Some("env+2B1".to_owned()),
            ret: Return::Headers,
        };
        let about = About {
            sender: &ReversePath::Null,
            dsn: &dsn,
            accepted_at: Timestamp(0),
            trace: TraceId(1),
            host: "mx.rp.test",
            spool: &SpoolLimits {
                memory_bytes: 0,
                dir: std::path::Path::new("").into(),
            },
            original: Original::Header(Vec::new()),
            submitter: None,
            require_tls: RequireTls::No,
            wording: &Wording::default(),
        };
        let to = Address::parse("anna@firma.test").unwrap();
        let notice = Notice {
            kind: NoticeKind::Failed,
            about: vec![Reported {
                address: to.clone(),
                original: None,
                reply: "550 5.1.1 no".to_owned(),
                cause: Cause::Other,
                policy: String::new(),
                host: None,
                retry_until: None,
            }],
            now: Timestamp(0),
            trace: TraceId(2),
        };
        let text = String::from_utf8(build(&about, &notice, &to).unwrap()).unwrap();
        assert!(text.contains("Original-Envelope-Id: env+1\r\n"), "{text}");
    }

    #[test]
    fn an_original_recipient_is_decoded() {
        let reported = |original: &str| Reported {
            address: Address::parse("x@else.test").unwrap(),
            original: Some(original.to_owned()),
            reply: String::new(),
            cause: Cause::Other,
            policy: String::new(),
            host: None,
            retry_until: None,
        };
        let text = |original| reported(original).original_text();
        assert_eq!(
            text("rfc822;a+2Bb@c.test"),
            Some("rfc822;a+b@c.test".into())
        );
        assert_eq!(
            text("utf-8;\\x{fc}@c.test"),
            Some("utf-8;\\x{fc}@c.test".into())
        );
    }

    #[test]
    fn the_status_class_fits_the_notice() {
        let failed = |reply| Reply::of(reply).status(NoticeKind::Failed, Cause::Other);
        assert_eq!(failed("451 4.3.0 busy"), "5.4.7");
        assert_eq!(failed("550 5.1.1 no"), "5.1.1");
        assert_eq!(failed("550 1.2 odd"), "5.0.0");
        let relayed = Reply::of("250 ok").status(NoticeKind::Relayed, Cause::Other);
        assert_eq!(relayed, "2.0.0");
    }

    #[test]
    fn a_tls_duty_has_statuses_of_its_own() {
        for (kind, reply, status) in [
            (NoticeKind::Delayed, "4.7.4 no STARTTLS", "4.7.4"),
            (
                NoticeKind::Delayed,
                "4.7.5 the certificate is expired",
                "4.7.5",
            ),
            (NoticeKind::Delayed, "the handshake failed", "4.7.5"),
            (
                NoticeKind::Failed,
                "4.7.5 the certificate is expired",
                "5.7.10",
            ),
            (
                NoticeKind::Failed,
                "5.7.30 REQUIRETLS is not offered",
                "5.7.30",
            ),
        ] {
            assert_eq!(
                Reply::of(reply).status(kind, Cause::TlsPolicy),
                status,
                "{reply}"
            );
        }
    }
}

//! Mail of other servers that says it is from a domain hosted here: has `signing` look who answers for it and `policy`
//! rule, puts the results in front, notes findings. Mail of other authors costs a look at its From and nothing else;
//! what customers submit is never judged here. Asked once per message, after its real end.

use super::header_report::HeaderReport;
use super::incoming::Message;
use super::results_field;
use super::rulings::Refusal;
use super::session::Session;
use super::state::{Envelope, Greeting};
use crate::reply::{Permanent, Reply, Status, Transient};
use directory::{AccountId, DomainName, Hosting, Resolution};
use formats::address::Address;
use platform::clock::Timestamp;
use platform::store::StoreError;
use policy::spoofed::{self, Facts, Proved, Ruling};
use policy::{Measure, Sender, Snapshot, Spoofed, Stage};
use queue::{Dispatch, Folder, ReversePath};
use signing::{Claimed, Evidence, Proof, ReceivedFrom};
use std::net::IpAddr;

/// An author of the message whose domain is hosted here.
struct Author {
    address: Address,
    domain: DomainName,
    account: Option<AccountId>,
    level: Spoofed,
    stage: Stage,
}

/// What is noted about a message once it is taken or refused.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// Who is said to have written it: the domain and, where it is somebody's address, the account.
    authors: Vec<(DomainName, Option<AccountId>)>,
    /// Who brought it, without an address.
    brought: String,
}

/// Looks at a message; `dispatch` learns where it goes. The message comes back with its results in front.
///
/// # Errors
/// Those of the store.
pub(super) async fn judge(
    session: &Session,
    greeting: &Greeting,
    envelope: &Envelope,
    message: Message,
    dispatch: &mut Dispatch,
    now: Timestamp,
) -> Result<Result<(Message, Noted), Refusal>, StoreError> {
    if session.login.is_some() || message.report.authors.is_empty() {
        return Ok(Ok((message, Noted::default())));
    }
    let policy = session.context.policies.snapshot();
    let authors = authors(session, &policy, &message.report, now).await?;
    if authors.is_empty() {
        return Ok(Ok((message, Noted::default())));
    }
    let mut domains: Vec<DomainName> = Vec::new();
    for author in &authors {
        if !domains.contains(&author.domain) {
            domains.push(author.domain.clone());
        }
    }
    let Some(evidence) = evidence(session, greeting, envelope, &policy, &message, &domains).await
    else {
        return Ok(Err(not_readable()));
    };
    let help = session.context.help_url(&policy);
    let mut noted = Noted::default();
    let mut ruling = Ruling::Accept;
    for author in &authors {
        let at = domains.iter().position(|domain| *domain == author.domain);
        let proof = at.and_then(|at| evidence.proofs.get(at));
        let one = spoofed::rule(&Facts {
            author: &author.address.to_string(),
            proved: proved(proof),
            vouched: evidence.vouched,
            level: author.level,
            stage: author.stage,
            help,
        });
        if matches!(one, Ruling::Note | Ruling::Junk | Ruling::Refuse(_)) {
            noted.authors.push((author.domain.clone(), author.account));
        }
        ruling = ruling.max(one);
    }
    if !noted.authors.is_empty() {
        noted.brought = brought(session, envelope).await;
    }
    match ruling {
        Ruling::Accept | Ruling::Note => {}
        Ruling::Junk => dispatch.folder = Folder::Junk,
        Ruling::TryLater(text) => return Ok(Err(try_later(text))),
        Ruling::Refuse(text) => {
            note(session, &noted, now);
            return Ok(Err(refusal(text)));
        }
    }
    let field = evidence.field(session.context.signing.host());
    match results_field::with_field(message, &field, session.context.spool()).await {
        Ok(message) => Ok(Ok((message, noted))),
        Err(error) => {
            tracing::error!(name: "smtp.spool_failed", %error, "copying a message in the spool failed");
            Ok(Err(not_readable()))
        }
    }
}

/// The authors that are judged: of hosted domains, where the measure is not off and the server not trusted.
async fn authors(
    session: &Session,
    policy: &Snapshot,
    report: &HeaderReport,
    now: Timestamp,
) -> Result<Vec<Author>, StoreError> {
    let directory = &session.context.directory;
    let client = session.connection.stream.peer().ip();
    let mut judged = Vec::new();
    for (address, domain) in &report.authors {
        let hosting = directory.hosting(domain).await?;
        if hosting == Hosting::Elsewhere || policy.is_trusted_relay(domain.as_str(), client) {
            continue;
        }
        let account = match &*directory.resolve_assigned(address).await? {
            Resolution::Local { deliveries, .. } => match &deliveries[..] {
                [only] => Some(only.account),
                _ => None,
            },
            _ => None,
        };
        let author = Sender {
            account,
            domain: domain.as_str(),
            group: hosting.group(),
        };
        let (level, stage) = policy.spoofed(&author, now).value;
        if stage > Stage::Off {
            judged.push(Author {
                address: address.clone(),
                domain: domain.clone(),
                account,
                level,
                stage,
            });
        }
    }
    Ok(judged)
}

/// What the message proves; `None` where it cannot be read back.
async fn evidence(
    session: &Session,
    greeting: &Greeting,
    envelope: &Envelope,
    policy: &Snapshot,
    message: &Message,
    domains: &[DomainName],
) -> Option<Evidence> {
    let received = ReceivedFrom {
        client: session.connection.stream.peer().ip(),
        hello: greeting.name.to_string(),
        mail_from: match &envelope.sender.path {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address.clone()),
        },
        forwarded_by: String::new(),
    };
    let sealers = domains
        .iter()
        .flat_map(|domain| policy.trusted_sealers(domain.as_str()));
    let sealers: Vec<DomainName> = sealers.cloned().collect();
    let original = (message.original_header.as_ref()).map(|held| held.read_range(0..held.len()));
    let original_header = match original.transpose() {
        Ok(original) => original,
        Err(error) => {
            tracing::error!(name: "smtp.spool_failed", %error, "reading a header back from the spool failed");
            return None;
        }
    };
    let claimed = Claimed {
        message: &message.body,
        original_header: original_header.as_deref(),
        received: &received,
        authors: domains,
        sealers: &sealers,
    };
    match session.context.signing.evidence(&claimed).await {
        Ok(evidence) => Some(evidence),
        Err(error) => {
            tracing::error!(name: "smtp.evidence_failed", %error, "looking who sent a message failed");
            None
        }
    }
}

fn proved(proof: Option<&Proof>) -> Proved {
    match proof {
        Some(Proof::Spf | Proof::Dkim | Proof::Sealed(_)) => Proved::Yes,
        Some(Proof::Unknown) => Proved::Unknown,
        Some(Proof::Nobody) | None => Proved::No,
    }
}

/// RFC 7372 §3.3: several checks were made and none passed.
fn refusal(text: String) -> Refusal {
    Refusal {
        reply: Reply::permanent(Permanent::Refused, Status::MANY_CHECKS_FAILED, text),
        reason: spoofed::REASON,
        explain: "From names a hosted domain, and neither SPF nor DKIM nor a trusted ARC chain proves it.",
    }
}

fn try_later(text: String) -> Refusal {
    Refusal {
        reply: Reply::transient(Transient::LocalError, Status::NO_DIRECTORY, text),
        reason: "spoofed-sender-unknown",
        explain: "From names a hosted domain, and DNS did not answer what would prove it.",
    }
}

fn not_readable() -> Refusal {
    Refusal {
        reply: Reply::transient(
            Transient::LocalError,
            Status::SYSTEM,
            "The message could not be looked at for the moment; nothing of it was kept. Try again later.",
        ),
        reason: "spool-failed",
        explain: "Reading the message back from the spool, or its keys from the store, failed.",
    }
}

/// The server and the domain of the envelope's sender, in words.
async fn brought(session: &Session, envelope: &Envelope) -> String {
    let client = session.connection.stream.peer().ip();
    let watch = session.context.policies.watch();
    let name = watch.reverse_name(client).await.ok().flatten();
    let sender = match &envelope.sender.path {
        ReversePath::Null => "<>",
        ReversePath::Address(address) => address.domain(),
    };
    match name.and_then(|name| without_address(&name, client)) {
        Some(server) => format!("{server} ({sender})"),
        None => format!("a server without name ({sender})"),
    }
}

/// Writes findings about a message that was taken over or refused.
pub(super) fn note(session: &Session, noted: &Noted, now: Timestamp) {
    let findings = &session.context.findings;
    let brought = noted.brought.as_str();
    let mut domains: Vec<&DomainName> = Vec::new();
    for (domain, account) in &noted.authors {
        if !domains.contains(&domain) {
            findings.note_server(Measure::SpoofedSender, domain.as_str(), brought, now);
            domains.push(domain);
        }
        if let Some(account) = account {
            findings.note(Measure::SpoofedSender, *account, brought, now);
        }
        tracing::info!(%domain, brought, "smtp sender is not proved");
    }
}

/// A host's name without what tells its address, as names of dial-in lines do; `None` where nothing is left.
fn without_address(name: &str, client: IpAddr) -> Option<String> {
    let tells = |label: &str| match client.to_canonical() {
        // One number of it may be the number of a server.
        IpAddr::V4(address) => {
            let numbers = label.split(|c: char| !c.is_ascii_digit());
            let numbers = numbers.filter_map(|number| number.parse::<u8>().ok());
            let octets = address.octets();
            let hex = format!("{:08x}", address.to_bits());
            numbers.filter(|number| octets.contains(number)).count() > 1
                || octets.iter().any(|octet| label == octet.to_string())
                || label.to_ascii_lowercase().contains(&hex)
        }
        // Of sixteen bytes some are in any number.
        IpAddr::V6(_) => {
            label.bytes().filter(u8::is_ascii_hexdigit).count() >= 8
                && label.bytes().any(|byte| byte.is_ascii_digit())
        }
    };
    let mut rest = name.trim_end_matches('.');
    let mut kept = rest;
    while let Some((label, above)) = rest.split_once('.') {
        if tells(label) {
            kept = above;
        }
        rest = above;
    }
    kept.contains('.').then(|| kept.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers_do_not_tell_their_address() {
        let of = |name: &str, client: &str| without_address(name, client.parse().unwrap());
        assert_eq!(
            of("mail.far.test", "192.0.2.7").as_deref(),
            Some("mail.far.test")
        );
        assert_eq!(
            of("mx44.far.test.", "192.0.2.7").as_deref(),
            Some("mx44.far.test")
        );
        for name in [
            "192-0-2-7.dyn.far.test",
            "7.2.0.192.dyn.far.test",
            "host.c0000207.dyn.far.test",
            "static-192.0.2.7.dyn.far.test",
        ] {
            assert_eq!(
                of(name, "192.0.2.7").as_deref(),
                Some("dyn.far.test"),
                "{name}"
            );
        }
        assert_eq!(
            of("2001-db8--1a.far.test", "2001:db8::1").as_deref(),
            Some("far.test")
        );
        assert_eq!(of("192-0-2-7.test", "192.0.2.7"), None);
    }
}

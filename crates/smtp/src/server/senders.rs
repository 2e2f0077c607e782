//! Whom a login may send as: asks directory and policy about each address a message names, and has
//! `policy::ownership` rule. Notes findings at the stage `Observe`. Only for customers; in steady
//! state nothing here costs a store access.

use super::header_report::HeaderReport;
use super::relay;
use super::rulings::{Refusal, Ruling};
use super::session::Session;
use crate::reply::{Permanent, Reply, Status};
use directory::{AddressKey, DomainName, Hosting, Identity, Resolution};
use formats::address::Address;
use platform::clock::Timestamp;
use platform::store::StoreError;
use policy::identities::{Home, Usable};
use policy::ownership::{self, HeaderFacts, Help, Nature, Objection, Standing};
use policy::{Measure, Sender, Snapshot, Stage};
use queue::ReversePath;

/// The policy scope of somebody who logged in: the domain and group of the login, whatever the
/// message says it is from.
pub(super) fn scope(login: &Identity) -> Sender<'_> {
    Sender {
        account: Some(login.account),
        domain: login_domain(login),
        group: login.group.as_deref(),
    }
}

/// The domain of the login address, as A-labels.
pub(super) fn login_domain(login: &Identity) -> &str {
    login
        .login
        .rsplit_once('@')
        .map_or("", |(_, domain)| domain)
}

/// The ruling on MAIL FROM, where it is refused at once. While the measure only observes, MAIL FROM is
/// judged with the header: what never becomes a message is no finding.
///
/// # Errors
/// Those of the store.
pub(super) async fn rule_envelope(
    session: &Session,
    login: &Identity,
    path: &ReversePath,
) -> Result<Ruling, StoreError> {
    let policy = session.context.policies.snapshot();
    let now = session.context.clock.now();
    if stage(&policy, login, now) != Stage::Enforce {
        return Ok(Ruling::Accept);
    }
    let objection = object_to_envelope(session, login, &policy, path).await?;
    Ok(objection.map_or(Ruling::Accept, |objection| {
        Ruling::Refuse(refusal(objection))
    }))
}

/// How far sender ownership is for whoever sends. Of a relay source it is all there is instead of a password.
fn stage(policy: &Snapshot, login: &Identity, now: Timestamp) -> Stage {
    match relay::source(login) {
        Some(_) => Stage::Enforce,
        None => policy.ownership(&scope(login), now).value,
    }
}

/// What is known of a message whose senders do not stop it.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// What would have stopped it, had the measure gone further; each sender once.
    pub(super) noted: Vec<Objection>,
    /// The domain of its one author, where the customer may use that address.
    pub(super) author_domain: Option<String>,
}

/// The ruling on the header, and what the signature may say.
///
/// # Errors
/// Those of the store.
pub(super) async fn rule_header(
    session: &Session,
    login: &Identity,
    path: &ReversePath,
    report: &HeaderReport,
) -> Result<Result<Passed, Refusal>, StoreError> {
    let policy = session.context.policies.snapshot();
    let now = session.context.clock.now();
    let stage = stage(&policy, login, now);
    let mut passed = Passed {
        noted: Vec::new(),
        author_domain: author_domain(session, login, &policy, report).await?,
    };
    if stage == Stage::Off {
        return Ok(Ok(passed));
    }
    let mut standings = Vec::new();
    if let Ok(claims) = &report.claims {
        standings.reserve_exact(claims.claims.len());
        for claim in &claims.claims {
            standings.push(standing(session, &policy, login, &claim.address).await?);
        }
    }
    let facts = HeaderFacts {
        claims: report.claims.as_ref().map_err(|fault| *fault),
        standings: &standings,
        null_sender: nature_of_null(path, report.nature),
    };
    let objection = ownership::header(&facts, help(session, login, &policy));
    match ownership::at_stage(stage, objection) {
        ownership::Ruling::Accept => {}
        ownership::Ruling::Note(objection) => passed.noted.push(objection),
        ownership::Ruling::Refuse(objection) => return Ok(Err(refusal(objection))),
    }
    if stage < Stage::Enforce
        && let Some(objection) = object_to_envelope(session, login, &policy, path).await?
        && passed
            .noted
            .iter()
            .all(|noted| noted.used != objection.used)
    {
        passed.noted.push(objection);
    }
    Ok(Ok(passed))
}

async fn object_to_envelope(
    session: &Session,
    login: &Identity,
    policy: &Snapshot,
    path: &ReversePath,
) -> Result<Option<Objection>, StoreError> {
    let ReversePath::Address(address) = path else {
        return Ok(None);
    };
    let standing = standing(session, policy, login, address).await?;
    Ok(ownership::envelope(
        address,
        standing,
        help(session, login, policy),
    ))
}

/// A signature vouches for the author's domain, at every stage of the measure: it is made with the keys
/// of a domain here only for who may use the address.
async fn author_domain(
    session: &Session,
    login: &Identity,
    policy: &Snapshot,
    report: &HeaderReport,
) -> Result<Option<String>, StoreError> {
    let Some(author) = report.author() else {
        return Ok(None);
    };
    let may = author.domain() == login_domain(login)
        || standing(session, policy, login, author).await? == Standing::Owned;
    Ok(may.then(|| author.domain().to_owned()))
}

fn nature_of_null(path: &ReversePath, nature: Nature) -> Option<Nature> {
    (*path == ReversePath::Null).then_some(nature)
}

fn help<'a>(session: &'a Session, login: &'a Identity, policy: &'a Snapshot) -> Help<'a> {
    Help {
        login: &login.login,
        url: session.context.help_url(policy),
    }
}

/// What stands between an account and one address.
async fn standing(
    session: &Session,
    policy: &Snapshot,
    login: &Identity,
    address: &Address,
) -> Result<Standing, StoreError> {
    let directory = &session.context.directory;
    let resolution = directory.resolve_assigned(address).await?;
    if let Resolution::Local { deliveries, .. } = &*resolution
        && deliveries.iter().any(|to| to.account == login.account)
    {
        return Ok(Standing::Owned);
    }
    let elsewhere = *resolution == Resolution::NoSuchDomain;
    // Before identities: whoever controls such a domain can prove it, and would fool people with it.
    if elsewhere && looks_like_ours(session, address).await? {
        return Ok(Standing::LooksLikeOurs);
    }
    let home = match elsewhere {
        true => Home::Elsewhere,
        false => Home::Here,
    };
    if may_send_as(policy.send_as(login.account), address, home) {
        return Ok(Standing::Owned);
    }
    Ok(if elsewhere {
        Standing::Foreign
    } else {
        Standing::Hosted
    })
}

fn may_send_as(usable: &[Usable], address: &Address, home: Home) -> bool {
    !usable.is_empty()
        && AddressKey::of(address)
            .is_some_and(|key| usable.iter().any(|one| one.covers(&key, home)))
}

async fn looks_like_ours(session: &Session, address: &Address) -> Result<bool, StoreError> {
    let Some(resembled) = ownership::resembled_domain(address.domain()) else {
        return Ok(false);
    };
    is_hosted(session, &resembled).await
}

async fn is_hosted(session: &Session, domain: &DomainName) -> Result<bool, StoreError> {
    let hosting = session.context.directory.hosting(domain).await?;
    Ok(hosting != Hosting::Elsewhere)
}

fn refusal(objection: Objection) -> Refusal {
    Refusal {
        reply: Reply::permanent(Permanent::Refused, Status::NOT_AUTHORISED, objection.text),
        reason: objection.reason,
        explain: objection.explain,
    }
}

/// Writes findings about a message that was taken over.
pub(super) fn note(session: &Session, noted: &[Objection], now: Timestamp) {
    let Some(login) = &session.login else {
        return;
    };
    let findings = &session.context.findings;
    for objection in noted {
        let used = &objection.used;
        findings.note(Measure::SenderOwnership, login.account, used, now);
        tracing::info!(
            account = login.account.0,
            reason = objection.reason,
            used,
            "smtp sender would be refused"
        );
    }
}

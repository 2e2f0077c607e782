//! Whom a login may send as: asks directory and policy about each address a message names, and has
//! `policy::ownership` rule. Notes findings at the stage `Observe`. Only for customers; in steady
//! state nothing here costs a store access.

use super::header_report::HeaderReport;
use super::rulings::Ruling;
use super::session::Session;
use crate::reply::{Permanent, Reply, Status};
use directory::{AddressKey, DomainName, Hosting, Identity, Resolution};
use formats::address::Address;
use platform::store::StoreError;
use policy::ownership::{self, HeaderFacts, Help, Nature, Objection, Standing};
use policy::{Measure, SendAs, Sender, Snapshot, Stage};
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

/// The ruling on MAIL FROM.
///
/// # Errors
/// Those of the store.
pub(super) async fn rule_envelope(
    session: &Session,
    login: &Identity,
    path: &ReversePath,
) -> Result<Ruling, StoreError> {
    let policy = session.context.policies.snapshot();
    let stage = policy.ownership(&scope(login)).value;
    let ReversePath::Address(address) = path else {
        return Ok(Ruling::Accept);
    };
    if stage == Stage::Off {
        return Ok(Ruling::Accept);
    }
    let standing = standing(session, &policy, login, address).await?;
    let objection = ownership::envelope(address, standing, help(session, login, &policy));
    Ok(ruled(session, login, stage, objection))
}

/// The ruling on the header.
///
/// # Errors
/// Those of the store.
pub(super) async fn rule_header(
    session: &Session,
    login: &Identity,
    path: &ReversePath,
    report: &HeaderReport,
) -> Result<Ruling, StoreError> {
    let policy = session.context.policies.snapshot();
    let stage = policy.ownership(&scope(login)).value;
    if stage == Stage::Off {
        return Ok(Ruling::Accept);
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
    if stage == Stage::Observe
        && let (Some(objection), ReversePath::Address(sender)) = (&objection, path)
        && objection.used == sender.to_string()
    {
        // MAIL noted this sender: one message is one finding.
        return Ok(Ruling::Accept);
    }
    Ok(ruled(session, login, stage, objection))
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
    let resolution = directory.resolve(address).await?;
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
    if may_send_as(policy.send_as(login.account), address) {
        return Ok(Standing::Owned);
    }
    Ok(if elsewhere {
        Standing::Foreign
    } else {
        Standing::Hosted
    })
}

fn may_send_as(granted: &[SendAs], address: &Address) -> bool {
    if granted.is_empty() {
        return false;
    }
    AddressKey::of(address).is_some_and(|key| {
        granted.iter().any(|granted| match granted {
            SendAs::Address(known) => *known == key,
            SendAs::AnyAt(domain) => domain == key.domain(),
        })
    })
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

/// The stage's ruling, carried as far as it goes here: findings are noted, refusals made replies.
fn ruled(
    session: &Session,
    login: &Identity,
    stage: Stage,
    objection: Option<Objection>,
) -> Ruling {
    match ownership::at_stage(stage, objection) {
        ownership::Ruling::Accept => Ruling::Accept,
        ownership::Ruling::Note(objection) => {
            let now = session.context.clock.now();
            let findings = &session.context.findings;
            findings.note(
                Measure::SenderOwnership,
                login.account,
                &objection.used,
                now,
            );
            tracing::info!(
                account = login.account.0,
                reason = objection.reason,
                used = objection.used,
                "smtp sender would be refused"
            );
            Ruling::Accept
        }
        ownership::Ruling::Refuse(objection) => Ruling::refuse(
            Reply::permanent(Permanent::Refused, Status::NOT_AUTHORISED, objection.text),
            objection.reason,
            objection.explain,
        ),
    }
}

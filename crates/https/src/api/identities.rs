//! Whom accounts may send as beside their own addresses: asked for with a proof by mail, granted by the provider,
//! taken away.

use super::author;
use super::senders::DnsLine;
use crate::access::Right;
use crate::call::{Call, Done, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::{AddressKey, DomainName};
use policy::dns_check::{addresses_of, pools_of, warn_about};
use policy::identities::{Confirmed, Identities, Identity};
use policy::{Scope, SendAs};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Identities that are listed.
const LISTED_MAX: i64 = 100_000;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let (see, own) = ((Right::See, About::Account), (Right::Own, About::Account));
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    const OF_ACCOUNT: &str = "/api/v1/accounts/{account}/identities";
    const ONE: &str = "/api/v1/accounts/{account}/identities/{identity}";
    let request = "/api/v1/accounts/{account}/identities/{identity}/request";
    let confirm = "/api/v1/accounts/{account}/identities/{identity}/confirm";
    vec![
        Route::api(
            Method::GET,
            "/api/v1/identities",
            look,
            "Whom accounts may send as",
            all,
        ),
        Route::api(
            Method::GET,
            OF_ACCOUNT,
            see,
            "Whom an account may send as",
            of_account,
        ),
        Route::api(
            Method::POST,
            request,
            own,
            "Mail a code to an address elsewhere, to prove that it is one's own",
            ask_for,
        ),
        Route::api(Method::POST, confirm, own, "Give that code back", give_code),
        Route::api(
            Method::PUT,
            ONE,
            operate,
            "Let an account send as somebody else without proof",
            grant,
        ),
        Route::api(Method::DELETE, ONE, own, "Take an identity away", remove),
        Route::api(
            Method::GET,
            "/api/v1/accounts/{account}/identities/{identity}/check",
            see,
            "What an identity's domain says about mail from here",
            check,
        ),
    ]
}

fn identities(call: &Call) -> Identities {
    Identities::new(call.services.store.clone())
}

/// Whom an account may send as.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MaySendAs {
    /// The account's address.
    pub account: String,
    /// An address, or `*@domain` for every address there.
    pub identity: String,
    /// How it came to be: `waiting for its code`, `proven` or `granted`.
    pub how: String,
    /// Since when.
    pub since: String,
    /// Who asked for it, or granted it.
    pub by: String,
    /// Why.
    pub reason: String,
}

fn shown(identity: Identity) -> MaySendAs {
    MaySendAs {
        account: identity.login,
        identity: identity.send_as.to_string(),
        how: identity.kind.word().to_owned(),
        since: super::time(identity.created_at.0),
        by: identity.created_by,
        reason: identity.reason,
    }
}

async fn all(call: Call, _: NoQuery, _: NoBody) -> Result<List<MaySendAs>, Problem> {
    let all = identities(&call).list(None, LISTED_MAX).await?;
    Ok(List(all.into_iter().map(shown).collect()))
}

async fn listed(call: &Call) -> Result<Vec<MaySendAs>, Problem> {
    let login = call.login()?;
    let all = identities(call).list(Some(&login), LISTED_MAX).await?;
    Ok(all.into_iter().map(shown).collect())
}

async fn of_account(call: Call, _: NoQuery, _: NoBody) -> Result<List<MaySendAs>, Problem> {
    Ok(List(listed(&call).await?))
}

fn address(call: &Call) -> Result<AddressKey, Problem> {
    Ok(AddressKey::parse(call.param("identity"))?)
}

fn send_as(call: &Call) -> Result<SendAs, Problem> {
    let text = call.param("identity");
    Ok(match text.strip_prefix("*@") {
        Some(domain) => SendAs::AnyAt(DomainName::parse(domain)?),
        None => SendAs::Address(AddressKey::parse(text)?),
    })
}

async fn ask_for(call: Call, _: NoQuery, _: NoBody) -> Result<Done, Problem> {
    let (login, address) = (call.login()?, address(&call)?);
    // An account that does not exist is told first.
    call.note_before(&listed(&call).await?);
    let mailed = call.services.codes.mail(&login, &address, call.who()).await;
    mailed.map(|()| Done).map_err(Problem::invalid)
}

/// A code.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// As it was mailed.
    #[schema(max_length = 100)]
    pub code: String,
}

async fn give_code(call: Call, _: NoQuery, sent: Json<Code>) -> Result<Done, Problem> {
    let (login, address) = (call.login()?, address(&call)?);
    call.note_before(&listed(&call).await?);
    // A code is a secret until it is used, and the log needs none.
    call.note_after(&());
    let confirmed = identities(&call)
        .confirm(&login, &address, &sent.0.code, call.now)
        .await?;
    call.note_after(&listed(&call).await?);
    match confirmed {
        Confirmed::Right => {
            call.services.policies.refresh().await?;
            Ok(Done)
        }
        Confirmed::Wrong { left: 0 } => Err(Problem::invalid(
            "The code is wrong, for the last time; ask for a new one.",
        )),
        Confirmed::Wrong { left } => Err(Problem::invalid(format!(
            "The code is wrong; {left} more tries are left."
        ))),
        Confirmed::NotWaiting => Err(Problem::invalid(format!(
            "No code for {address} waits to be given back, or it is older than 24 hours; ask for a new one."
        ))),
    }
}

/// Why somebody is let.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Who asked for it, and how it is known that they may; kept.
    pub reason: String,
}

async fn grant(call: Call, _: NoQuery, sent: Json<Grant>) -> Result<List<MaySendAs>, Problem> {
    let (login, send_as) = (call.login()?, send_as(&call)?);
    call.note_before(&listed(&call).await?);
    identities(&call)
        .grant(&login, &send_as, author(&call, sent.0.reason))
        .await?;
    call.services.policies.refresh().await?;
    let after = listed(&call).await?;
    call.note_after(&after);
    Ok(List(after))
}

async fn remove(call: Call, _: NoQuery, _: NoBody) -> Result<Done, Problem> {
    let (login, send_as) = (call.login()?, send_as(&call)?);
    call.note_before(&listed(&call).await?);
    identities(&call).remove(&login, &send_as).await?;
    call.services.policies.refresh().await?;
    call.note_after(&listed(&call).await?);
    Ok(Done)
}

async fn check(call: Call, _: NoQuery, _: NoBody) -> Result<List<DnsLine>, Problem> {
    let domain = match send_as(&call)? {
        SendAs::Address(address) => address.domain().clone(),
        SendAs::AnyAt(domain) => domain,
    };
    let services = &call.services;
    let scope = Scope::Account(services.accounts.account_id(&call.login()?).await?);
    if services.accounts.domain(&domain).await.is_ok() {
        // What our own domains say is said by `dns/check`.
        return Ok(List(Vec::new()));
    }
    let (resolver, host_name) = (&*services.resolver, &services.host_name);
    let pools = pools_of(&services.policies, resolver, host_name, &scope, call.now).await?;
    let lines = warn_about(resolver, &domain, &addresses_of(&pools)).await;
    let shown = lines.into_iter().map(|line| DnsLine {
        verdict: line.verdict.word().to_owned(),
        text: line.text,
    });
    Ok(List(shown.collect()))
}

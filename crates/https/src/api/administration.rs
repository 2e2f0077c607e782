//! Tokens, who administers what, and the audit log.

use crate::access::{Right, Role};
use crate::audit::{self, Entry};
use crate::call::{Call, Created, Done, Json, List, NoBody, NoQuery};
use crate::credentials::{self, NewToken, TokenSecret, TokenView};
use crate::grants::{self, Grant, GrantView};
use crate::posture::STATUS_PAGE;
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::{AddressKey, DomainName};
use platform::store::Tx;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// Lines of the audit log in one answer.
const LINES_MAX: i64 = 1000;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let operate = (Right::Change, About::Installation);
    vec![
        Route::api(Method::GET, "/api/v1/tokens", operate, "All tokens", tokens),
        Route::api(
            Method::POST,
            "/api/v1/tokens",
            operate,
            "Make a token, shown once",
            add_token,
        ),
        Route::api(
            Method::DELETE,
            "/api/v1/tokens/{token}",
            operate,
            "End a token",
            revoke_token,
        ),
        Route::api(
            Method::GET,
            "/api/v1/administrators",
            operate,
            "Who administers what",
            list,
        ),
        Route::api(
            Method::POST,
            "/api/v1/administrators",
            operate,
            "Make an account an administrator",
            add,
        ),
        Route::api(
            Method::DELETE,
            "/api/v1/administrators",
            operate,
            "Take that back",
            remove,
        ),
        Route::api(
            Method::GET,
            "/api/v1/audit",
            operate,
            "Who changed what, newest first",
            log,
        ),
    ]
}

/// Roles as the API says them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoleWord {
    /// Everything.
    Operator,
    /// Sees everything and assists accounts.
    Support,
    /// Sees and changes what belongs to named domains.
    DomainAdmin,
    /// Sees the own account.
    User,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Operator => Self::Operator,
            RoleWord::Support => Self::Support,
            RoleWord::DomainAdmin => Self::DomainAdmin,
            RoleWord::User => Self::User,
        }
    }
}

impl From<Role> for RoleWord {
    fn from(role: Role) -> Self {
        match role {
            Role::Operator => Self::Operator,
            Role::Support => Self::Support,
            Role::DomainAdmin => Self::DomainAdmin,
            Role::User => Self::User,
        }
    }
}

/// A token; the secret is nowhere any more.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its name, for ending it.
    pub id: String,
    /// What it may.
    pub role: RoleWord,
    /// The account it acts for.
    pub account: Option<String>,
    /// The domains it administers.
    pub domains: Vec<String>,
    /// What it is for.
    pub label: String,
    /// When it was made.
    pub created: String,
    /// Who made it.
    pub created_by: String,
    /// When it ends.
    pub expires: Option<String>,
    /// The day it was last used.
    pub last_used: Option<String>,
}

impl From<TokenView> for Token {
    fn from(view: TokenView) -> Self {
        Self {
            id: view.id,
            role: view.role.into(),
            account: view.account,
            domains: view.domains,
            label: view.label,
            created: super::time(view.created_at),
            created_by: view.created_by,
            expires: view.expires_at.map(super::time),
            last_used: view.last_used_day.map(super::day),
        }
    }
}

/// A token to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddToken {
    /// What it may.
    pub role: RoleWord,
    /// The account of a user's token.
    pub account: Option<String>,
    /// The domains of a domain admin's token.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub domains: Vec<String>,
    /// What it is for.
    #[schema(min_length = 1, max_length = 100)]
    pub label: String,
    /// When it ends (RFC 3339).
    pub expires: Option<String>,
}

/// A token that was made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MadeToken {
    /// Its name, for ending it.
    pub id: String,
    /// In clear, for this one time.
    pub token: String,
}

async fn tokens(call: Call, _: NoQuery, _: NoBody) -> Result<List<Token>, Problem> {
    let tokens = call.services.store.read(credentials::tokens).await?;
    Ok(List(tokens.into_iter().map(Token::from).collect()))
}

async fn add_token(
    call: Call,
    _: NoQuery,
    sent: Json<AddToken>,
) -> Result<Created<MadeToken>, Problem> {
    let sent = sent.0;
    let domains: Result<Vec<_>, _> = sent.domains.iter().map(|d| DomainName::parse(d)).collect();
    let new = NewToken {
        role: sent.role.into(),
        account: sent.account.as_deref().map(AddressKey::parse).transpose()?,
        domains: domains?,
        label: sent.label,
        expires_at: sent.expires.as_deref().map(super::time_in).transpose()?,
    };
    let secret = TokenSecret::new(&call.services.random);
    let made = MadeToken {
        id: secret.id().to_owned(),
        token: secret.clear().to_owned(),
    };
    let (by, now) = (call.who(), call.now);
    call.services
        .store
        .write(move |tx: &mut dyn Tx| credentials::add_token(tx, &new, &secret, &by, now))
        .await?;
    Ok(Created(made))
}

async fn revoke_token(call: Call, _: NoQuery, _: NoBody) -> Result<Done, Problem> {
    let id = call.param("token").to_owned();
    call.services
        .store
        .write(move |tx: &mut dyn Tx| credentials::revoke_token(tx, &id))
        .await?;
    Ok(Done)
}

/// Somebody who administers something.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Administrator {
    /// The login address.
    pub account: String,
    /// What it is.
    pub role: RoleWord,
    /// Of which domain.
    pub domain: Option<String>,
    /// When it became that.
    pub granted: String,
    /// Who made it that.
    pub granted_by: String,
}

impl From<GrantView> for Administrator {
    fn from(view: GrantView) -> Self {
        Self {
            account: view.account,
            role: view.role.into(),
            domain: view.domain,
            granted: super::time(view.granted_at),
            granted_by: view.granted_by,
        }
    }
}

/// Whom to make what, or take that from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The login address.
    pub account: String,
    /// What.
    pub role: RoleWord,
    /// Of which domain; for `domain-admin`.
    pub domain: Option<String>,
}

impl Named {
    fn grant(&self) -> Result<Grant, Problem> {
        Ok(Grant {
            account: AddressKey::parse(&self.account)?,
            role: self.role.into(),
            domain: self.domain.as_deref().map(DomainName::parse).transpose()?,
        })
    }
}

async fn list(call: Call, _: NoQuery, _: NoBody) -> Result<List<Administrator>, Problem> {
    let grants = call.services.store.read(grants::grants).await?;
    Ok(List(grants.into_iter().map(Administrator::from).collect()))
}

/// Somebody who was made an administrator, and where to begin.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Granted {
    /// The login address.
    pub account: String,
    /// The page to log in on, with the account's address and password.
    pub login_page: String,
    /// The page that is theirs.
    pub page: String,
}

async fn add(call: Call, _: NoQuery, sent: Json<Named>) -> Result<Json<Granted>, Problem> {
    let (grant, by, now) = (sent.0.grant()?, call.who(), call.now);
    let account = grant.account.to_string();
    call.services
        .store
        .write(move |tx: &mut dyn Tx| grants::add_grant(tx, &grant, &by, now))
        .await?;
    let voice = call.services.rollouts.voice().await?;
    let site = voice.site.trim_end_matches('/');
    let page = match sent.0.role {
        RoleWord::Operator | RoleWord::Support => "/support",
        RoleWord::DomainAdmin | RoleWord::User => STATUS_PAGE,
    };
    Ok(Json(Granted {
        account,
        login_page: format!("{site}/login"),
        page: format!("{site}{page}"),
    }))
}

async fn remove(call: Call, _: NoQuery, sent: Json<Named>) -> Result<Done, Problem> {
    let grant = sent.0.grant()?;
    call.services
        .store
        .write(move |tx: &mut dyn Tx| grants::remove_grant(tx, &grant))
        .await?;
    Ok(Done)
}

/// Which lines of the audit log.
#[derive(Deserialize, IntoParams)]
struct Which {
    /// Only about this, such as `domain firma.test`.
    subject: Option<String>,
    /// Only of this caller.
    who: Option<String>,
    /// Only before this entry, for the next page.
    #[param(minimum = 1)]
    before: Option<i64>,
    /// At most so many; 100 where it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A line of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// Its number; they rise.
    pub entry: i64,
    /// When.
    pub at: String,
    /// Who.
    pub who: String,
    /// As what.
    pub role: String,
    /// Method and path.
    pub route: String,
    /// About what.
    pub subject: String,
    /// `done`, `refused` with the status, or `begun`: it never came to an end.
    pub outcome: String,
    /// What was before.
    #[schema(value_type = Object)]
    pub before: Option<Value>,
    /// What was asked for, or is after.
    #[schema(value_type = Object)]
    pub after: Option<Value>,
}

impl From<Entry> for Line {
    fn from(entry: Entry) -> Self {
        let read = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            entry: entry.entry,
            at: super::time(entry.at),
            who: entry.who,
            role: entry.role,
            route: entry.route,
            subject: entry.subject,
            outcome: entry.outcome,
            before: read(entry.before),
            after: read(entry.after),
        }
    }
}

async fn log(call: Call, which: Which, _: NoBody) -> Result<List<Line>, Problem> {
    let no_nul = |text: Option<String>| text.filter(|text| !text.contains('\0'));
    let wanted = audit::Wanted {
        subject: no_nul(which.subject),
        who: no_nul(which.who),
        before: which.before,
        lines_max: which.limit.unwrap_or(100).clamp(1, LINES_MAX),
    };
    let entries = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| audit::entries(tx, &wanted))
        .await?;
    Ok(List(entries.into_iter().map(Line::from).collect()))
}

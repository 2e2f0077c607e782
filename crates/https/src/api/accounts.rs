//! Accounts and their app passwords.

use super::WhatChanged;
use super::domains::{Removal, StatusWord, setting};
use crate::access::{Right, Subject};
use crate::call::{Call, Changed, Created, Done, Json, List, NoBody, NoQuery, Page};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::admin::{AccountView, AppPasswordView, NewAccount, NewPassword};
use directory::password::{AppLimits, Verifier};
use directory::resolution::Status;
use directory::{AddressKey, Pop3Delete};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let in_domain = (Right::See, About::Domain);
    let into_domain = (Right::Change, About::Domain);
    let (see, change) = (
        (Right::See, About::Account),
        (Right::Change, About::Account),
    );
    let own = (Right::Own, About::Account);
    let look = (Right::See, About::Installation);
    const OF_DOMAIN: &str = "/api/v1/domains/{domain}/accounts";
    const ACCOUNT: &str = "/api/v1/accounts/{account}";
    const PASSWORD: &str = "/api/v1/accounts/{account}/password";
    const APP_PASSWORDS: &str = "/api/v1/accounts/{account}/app-passwords";
    const APP_PASSWORD: &str = "/api/v1/accounts/{account}/app-passwords/{label}";
    vec![
        Route::api(
            Method::GET,
            "/api/v1/accounts",
            look,
            "The accounts of all domains",
            all,
        ),
        Route::api(
            Method::GET,
            OF_DOMAIN,
            in_domain,
            "The accounts of a domain",
            list,
        ),
        Route::api(Method::POST, OF_DOMAIN, into_domain, "Add an account", add),
        Route::api(Method::GET, ACCOUNT, see, "An account", one),
        Route::api(Method::PATCH, ACCOUNT, change, "Change an account", set),
        Route::api(
            Method::DELETE,
            ACCOUNT,
            change,
            "Remove an account with its mail",
            remove,
        ),
        Route::api(Method::PUT, PASSWORD, own, "Set the password", set_password),
        Route::api(
            Method::GET,
            APP_PASSWORDS,
            own,
            "The app passwords",
            app_passwords,
        ),
        Route::api(
            Method::POST,
            APP_PASSWORDS,
            own,
            "Make an app password, shown once",
            add_app_password,
        ),
        Route::api(
            Method::DELETE,
            APP_PASSWORD,
            own,
            "End an app password",
            remove_app_password,
        ),
    ]
}

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Its login address.
    pub login: String,
    /// Its number, which is never given again.
    pub id: i64,
    /// `active` or `suspended`.
    pub status: String,
    /// Its own group.
    pub group: Option<String>,
    /// What POP3 DELE does: `remove`, `trash` or `keep`.
    pub pop3_delete: String,
    /// How its password is stored; nothing where it has none.
    pub password_scheme: Option<String>,
    /// Whether SCRAM-SHA-256 works with its password already.
    pub scram: bool,
    /// Aliases that lead to it directly, as far as the caller may see them.
    pub aliases: Vec<String>,
    /// How many app passwords it has.
    pub app_passwords: usize,
    /// Which, for those who may end them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_password_list: Option<Vec<AppPassword>>,
    /// When it came.
    pub created: String,
}

impl Account {
    fn of(call: &Call, view: AccountView) -> Result<Self, Problem> {
        let caller = call.caller()?;
        let own = caller.account.as_ref().map(|(_, login)| login.to_string());
        let is_own = own.is_some_and(|own| own == view.login);
        let aliases = view.aliases.into_iter();
        let subject = Subject::Account(AddressKey::parse(&view.login)?);
        let count = view.app_passwords.len();
        let list = || view.app_passwords.into_iter().map(AppPassword::from);
        Ok(Self {
            login: view.login,
            id: view.id,
            status: view.status.to_owned(),
            group: view.group,
            pop3_delete: view.pop3_delete.to_owned(),
            password_scheme: view.password_scheme,
            scram: view.scram,
            aliases: aliases
                .filter(|alias| is_own || caller.sees_account(alias))
                .collect(),
            app_passwords: count,
            app_password_list: caller.may(Right::Own, &subject).then(|| list().collect()),
            created: super::time(view.created.saturating_mul(1000)),
        })
    }
}

/// A page of accounts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Accounts {
    /// The accounts.
    pub items: Vec<Account>,
    /// How many there are in all.
    pub total: usize,
}

/// An account to be added. Without a choice of password one is made here and told in the answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AddAccount {
    /// The part before the @.
    #[schema(min_length = 1, max_length = 64)]
    pub local: String,
    /// Its password.
    #[serde(flatten)]
    pub password: ChoosePassword,
    /// Its settings.
    #[serde(flatten)]
    pub change: ChangeAccount,
}

/// How a password is to be. Without a choice one is made here and told in the answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChoosePassword {
    /// This one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// That of another server, as a hash such as `{SHA512-CRYPT}$6$…`; only an operator may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// None at all; only app passwords open the account.
    #[serde(default)]
    pub no_password: bool,
}

impl ChoosePassword {
    /// The password, and in clear what was made here.
    fn wanted(&self, call: &Call) -> Result<(NewPassword, Option<String>), Problem> {
        match (&self.password, &self.password_hash, self.no_password) {
            (None, None, false) => {
                let made = call.services.accounts.generate_password().to_string();
                Ok((NewPassword::clear(made.clone()), Some(made)))
            }
            (Some(password), None, false) => Ok((NewPassword::clear(password.clone()), None)),
            (None, Some(hash), false) => {
                // Whoever verifies a hash does the work that it asks for.
                call.require(Right::Change, &Subject::Installation)?;
                let hash = Verifier::parse(hash).map_err(|e| Problem::invalid(e.to_string()))?;
                Ok((NewPassword::Hash(hash), None))
            }
            (None, None, true) => Ok((NewPassword::None, None)),
            _ => Err(Problem::invalid(
                "Give one of password, password_hash and no_password.",
            )),
        }
    }
}

/// What to change; what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeAccount {
    /// `active` or `suspended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusWord>,
    /// Its own group, an empty text for none; only an operator may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What POP3 DELE does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop3_delete: Option<Pop3DeleteWord>,
}

/// What POP3 DELE does.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pop3DeleteWord {
    /// The message goes at QUIT.
    Remove,
    /// It moves to Trash at QUIT.
    Trash,
    /// It stays.
    Keep,
}

impl ChangeAccount {
    fn wanted(&self, call: &Call) -> Result<NewAccount, Problem> {
        if self.group.is_some() {
            // A group decides about limits and source addresses, which are the provider's.
            call.require(Right::Change, &Subject::Installation)?;
        }
        Ok(NewAccount {
            status: self.status.map(Status::from),
            group: setting(self.group.as_ref()),
            pop3_delete: self.pop3_delete.map(|word| match word {
                Pop3DeleteWord::Remove => Pop3Delete::Remove,
                Pop3DeleteWord::Trash => Pop3Delete::Trash,
                Pop3DeleteWord::Keep => Pop3Delete::Keep,
            }),
        })
    }
}

/// An account that was added.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Added {
    /// The account.
    #[serde(flatten)]
    pub account: Account,
    /// The password that was made, for this one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

async fn all(call: Call, page: Page, _: NoBody) -> Result<Json<Accounts>, Problem> {
    let accounts = call.services.accounts.accounts(None).await?;
    shown_page(&call, &page, accounts)
}

fn shown_page(call: &Call, page: &Page, all: Vec<AccountView>) -> Result<Json<Accounts>, Problem> {
    let (part, total) = page.of(all);
    let items: Result<Vec<_>, _> = part.into_iter().map(|a| Account::of(call, a)).collect();
    Ok(Json(Accounts {
        items: items?,
        total,
    }))
}

async fn list(call: Call, page: Page, _: NoBody) -> Result<Json<Accounts>, Problem> {
    let domain = call.domain()?;
    call.services.accounts.domain(&domain).await?;
    let accounts = call.services.accounts.accounts(Some(&domain)).await?;
    shown_page(&call, &page, accounts)
}

async fn shown(call: &Call, login: &AddressKey) -> Result<Account, Problem> {
    Account::of(call, call.services.accounts.account(login).await?)
}

async fn one(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Account>, Problem> {
    Ok(Json(shown(&call, &call.login()?).await?))
}

async fn add(call: Call, _: NoQuery, sent: Json<AddAccount>) -> Result<Created<Added>, Problem> {
    let login = AddressKey::parse(&format!("{}@{}", sent.0.local, call.domain()?))?;
    // What is quoted or encoded in the local part must not lead to another domain.
    call.require(Right::Change, &Subject::Account(login.clone()))?;
    let wanted = sent.0.change.wanted(&call)?;
    let (password, made) = sent.0.password.wanted(&call)?;
    call.services
        .accounts
        .add_account(&login, &wanted, &password, call.now)
        .await?;
    let account = shown(&call, &login).await?;
    call.note_after(&account);
    Ok(Created(Added {
        account,
        password: made,
    }))
}

async fn set(
    call: Call,
    _: NoQuery,
    sent: Json<ChangeAccount>,
) -> Result<Changed<Account>, Problem> {
    let login = call.login()?;
    let wanted = sent.0.wanted(&call)?;
    call.expect(&shown(&call, &login).await?)?;
    let changes = call
        .services
        .accounts
        .set_account(&login, &wanted, call.now)
        .await?;
    let now = shown(&call, &login).await?;
    call.note_after(&now);
    let WhatChanged { changes } = WhatChanged::of(&changes);
    Ok(Changed { now, changes })
}

async fn remove(call: Call, removal: Removal, _: NoBody) -> Result<Json<WhatChanged>, Problem> {
    let login = call.login()?;
    call.expect(&shown(&call, &login).await?)?;
    super::refuse_foreign_references(&call, &login).await?;
    let changes = call
        .services
        .accounts
        .remove_account(&login, removal.dependents(), call.now)
        .await?;
    Ok(Json(WhatChanged::of(&changes)))
}

/// A password to be set. Without a choice of one it is made here and told in the answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPassword {
    /// The new one.
    #[schema(min_length = 8, max_length = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The new one as a hash, such as `{SHA512-CRYPT}$6$…`; only an operator may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// None from now on; only app passwords open the account.
    #[serde(default)]
    pub no_password: bool,
    /// The old one; whoever sets the own password must give it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_password: Option<String>,
}

/// A password that was set.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PasswordSet {
    /// The account.
    pub login: String,
    /// The password that was made, for this one time.
    pub password: Option<String>,
}

async fn set_password(
    call: Call,
    _: NoQuery,
    sent: Json<SetPassword>,
) -> Result<Json<PasswordSet>, Problem> {
    let (login, sent) = (call.login()?, sent.0);
    if !call
        .caller()?
        .may(Right::Change, &Subject::Account(login.clone()))
    {
        let old = sent.old_password.as_deref().unwrap_or("");
        super::session::check(&call, &login.to_string(), old).await?;
    }
    let choice = ChoosePassword {
        password: sent.password,
        password_hash: sent.password_hash,
        no_password: sent.no_password,
    };
    let (new, password) = choice.wanted(&call)?;
    call.services
        .accounts
        .set_password(&login, &new, call.now)
        .await?;
    let login = login.to_string();
    Ok(Json(PasswordSet { login, password }))
}

/// An app password; the password itself is nowhere any more.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AppPassword {
    /// What it is for.
    pub label: String,
    /// When it was made.
    pub created: String,
    /// The day it was last used.
    pub last_used: Option<String>,
    /// What it may be used for; empty for everything.
    pub limits: String,
}

impl From<AppPasswordView> for AppPassword {
    fn from(view: AppPasswordView) -> Self {
        Self {
            label: view.label,
            created: super::time(view.created.saturating_mul(1000)),
            last_used: view.last_used_day.map(super::day),
            limits: view.limits,
        }
    }
}

async fn app_passwords(call: Call, _: NoQuery, _: NoBody) -> Result<List<AppPassword>, Problem> {
    let views = call.services.accounts.app_passwords(&call.login()?).await?;
    Ok(List(views.into_iter().map(AppPassword::from).collect()))
}

/// An app password to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddAppPassword {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100)]
    pub label: String,
    /// What it may be used for, such as `send-only from=scanner@firma.test to=firma.test per-day=100`; without it
    /// for everything.
    #[serde(default)]
    pub limits: String,
}

/// An app password that was made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MadeAppPassword {
    /// What it is for.
    pub label: String,
    /// In clear, for this one time.
    pub password: String,
}

async fn add_app_password(
    call: Call,
    _: NoQuery,
    sent: Json<AddAppPassword>,
) -> Result<Created<MadeAppPassword>, Problem> {
    let accounts = &call.services.accounts;
    let limits: AppLimits = sent
        .0
        .limits
        .parse()
        .map_err(|text: String| Problem::invalid(text))?;
    let made = accounts
        .add_app_password(&call.login()?, &sent.0.label, &limits, call.now)
        .await?;
    Ok(Created(MadeAppPassword {
        label: sent.0.label,
        password: made.password.to_string(),
    }))
}

async fn remove_app_password(call: Call, _: NoQuery, _: NoBody) -> Result<Done, Problem> {
    let accounts = &call.services.accounts;
    accounts
        .remove_app_password(&call.login()?, call.param("label"), call.now)
        .await?;
    Ok(Done)
}

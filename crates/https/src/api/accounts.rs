//! Accounts and their app passwords.

use super::domains::{Removal, StatusWord, setting};
use crate::access::{Right, Subject};
use crate::call::{Call, Created, Done, Json, List, NoBody, NoQuery, Page};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::admin::{AccountView, AppPasswordView, NewAccount, NewPassword};
use directory::password::AppLimits;
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
    const OF_DOMAIN: &str = "/api/v1/domains/{domain}/accounts";
    const ACCOUNT: &str = "/api/v1/accounts/{account}";
    const PASSWORD: &str = "/api/v1/accounts/{account}/password";
    const APP_PASSWORDS: &str = "/api/v1/accounts/{account}/app-passwords";
    const APP_PASSWORD: &str = "/api/v1/accounts/{account}/app-passwords/{label}";
    vec![
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
#[derive(Serialize, ToSchema)]
struct Account {
    /// Its login address.
    login: String,
    /// Its number, which is never given again.
    id: i64,
    /// `active` or `suspended`.
    status: &'static str,
    /// Its own group.
    group: Option<String>,
    /// What POP3 DELE does: `remove`, `trash` or `keep`.
    pop3_delete: &'static str,
    /// How its password is stored.
    password_scheme: Option<String>,
    /// Aliases that lead to it directly, as far as the caller may see them.
    aliases: Vec<String>,
    /// How many app passwords it has.
    app_passwords: usize,
    /// When it came.
    created: String,
}

impl Account {
    fn of(call: &Call, view: AccountView) -> Result<Self, Problem> {
        let caller = call.caller()?;
        let own = caller.account.as_ref().map(|(_, login)| login.to_string());
        let is_own = own.is_some_and(|own| own == view.login);
        let aliases = view.aliases.into_iter();
        Ok(Self {
            login: view.login,
            id: view.id,
            status: view.status,
            group: view.group,
            pop3_delete: view.pop3_delete,
            password_scheme: view.password_scheme,
            aliases: aliases
                .filter(|alias| is_own || caller.sees_account(alias))
                .collect(),
            app_passwords: view.app_passwords.len(),
            created: super::time(view.created.saturating_mul(1000)),
        })
    }
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
struct Accounts {
    items: Vec<Account>,
    total: usize,
}

/// An account to be added.
#[derive(Deserialize, ToSchema)]
struct AddAccount {
    /// The part before the @.
    #[schema(min_length = 1, max_length = 64)]
    local: String,
    /// Its password; without one, it is made here and told in the answer.
    password: Option<String>,
    #[serde(flatten)]
    change: ChangeAccount,
}

/// What to change; what is left out stays.
#[derive(Deserialize, Default, ToSchema)]
struct ChangeAccount {
    status: Option<StatusWord>,
    /// Its own group, an empty text for none; only an operator may.
    group: Option<String>,
    /// What POP3 DELE does.
    pop3_delete: Option<Pop3DeleteWord>,
}

/// What POP3 DELE does.
#[derive(Deserialize, Clone, Copy, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Pop3DeleteWord {
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
#[derive(Serialize, ToSchema)]
struct Added {
    #[serde(flatten)]
    account: Account,
    /// The password that was made, for this one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

async fn list(call: Call, page: Page, _: NoBody) -> Result<Json<Accounts>, Problem> {
    let domain = call.domain()?;
    call.services.accounts.domain(&domain).await?;
    let accounts = call.services.accounts.accounts(Some(&domain)).await?;
    let (part, total) = page.of(accounts);
    let items: Result<Vec<_>, _> = part.into_iter().map(|a| Account::of(&call, a)).collect();
    Ok(Json(Accounts {
        items: items?,
        total,
    }))
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
    let accounts = &call.services.accounts;
    let (password, made) = match &sent.0.password {
        Some(password) => (NewPassword::clear(password.clone()), None),
        None => {
            let made = accounts.generate_password().to_string();
            (NewPassword::clear(made.clone()), Some(made))
        }
    };
    accounts
        .add_account(&login, &wanted, &password, call.now)
        .await?;
    let account = shown(&call, &login).await?;
    call.note_after(&account);
    Ok(Created(Added {
        account,
        password: made,
    }))
}

async fn set(call: Call, _: NoQuery, sent: Json<ChangeAccount>) -> Result<Json<Account>, Problem> {
    let login = call.login()?;
    let wanted = sent.0.wanted(&call)?;
    call.expect(&shown(&call, &login).await?)?;
    call.services
        .accounts
        .set_account(&login, &wanted, call.now)
        .await?;
    let account = shown(&call, &login).await?;
    call.note_after(&account);
    Ok(Json(account))
}

async fn remove(call: Call, removal: Removal, _: NoBody) -> Result<Done, Problem> {
    let login = call.login()?;
    call.expect(&shown(&call, &login).await?)?;
    super::refuse_foreign_references(&call, &login).await?;
    call.services
        .accounts
        .remove_account(&login, removal.dependents(), call.now)
        .await?;
    Ok(Done)
}

/// A password to be set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetPassword {
    /// The new one.
    #[schema(min_length = 8, max_length = 1024)]
    password: String,
    /// The old one; whoever sets the own password must give it.
    old_password: Option<String>,
}

async fn set_password(call: Call, _: NoQuery, sent: Json<SetPassword>) -> Result<Done, Problem> {
    let login = call.login()?;
    if !call
        .caller()?
        .may(Right::Change, &Subject::Account(login.clone()))
    {
        let old = sent.0.old_password.as_deref().unwrap_or("");
        super::session::check(&call, &login.to_string(), old).await?;
    }
    call.services
        .accounts
        .set_password(&login, &NewPassword::clear(sent.0.password), call.now)
        .await?;
    Ok(Done)
}

/// An app password; the password itself is nowhere any more.
#[derive(Serialize, ToSchema)]
struct AppPassword {
    /// What it is for.
    label: String,
    created: String,
    /// The day it was last used.
    last_used: Option<String>,
    /// What it may be used for; empty for everything.
    limits: String,
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
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddAppPassword {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100)]
    label: String,
    /// What it may be used for, such as `send-only from=scanner@firma.test to=firma.test per-day=100`; without it
    /// for everything.
    #[serde(default)]
    limits: String,
}

/// An app password that was made.
#[derive(Serialize, ToSchema)]
struct MadeAppPassword {
    label: String,
    /// In clear, for this one time.
    password: String,
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

//! `rohrpost account`: add, list, show, set, password, remove.

use super::{
    Desk, Format, address, app_password, dependents, domain_name, output, seconds, status_word,
    whole,
};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::{Args, Subcommand};
use directory::{AddressKey, DomainName};
use https::api::WhatChanged;
use https::api::accounts::{
    Account, AddAccount, Added, ChangeAccount, ChoosePassword, PasswordSet, Pop3DeleteWord,
    SetPassword,
};
use https::api::domains::StatusWord;
use serde_json::{Value, json};
use std::io::Read;

/// Longest line read as a password.
const PASSWORD_LINE_BYTES_MAX: u64 = 4096;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Adds an account with its mailboxes. Without a choice of password one is made and printed.
    Add {
        /// The address it logs in with.
        #[arg(value_parser = address)]
        login: AddressKey,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        format: Format,
    },
    /// Lists accounts.
    List {
        /// Only those of this domain.
        #[arg(long, value_parser = domain_name)]
        domain: Option<DomainName>,
        #[command(flatten)]
        format: Format,
    },
    /// Shows one account.
    Show {
        /// The address it logs in with.
        #[arg(value_parser = address)]
        login: AddressKey,
        #[command(flatten)]
        format: Format,
    },
    /// Changes an account.
    Set {
        /// The address it logs in with.
        #[arg(value_parser = address)]
        login: AddressKey,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        format: Format,
    },
    /// Replaces an account's password. Without a choice one is made and printed.
    Password {
        /// The address it logs in with.
        #[arg(value_parser = address)]
        login: AddressKey,
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        format: Format,
    },
    /// Removes an account with all its mail.
    Remove {
        /// The address it logs in with.
        #[arg(value_parser = address)]
        login: AddressKey,
        /// Take it out of aliases, catch-alls and contacts, too.
        #[arg(long)]
        with_aliases: bool,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Args)]
pub(crate) struct Settings {
    /// active or suspended; a suspended account gets no mail and is not let in.
    #[arg(long, value_parser = status_word)]
    status: Option<StatusWord>,
    /// Its own group; "" for its domain's.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// What POP3 DELE does: remove, trash (move to Trash) or keep (refuse).
    #[arg(long, value_parser = pop3_delete_word)]
    pop3_delete: Option<Pop3DeleteWord>,
}

fn pop3_delete_word(text: &str) -> Result<Pop3DeleteWord, String> {
    match text {
        "remove" => Ok(Pop3DeleteWord::Remove),
        "trash" => Ok(Pop3DeleteWord::Trash),
        "keep" => Ok(Pop3DeleteWord::Keep),
        _ => Err("remove, trash or keep".to_owned()),
    }
}

impl Settings {
    fn wanted(&self) -> ChangeAccount {
        ChangeAccount {
            status: self.status,
            group: self.group.clone(),
            pop3_delete: self.pop3_delete,
        }
    }
}

#[derive(Args)]
#[group(id = "password_choice", multiple = false)]
pub(crate) struct Password {
    /// Read the password from the first line of standard input; at least 8 characters.
    #[arg(long)]
    password_stdin: bool,
    /// Take over a hash from another server, such as {SHA512-CRYPT}$6$…; also {SHA256-CRYPT},
    /// {BLF-CRYPT}, {SSHA}, {SSHA256}, {SSHA512}, {PBKDF2}, {ARGON2ID}. The next login with the
    /// password renews it.
    #[arg(long, value_name = "HASH")]
    password_hash: Option<String>,
    /// No password; only app passwords open the account.
    #[arg(long)]
    no_password: bool,
}

impl Password {
    fn choose(&self, input: &mut dyn Read) -> Result<ChoosePassword, String> {
        let password = match self.password_stdin {
            true => Some(first_line(input)?),
            false => None,
        };
        Ok(ChoosePassword {
            password,
            password_hash: self.password_hash.clone(),
            no_password: self.no_password,
        })
    }
}

/// The first line, without its end.
fn first_line(input: &mut dyn Read) -> Result<String, String> {
    let mut text = String::new();
    input
        .take(PASSWORD_LINE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| format!("reading the password failed: {error}"))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err("standard input has no password in its first line".into());
    }
    Ok(line.to_owned())
}

fn place(login: &AddressKey) -> String {
    path(&["accounts", &login.to_string()], &[])
}

pub(super) async fn run(verb: &Verb, desk: &mut Desk<'_>) -> Result<String, String> {
    let api = desk.api;
    Ok(match verb {
        Verb::Add {
            login,
            settings,
            password,
            format,
        } => add(api, login, settings, password.choose(desk.input)?, *format).await?,
        Verb::List { domain, format } => {
            let accounts: Vec<Account> = match domain {
                None => whole(api, &["accounts"]).await?,
                Some(domain) => whole(api, &["domains", domain.as_str(), "accounts"]).await?,
            };
            let values: Vec<Value> = accounts.iter().map(value).collect();
            output::value(*format, &values, |_| list(&accounts))
        }
        Verb::Show { login, format } => {
            let account = api.get(&place(login)).await?;
            output::value(*format, &value(&account), |_| show(&account))
        }
        Verb::Set {
            login,
            settings,
            format,
        } => {
            let done: WhatChanged = api
                .send(Method::Patch, &place(login), &settings.wanted())
                .await?;
            output::sentences(*format, done.changes)
        }
        Verb::Password {
            login,
            password,
            format,
        } => set_password(api, login, password.choose(desk.input)?, *format).await?,
        Verb::Remove {
            login,
            with_aliases,
            format,
        } => {
            let asked = [dependents(*with_aliases)];
            let place = path(&["accounts", &login.to_string()], &asked);
            let done: WhatChanged = api.send(Method::Delete, &place, &()).await?;
            output::sentences(*format, done.changes)
        }
    })
}

async fn add(
    api: &AdminApi,
    login: &AddressKey,
    settings: &Settings,
    password: ChoosePassword,
    format: Format,
) -> Result<String, String> {
    let wanted = AddAccount {
        local: login.local().to_owned(),
        password,
        change: settings.wanted(),
    };
    let place = path(&["domains", login.domain().as_str(), "accounts"], &[]);
    let made: Added = api.send(Method::Post, &place, &wanted).await?;
    let (account, password) = (made.account, made.password);
    let value = json!({ "login": account.login, "id": account.id, "password": password });
    Ok(output::value(format, &value, |_| {
        with_password(
            &format!("Account {} is added.", account.login),
            password.as_ref(),
        )
    }))
}

async fn set_password(
    api: &AdminApi,
    login: &AddressKey,
    password: ChoosePassword,
    format: Format,
) -> Result<String, String> {
    let wanted = SetPassword {
        password: password.password,
        password_hash: password.password_hash,
        no_password: password.no_password,
        old_password: None,
    };
    let place = path(&["accounts", &login.to_string(), "password"], &[]);
    let set: PasswordSet = api.send(Method::Put, &place, &wanted).await?;
    Ok(output::value(format, &set, |set| {
        let done = match wanted.no_password {
            true => format!("Account {login} has no password now; only app passwords open it."),
            false => format!("The password of account {login} is replaced."),
        };
        with_password(&done, set.password.as_ref())
    }))
}

fn value(account: &Account) -> Value {
    let apps = account.app_password_list.iter().flatten();
    json!({
        "login": account.login, "id": account.id, "status": account.status,
        "group": account.group, "pop3_delete": account.pop3_delete,
        "password_scheme": account.password_scheme, "scram": account.scram,
        "app_passwords": apps.map(app_password::value).collect::<Vec<_>>(),
        "aliases": account.aliases, "created": seconds(&account.created),
    })
}

fn with_password(sentence: &str, shown: Option<&String>) -> String {
    match shown {
        None => format!("{sentence}\n"),
        Some(password) => format!("{sentence}\nIts password, shown only now: {password}\n"),
    }
}

fn list(accounts: &[Account]) -> String {
    let row = |account: &Account| {
        vec![
            account.login.clone(),
            account.status.clone(),
            output::or_dash(account.group.as_ref()),
            output::or_dash(account.password_scheme.as_ref()),
            account.app_passwords.to_string(),
        ]
    };
    let rows: Vec<_> = accounts.iter().map(row).collect();
    output::table(
        &["LOGIN", "STATUS", "GROUP", "PASSWORD", "APP PASSWORDS"],
        &rows,
    )
}

fn show(account: &Account) -> String {
    let apps = account.app_password_list.iter().flatten();
    let apps: Vec<&str> = apps.map(|app| app.label.as_str()).collect();
    let listed = |items: String| (!items.is_empty()).then_some(items);
    output::fields(&[
        ("login", Some(account.login.clone())),
        ("number", Some(account.id.to_string())),
        ("status", Some(account.status.clone())),
        ("group", account.group.clone()),
        ("pop3 dele", Some(account.pop3_delete.clone())),
        (
            "password",
            Some(output::or_dash(account.password_scheme.as_ref())),
        ),
        (
            "scram",
            Some(
                if account.scram {
                    "ready"
                } else {
                    "after the next login with PLAIN"
                }
                .to_owned(),
            ),
        ),
        ("app pws", listed(apps.join(", "))),
        ("aliases", listed(account.aliases.join(", "))),
        ("created", Some(output::date(&account.created))),
    ])
}

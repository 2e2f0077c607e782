//! `rohrpost account`: add, list, show, set, password, remove.

use super::{Desk, Format, address, domain_name, output, setting};
use clap::{Args, Subcommand};
use directory::admin::{AccountView, AdminError, Dependents, NewAccount, NewPassword};
use directory::password::Verifier;
use directory::resolution::Status;
use directory::{AddressKey, DomainName, Pop3Delete};
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
    #[arg(long, value_parser = ["active", "suspended"])]
    status: Option<String>,
    /// Its own group; "" for its domain's.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// What POP3 DELE does: remove, trash (move to Trash) or keep (refuse).
    #[arg(long, value_parser = ["remove", "trash", "keep"])]
    pop3_delete: Option<String>,
}

impl Settings {
    fn read(&self) -> Result<NewAccount, AdminError> {
        Ok(NewAccount {
            status: self.status.as_deref().and_then(Status::from_word),
            group: setting(self.group.as_ref(), |text| Ok(text.to_owned()))?,
            pop3_delete: self.pop3_delete.as_deref().and_then(Pop3Delete::from_word),
        })
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

/// A password that was made here is shown once.
struct Chosen {
    password: NewPassword,
    shown: Option<String>,
}

impl Password {
    fn choose(&self, desk: &mut Desk<'_>) -> Result<Chosen, AdminError> {
        if self.no_password {
            return Ok(Chosen {
                password: NewPassword::None,
                shown: None,
            });
        }
        if let Some(hash) = &self.password_hash {
            let hash = Verifier::parse(hash).map_err(|e| AdminError::Invalid(e.to_string()))?;
            return Ok(Chosen {
                password: NewPassword::Hash(hash),
                shown: None,
            });
        }
        if self.password_stdin {
            let password = NewPassword::clear(first_line(desk.input)?);
            return Ok(Chosen {
                password,
                shown: None,
            });
        }
        let made = desk.admin.generate_password();
        Ok(Chosen {
            password: NewPassword::clear(made.as_str()),
            shown: Some(made.to_string()),
        })
    }
}

/// The first line, without its end.
fn first_line(input: &mut dyn Read) -> Result<String, AdminError> {
    let mut text = String::new();
    input
        .take(PASSWORD_LINE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| AdminError::Invalid(format!("reading the password failed: {error}")))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(AdminError::Invalid(
            "standard input has no password in its first line".into(),
        ));
    }
    Ok(line.to_owned())
}

pub(super) async fn run(verb: &Verb, desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let (admin, now) = (desk.admin, desk.now);
    match verb {
        Verb::Add {
            login,
            settings,
            password,
            format,
        } => {
            let chosen = password.choose(desk)?;
            let id = admin
                .add_account(login, &settings.read()?, &chosen.password, now)
                .await?;
            let made = serde_json::json!({ "login": login.to_string(), "id": id.0, "password": chosen.shown });
            output::value(*format, &made, |_| {
                with_password(&format!("Account {login} is added."), chosen.shown.as_ref())
            })
        }
        Verb::List { domain, format } => output::value(
            *format,
            &admin.accounts(domain.as_ref()).await?,
            |accounts| list(accounts),
        ),
        Verb::Show { login, format } => output::value(*format, &admin.account(login).await?, show),
        Verb::Set {
            login,
            settings,
            format,
        } => output::changes(
            *format,
            &admin.set_account(login, &settings.read()?, now).await?,
        ),
        Verb::Password {
            login,
            password,
            format,
        } => {
            let chosen = password.choose(desk)?;
            admin.set_password(login, &chosen.password, now).await?;
            let made = serde_json::json!({ "login": login.to_string(), "password": chosen.shown });
            output::value(*format, &made, |_| {
                let done = match chosen.password {
                    NewPassword::None => {
                        format!("Account {login} has no password now; only app passwords open it.")
                    }
                    _ => format!("The password of account {login} is replaced."),
                };
                with_password(&done, chosen.shown.as_ref())
            })
        }
        Verb::Remove {
            login,
            with_aliases,
            format,
        } => {
            let dependents = if *with_aliases {
                Dependents::Remove
            } else {
                Dependents::Keep
            };
            output::changes(
                *format,
                &admin.remove_account(login, dependents, now).await?,
            )
        }
    }
}

fn with_password(sentence: &str, shown: Option<&String>) -> String {
    match shown {
        None => format!("{sentence}\n"),
        Some(password) => format!("{sentence}\nIts password, shown only now: {password}\n"),
    }
}

fn list(accounts: &[AccountView]) -> String {
    let row = |account: &AccountView| {
        vec![
            account.login.clone(),
            account.status.to_owned(),
            output::or_dash(account.group.as_ref()),
            output::or_dash(account.password_scheme.as_ref()),
            account.app_passwords.len().to_string(),
        ]
    };
    let rows: Vec<_> = accounts.iter().map(row).collect();
    output::table(
        &["LOGIN", "STATUS", "GROUP", "PASSWORD", "APP PASSWORDS"],
        &rows,
    )
}

fn show(account: &AccountView) -> String {
    let apps: Vec<&str> = account
        .app_passwords
        .iter()
        .map(|app| app.label.as_str())
        .collect();
    let listed = |items: String| (!items.is_empty()).then_some(items);
    output::fields(&[
        ("login", Some(account.login.clone())),
        ("number", Some(account.id.to_string())),
        ("status", Some(account.status.to_owned())),
        ("group", account.group.clone()),
        ("pop3 dele", Some(account.pop3_delete.to_owned())),
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
        ("created", Some(output::date(account.created))),
    ])
}

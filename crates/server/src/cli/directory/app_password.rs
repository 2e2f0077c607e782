//! `rohrpost app-password`: add, list, remove.

use super::{Desk, Format, address, output};
use clap::Subcommand;
use directory::AddressKey;
use directory::admin::{AdminError, AppPasswordView};

/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Makes an app password and prints it once.
    Add {
        /// The account.
        #[arg(value_parser = address)]
        login: AddressKey,
        /// What it is for, such as "phone".
        label: String,
        #[command(flatten)]
        format: Format,
    },
    /// Lists the app passwords of an account.
    List {
        /// The account.
        #[arg(value_parser = address)]
        login: AddressKey,
        #[command(flatten)]
        format: Format,
    },
    /// Revokes an app password.
    Remove {
        /// The account.
        #[arg(value_parser = address)]
        login: AddressKey,
        /// What it was for.
        label: String,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(verb: &Verb, desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let (admin, now) = (desk.admin, desk.now);
    match verb {
        Verb::Add {
            login,
            label,
            format,
        } => {
            let made = admin.add_app_password(login, label, now).await?.password;
            let value = serde_json::json!({
                "login": login.to_string(), "label": label, "password": made.as_str(),
            });
            output::value(*format, &value, |_| {
                format!(
                    "The app password \"{label}\" of account {login}, shown only now: {}\n",
                    made.as_str()
                )
            })
        }
        Verb::List { login, format } => {
            output::value(*format, &admin.app_passwords(login).await?, |apps| {
                list(apps)
            })
        }
        Verb::Remove {
            login,
            label,
            format,
        } => {
            admin.remove_app_password(login, label, now).await?;
            output::done(
                *format,
                &format!("account {login} loses the app password \"{label}\""),
            )
        }
    }
}

fn list(apps: &[AppPasswordView]) -> String {
    let row = |app: &AppPasswordView| {
        let last_used = app.last_used_day.map(|day| output::date(day * DAY_SECONDS));
        vec![
            app.label.clone(),
            output::date(app.created),
            output::or_dash(last_used.as_ref()),
        ]
    };
    let rows: Vec<_> = apps.iter().map(row).collect();
    output::table(&["LABEL", "CREATED", "LAST USED"], &rows)
}

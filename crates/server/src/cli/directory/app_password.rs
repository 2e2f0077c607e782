//! `rohrpost app-password`: add, list, remove.

use super::{Format, address, output, seconds};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::Subcommand;
use directory::password::{AppLimits, Party, Services};
use directory::{AddressBlock, AddressKey};
use https::api::accounts::{AddAppPassword, AppPassword, MadeAppPassword};
use serde_json::{Value, json};

/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Makes an app password and prints it once.
    ///
    /// For a device, limit it to what the device does: whoever takes it out of a printer can then
    /// neither read mail with it nor send to the whole world. A login that is outside these limits
    /// is refused like a wrong password; the log tells the reason. To change limits, remove the app
    /// password and make another.
    ///
    /// Example: rohrpost app-password add anna@firma.example scanner --send-only
    ///          --from scanner@firma.example --to firma.example --per-hour 20 --network 192.0.2.0/24
    #[command(verbatim_doc_comment)]
    Add {
        /// The account.
        #[arg(value_parser = address)]
        login: AddressKey,
        /// What it is for, such as "phone".
        label: String,
        #[command(flatten)]
        limits: Box<Limits>,
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

/// What the app password may be used for; everything, where nothing is given.
#[derive(clap::Args)]
pub(crate) struct Limits {
    /// It sends mail and opens nothing else.
    #[arg(long)]
    send_only: bool,
    /// It sends only as this address, or as addresses of this domain; may be given more than once.
    #[arg(long, value_name = "ADDRESS|DOMAIN")]
    from: Vec<Party>,
    /// It sends only to this address, or to addresses of this domain; may be given more than once.
    #[arg(long, value_name = "ADDRESS|DOMAIN")]
    to: Vec<Party>,
    /// It sends at most so many messages in an hour.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    per_hour: Option<u32>,
    /// It sends at most so many messages in a day (UTC).
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    per_day: Option<u32>,
    /// It logs in only from this network, such as 192.0.2.0/24; may be given more than once.
    #[arg(long, value_name = "NETWORK")]
    network: Vec<AddressBlock>,
}

impl Limits {
    fn wanted(&self) -> AppLimits {
        AppLimits {
            services: match self.send_only {
                true => Services::SendOnly,
                false => Services::All,
            },
            senders: self.from.clone(),
            recipients: self.to.clone(),
            per_hour: self.per_hour,
            per_day: self.per_day,
            networks: self.network.clone(),
        }
    }
}

pub(super) async fn run(verb: &Verb, api: &AdminApi) -> Result<String, String> {
    Ok(match verb {
        Verb::Add {
            login,
            label,
            limits,
            format,
        } => {
            let limits = limits.wanted();
            let wanted = AddAppPassword {
                label: label.clone(),
                limits: limits.to_string(),
            };
            let place = path(&["accounts", &login.to_string(), "app-passwords"], &[]);
            let made: MadeAppPassword = api.send(Method::Post, &place, &wanted).await?;
            let value = json!({
                "login": login.to_string(), "label": label, "password": made.password,
                "limits": wanted.limits,
            });
            output::value(*format, &value, |_| {
                let limited = match limits.is_unlimited() {
                    true => String::new(),
                    false => format!("It is limited to: {limits}\n"),
                };
                format!(
                    "The app password \"{label}\" of account {login}, shown only now: {}\n{limited}",
                    made.password
                )
            })
        }
        Verb::List { login, format } => {
            let place = path(&["accounts", &login.to_string(), "app-passwords"], &[]);
            let apps: Vec<AppPassword> = api.get(&place).await?;
            let values: Vec<Value> = apps.iter().map(value).collect();
            output::value(*format, &values, |_| list(&apps))
        }
        Verb::Remove {
            login,
            label,
            format,
        } => {
            let place = ["accounts", &login.to_string(), "app-passwords", label];
            api.send::<()>(Method::Delete, &path(&place, &[]), &())
                .await?;
            let done = format!("account {login} loses the app password \"{label}\"");
            output::done(*format, done)
        }
    })
}

/// As JSON.
pub(super) fn value(app: &AppPassword) -> Value {
    // The API tells a day as a date.
    let day = |date: &String| seconds(&format!("{date}T00:00:00Z")) / DAY_SECONDS;
    json!({
        "label": app.label, "created": seconds(&app.created),
        "last_used_day": app.last_used.as_ref().map(day), "limits": app.limits,
    })
}

fn list(apps: &[AppPassword]) -> String {
    let row = |app: &AppPassword| {
        vec![
            app.label.clone(),
            output::date(&app.created),
            output::or_dash(app.last_used.as_ref()),
            match app.limits.as_str() {
                "" => "-".to_owned(),
                limits => limits.to_owned(),
            },
        ]
    };
    let rows: Vec<_> = apps.iter().map(row).collect();
    output::table(&["LABEL", "CREATED", "LAST USED", "LIMITED TO"], &rows)
}

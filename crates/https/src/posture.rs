//! How an account stands: what it must do, how it connects, whether it may keep an old client. Gathered once for the
//! page of its owner, the support view and the API; with the words for it in both languages.

use crate::call::Call;
use crate::language::{Language, Speak as _};
use crate::problem::Problem;
use directory::AddressKey;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use policy::clients::{Catalogue, Recognised};
use policy::connections::{Connection, Device, Outcome, Status, list, status};
use policy::legacy::{NotOpen, open_until};
use policy::{Encryption, Sender, Service};
use rollout::Voice;
use rollout::guides::{self, Places, Ports, Rendered, Transition};
use rollout::wording::{date, epoch_day};
use std::sync::Arc;

/// Where the status page of the own account is.
pub(crate) const STATUS_PAGE: &str = "/status";

/// How an account stands.
pub(crate) struct Posture {
    pub(crate) login: AddressKey,
    /// Whether it must do something.
    pub(crate) status: Status,
    /// How it connected, latest first.
    pub(crate) connections: Vec<Connection>,
    /// Whether it may use the legacy hosts.
    pub(crate) enrolled: bool,
    /// Until when it could.
    pub(crate) legacy: Result<Timestamp, NotOpen>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) voice: Voice,
    zone_end: Option<jiff::civil::Date>,
}

/// Gathers it.
///
/// # Errors
/// Where there is no such account, or the store fails.
pub(crate) async fn of(call: &Call, login: &AddressKey) -> Result<Posture, Problem> {
    let services = &call.services;
    let account = services.accounts.account_id(login).await?;
    let group = services.accounts.account(login).await?.group;
    let group = match group {
        Some(group) => Some(group),
        None => services.accounts.domain(login.domain()).await?.group,
    };
    // What was seen a moment ago counts, too.
    services.connections.flush().await?;
    let snapshot = services.policies.snapshot();
    let (now, asked) = (call.now, snapshot.clone());
    let (status, connections) = services
        .store
        .read(move |tx: &mut dyn Tx| {
            Ok::<_, StoreError>((status(tx, &asked, account, now)?, list(tx, account)?))
        })
        .await?;
    let sender = Sender {
        account: Some(account),
        domain: login.domain().as_str(),
        group: group.as_deref(),
    };
    let legacy = open_until(&snapshot, &sender, now);
    // The last moment belongs to the last day.
    let last = legacy.as_ref().ok().map(|end| Timestamp(end.0 - 1));
    Ok(Posture {
        login: login.clone(),
        status,
        connections,
        enrolled: snapshot.enrolled(account),
        zone_end: last.map(|last| epoch_day(snapshot.day(last))),
        legacy,
        catalogue: services.policies.catalogue(),
        voice: services.rollouts.voice().await?,
    })
}

impl Posture {
    /// Whether it must do something now.
    pub(crate) fn devices(&self) -> &[Device] {
        match &self.status {
            Status::NothingToDo => &[],
            Status::ActionNeeded(action) => &action.devices,
        }
    }

    /// The last day of legacy access, in words.
    pub(crate) fn legacy_end(&self, language: Language) -> Option<String> {
        self.zone_end.map(|day| date(day, language))
    }

    /// Who a connection's key stands for.
    pub(crate) fn recognised(&self, key: &str) -> Recognised {
        self.catalogue.from_key(key)
    }

    /// The program in words.
    pub(crate) fn client(&self, key: &str, language: Language) -> String {
        client_words(&self.catalogue, key, language)
    }

    /// The guide for a program.
    pub(crate) fn guide(&self, key: &str, language: Language) -> Option<Rendered> {
        let guide = guides::for_client(&self.recognised(key))?;
        let page = format!("{}{}", self.voice.site, STATUS_PAGE.trim_start_matches('/'));
        let places = Places {
            voice: &self.voice,
            ports: Ports::default(),
            transition: self.zone_end.map(|end| Transition { end, page: &page }),
        };
        Some(guide.render(language, &places, Some(&self.login.to_string())))
    }
}

/// The program with this key in words.
pub(crate) fn client_words(catalogue: &Catalogue, key: &str, language: Language) -> String {
    let recognised = catalogue.from_key(key);
    match recognised.is_known() {
        true => recognised.in_words(language),
        false => language
            .of(
                "unbekanntes Programm oder Gerät",
                "unknown program or device",
            )
            .to_owned(),
    }
}

/// A day since 1970 in words.
pub(crate) fn day_words(day: i64, language: Language) -> String {
    date(epoch_day(day), language)
}

/// What is spoken, in words.
pub(crate) fn service_words(service: Service, language: Language) -> &'static str {
    match service {
        Service::Submission => language.of("Versand (SMTP)", "sending (SMTP)"),
        Service::Imap => "IMAP",
        Service::Pop3 => "POP3",
        Service::ManageSieve => language.of("Filter (ManageSieve)", "filters (ManageSieve)"),
        Service::Http => "Web",
        Service::Mx | Service::Relay => language.of("Server", "server"),
    }
}

/// How it was encrypted, as mail programs name it.
pub(crate) fn encryption_words(encryption: Encryption, language: Language) -> &'static str {
    match encryption {
        Encryption::Clear => language.of("keine", "none"),
        Encryption::StartTls => "STARTTLS",
        Encryption::ImplicitTls => "SSL/TLS",
    }
}

/// What became of it, and what it means.
pub(crate) fn outcome_words(outcome: Outcome, language: Language) -> &'static str {
    match outcome {
        Outcome::LoggedIn => language.of("angemeldet", "logged in"),
        Outcome::Refused => language.of("abgewiesen", "refused"),
        Outcome::WrongPassword => language.of("falsches Passwort", "wrong password"),
        Outcome::PasswordInClear => language.of(
            "abgewiesen: Passwort unverschlüsselt gesendet",
            "refused: password sent without encryption",
        ),
        Outcome::HandshakeFailed => language.of(
            "keine gemeinsame Verschlüsselung gefunden",
            "no common encryption found",
        ),
        Outcome::WrongMode => language.of(
            "Verbindungssicherheit passt nicht zum Port: Bei den Ports 143, 110 und 587 gehört STARTTLS dazu, bei 993, \
             995 und 465 SSL/TLS",
            "the connection security does not fit the port: 143, 110 and 587 go with STARTTLS, 993, 995 and 465 with \
             SSL/TLS",
        ),
    }
}

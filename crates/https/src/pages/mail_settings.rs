//! `/einstellungen` (and `/settings`): what the owner of an account enters into a mail program, with this provider's own
//! host names and ports, the way that is encrypted from the first byte first; whom the account may send as; and what
//! to do about tools that send past us. Never shows a legacy host or a way without encryption: `discovery` has none.

use super::{Page, delegation, discovery as channels, respond};
use crate::access::Right;
use crate::call::Call;
use crate::language::{Language, Speak as _};
use crate::posture::service_words;
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use axum::response::Response;
use directory::AddressKey;
use directory::admin::AccountView;
use discovery::{Encryption, Protocol, Server, Servers};
use maud::{Markup, html};
use policy::Service;
use policy::identities::{Identities, Identity, Kind};

/// Identities that are shown.
const IDENTITIES_MAX: i64 = 100;

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let own = (Right::Own, About::Caller);
    vec![
        Route::page(Method::GET, "/einstellungen", own, page),
        Route::page(Method::GET, "/settings", own, page),
    ]
}

/// Its address in a language.
pub(super) fn address(language: Language) -> &'static str {
    language.of("/einstellungen", "/settings")
}

async fn page(call: Call) -> Result<Response, Problem> {
    let login = super::own_login(&call)?;
    let services = &call.services;
    let voice = services.rollouts.voice().await?;
    let servers = services.connecting.servers(&voice);
    let account = services.accounts.account(&login).await?;
    let identities = Identities::new(services.store.clone());
    let identities = identities.list(Some(&login), IDENTITIES_MAX).await?;
    let language = call.language;
    let body = html! {
        (entries(&servers, &login, &account, language))
        (set_up(language))
        (senders(&account, &identities, language))
        h2 { (language.of("Newsletter, Shop und andere Werkzeuge", "Newsletters, shops and other tools")) }
        p { (rollout::delegation::danger(language)) }
        (way_to_delegation(&call, &login))
    };
    let title = language.of("Server und Absender", "Servers and senders");
    Ok(respond(&call, Page::new(title, body)))
}

fn service(protocol: Protocol) -> Service {
    match protocol {
        Protocol::Imap => Service::Imap,
        Protocol::Pop3 => Service::Pop3,
        Protocol::Smtp => Service::Submission,
    }
}

/// What goes into the fields of a mail program.
fn entries(
    servers: &Servers,
    login: &AddressKey,
    account: &AccountView,
    language: Language,
) -> Markup {
    html! {
        table {
            caption { (language.of("Server", "Servers")) }
            thead {
                tr {
                    th scope="col" { (language.of("Dienst", "Service")) }
                    th scope="col" { "Server" }
                    th scope="col" { "Port" }
                    th scope="col" { (language.of("Verschlüsselung", "Encryption")) }
                }
            }
            tbody { @for server in servers.all() { (entry(server, language)) } }
        }
        dl {
            dt { (language.of("Benutzername", "User name")) }
            dd { (login) (language.of(" (die ganze Adresse)", " (the whole address)")) }
            dt { (language.of("Passwort", "Password")) }
            dd { (password(account, language)) }
        }
    }
}

fn entry(server: &Server, language: Language) -> Markup {
    let is_best = server.encryption() == Encryption::ImplicitTls;
    html! {
        tr {
            th scope="row" { (service_words(service(server.protocol()), language)) }
            td { code { (server.host()) } }
            td { (server.port()) }
            td {
                (server.encryption().shown())
                @if is_best { (language.of(" (empfohlen)", " (recommended)")) }
            }
        }
    }
}

/// Which password opens it.
fn password(account: &AccountView, language: Language) -> &'static str {
    match account.password_scheme {
        Some(_) => language.of(
            "das Passwort des Postfachs, oder für jedes Gerät ein eigenes App-Passwort",
            "the password of the account, or an app password of its own for every device",
        ),
        None => language.of(
            "ein App-Passwort; ein anderes gibt es für dieses Postfach nicht",
            "an app password; this account has no other",
        ),
    }
}

fn set_up(language: Language) -> Markup {
    html! {
        p {
            (language.of(
                "Die meisten Programme finden das alles selbst, wenn Sie nur Adresse und Passwort eingeben. ",
                "Most programs find all of this by themselves if you only enter address and password. ",
            ))
            a href="/help/" { (language.of("Anleitungen", "Guides")) } " · "
            a href=(channels::PROFILE) {
                (language.of("Profil für iPhone, iPad und Mac", "Profile for iPhone, iPad and Mac"))
            }
        }
    }
}

fn senders(account: &AccountView, identities: &[Identity], language: Language) -> Markup {
    let usable = identities.iter().filter(|one| one.kind != Kind::Waiting);
    html! {
        h2 { (language.of("Als wer Sie senden dürfen", "Whom you may send as")) }
        ul {
            li { (account.login) }
            @for alias in &account.aliases { li { (alias) } }
            @for identity in usable { li { (identity.send_as.to_string()) } }
        }
        p {
            (language.of(
                "Senden Sie Nachrichten mit diesen Adressen immer über den Server oben, auch von Geräten und \
                 Webseiten aus: ",
                "Always send mail with these addresses through the server above, from devices and websites, too: ",
            ))
            a href="/h/sender" { (language.of("Warum?", "Why?")) }
        }
    }
}

/// The wizard, for who may use it; whom to ask, for everybody else.
fn way_to_delegation(call: &Call, login: &AddressKey) -> Markup {
    let language = call.language;
    html! {
        p {
            @if delegation::is_for(call, login.domain()) {
                a href={ (delegation::address(language)) "?name=news." (login.domain()) } {
                    (language.of("Subdomain für ein Werkzeug einrichten", "Set up a subdomain for a tool"))
                }
            } @else {
                (language.of("Wer die Domain ", "Whoever administers "))
                (login.domain())
                (language.of(
                    " verwaltet, kann dafür eine Subdomain mit eigenem Schlüssel einrichten, zum Beispiel news.",
                    " can set up a subdomain with a key of its own for that, such as news.",
                ))
                (login.domain()) "."
            }
        }
    }
}

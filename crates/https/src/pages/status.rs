//! `/status`: the owner of an account sees whether anything must be done, with which devices, how it connected, and keeps
//! an old device working until the end of legacy access, never after. And `/abmelden/`: one click ends the newsletter.

use super::{Page, form_field, guides, own_login, respond};
use crate::access::Right;
use crate::answer;
use crate::call::Call;
use crate::form;
use crate::language::{Language, Speak as _};
use crate::posture::{
    self, Posture, STATUS_PAGE, day_words, encryption_words, outcome_words, service_words,
};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use policy::admin::Author;
use policy::connections::{Connection, Status};
use policy::legacy::Enrolments;

/// Seconds after which the page looks again, where somebody waits for it to turn green.
const LOOK_AGAIN_SECONDS: u32 = 2;

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let own = (Right::Own, About::Caller);
    let anyone = (Right::Public, About::Installation);
    vec![
        Route::page(Method::GET, STATUS_PAGE, own, page),
        Route::page(Method::POST, "/status/keep", own, keep).audited(),
        Route::page(Method::GET, "/abmelden/{token}", anyone, ask_to_end),
        Route::page(Method::POST, "/abmelden/{token}", anyone, end_newsletter),
        Route::page(Method::GET, "/unsubscribe/{token}", anyone, ask_to_end),
        Route::page(Method::POST, "/unsubscribe/{token}", anyone, end_newsletter),
    ]
}

async fn page(call: Call) -> Result<Response, Problem> {
    let posture = posture::of(&call, &own_login(&call)?).await?;
    let language = call.language;
    let body = html! {
        (verdict(&posture, language))
        (devices(&call, &posture))
        (keep_old(&call, &posture))
        h2 { (language.of("Meine Verbindungen", "My connections")) }
        (connections(&posture, language))
    };
    let mut page = Page::new(language.of("Mein Postfach", "My account"), body);
    page.again_after_seconds = again(&call);
    Ok(respond(&call, page))
}

/// Whether the page was asked to look again by itself.
pub(super) fn again(call: &Call) -> Option<u32> {
    let live = form::asked(call.uri.query(), "live");
    (live.as_deref() == Some("1")).then_some(LOOK_AGAIN_SECONDS)
}

/// Green, or what is wrong.
pub(super) fn verdict(posture: &Posture, language: Language) -> Markup {
    html! {
        @match &posture.status {
            Status::NothingToDo => {
                p.good role="status" {
                    (language.of(
                        "✓ Alles in Ordnung: Sie müssen nichts tun.",
                        "✓ All is well: there is nothing you have to do.",
                    ))
                }
            }
            Status::ActionNeeded(action) => {
                p.bad role="status" {
                    (language.of("Bitte handeln Sie: seit dem ", "Please act: since "))
                    (day_words(action.since, language))
                    (language.of(
                        " entspricht etwas nicht mehr dem, was wir verlangen.",
                        " something does not meet what we ask for.",
                    ))
                }
                @if action.exposed.is_some() {
                    p {
                        (language.of(
                            "Ihr Passwort wurde unverschlüsselt übertragen. Ändern Sie es, sobald alle Geräte \
                             verschlüsselt verbunden sind.",
                            "Your password was sent without encryption. Change it as soon as all devices connect \
                             with encryption.",
                        ))
                    }
                }
                @if !action.senders.is_empty() {
                    p {
                        (language.of(
                            "Absender, die nicht zu Ihrem Postfach gehören: ",
                            "Senders that do not belong to your account: ",
                        ))
                        (action.senders.join(", ")) " "
                        a href="/h/sender" { (language.of("Was tun?", "What to do?")) }
                    }
                }
            }
        }
    }
}

/// The affected devices, each with what to do.
fn devices(call: &Call, posture: &Posture) -> Markup {
    let language = call.language;
    let live = format!("{STATUS_PAGE}?live=1&lang={}", language.tag());
    html! {
        @if !posture.devices().is_empty() {
            h2 { (language.of("Betroffene Geräte", "Affected devices")) }
            @for device in posture.devices() {
                section {
                    h3 { (posture.client(&device.client, language)) }
                    p {
                        (service_words(device.service, language))
                        ", Port " (device.port) ", "
                        (language.of("Verschlüsselung: ", "encryption: "))
                        @match device.tls {
                            Some(version) => (version.to_string()),
                            None => (encryption_words(device.encryption, language)),
                        }
                        ", " (language.of("zuletzt ", "last ")) (day_words(device.last_day, language))
                    }
                    @if let Some(guide) = posture.guide(&device.client, language) {
                        p { (guide.brief) }
                        p {
                            a href=(guides::address_for(guide.id, &posture.login, call)) {
                                (language.of("Anleitung: ", "Guide: ")) (guide.title)
                            }
                        }
                    }
                }
            }
            p {
                a href=(live) {
                    (language.of(
                        "Geändert? Hier warten, bis es grün wird.",
                        "Changed it? Wait here until it turns green.",
                    ))
                }
            }
        }
    }
}

/// The button that keeps an old device working, as long as there is legacy access.
fn keep_old(call: &Call, posture: &Posture) -> Markup {
    let language = call.language;
    let Some(end) = posture.legacy_end(language) else {
        return html! {};
    };
    html! {
        h2 { (language.of("Altes Gerät vorübergehend weiter nutzen", "Keep an old device for now")) }
        @if posture.enrolled {
            p.good { (language.of("Der Zugang für alte Geräte ist an bis zum ", "The access for old devices is on until ")) (end) "." }
            p {
                (language.of("Server: ", "Servers: "))
                (posture.voice.legacy_imap_host) ", " (posture.voice.legacy_pop3_host) ", "
                (posture.voice.legacy_smtp_host)
            }
        } @else {
            form method="post" action={ "/status/keep?lang=" (language.tag()) } {
                (form_field(call))
                button type="submit" {
                    (language.of("Altes Gerät weiter nutzen bis zum ", "Keep the old device until ")) (end)
                }
            }
        }
    }
}

/// How the account connected.
pub(super) fn connections(posture: &Posture, language: Language) -> Markup {
    html! {
        @if posture.connections.is_empty() {
            p { (language.of("Noch keine.", "None yet.")) }
        } @else {
            table {
                thead {
                    tr {
                        th scope="col" { (language.of("Programm", "Program")) }
                        th scope="col" { (language.of("Dienst", "Service")) }
                        th scope="col" { "Port" }
                        th scope="col" { (language.of("Verschlüsselung", "Encryption")) }
                        th scope="col" { (language.of("Ergebnis", "Outcome")) }
                        th scope="col" { (language.of("Zuletzt", "Last")) }
                    }
                }
                tbody { @for row in &posture.connections { (connection(posture, row, language)) } }
            }
        }
    }
}

fn connection(posture: &Posture, row: &Connection, language: Language) -> Markup {
    let manner = &row.manner;
    let class = match manner.is_insecure() && !row.settled {
        true => "bad",
        false => "",
    };
    html! {
        tr {
            td { (posture.client(&manner.client, language)) }
            td { (service_words(manner.service, language)) }
            td { (manner.port) }
            td class=(class) {
                (encryption_words(manner.encryption, language))
                @if let Some(version) = manner.tls { " " (version.to_string()) " " (manner.cipher) }
            }
            td { (outcome_words(manner.outcome, language)) }
            td { (day_words(row.last_day, language)) }
        }
    }
}

/// S1-28: in one step, and only as long as there is legacy access; `Enrolments` refuses it afterwards.
async fn keep(call: Call) -> Result<Response, Problem> {
    let login = own_login(&call)?;
    let author = Author {
        by: call.who(),
        reason: "by the owner of the account, on the status page".to_owned(),
        now: call.now,
    };
    let enrolments = Enrolments::new(call.services.store.clone());
    enrolments.enrol(&login, None, author).await?;
    call.services.policies.refresh().await?;
    let place = format!("{STATUS_PAGE}?lang={}", call.language.tag());
    Ok(answer::redirect(StatusCode::SEE_OTHER, &place))
}

/// A mail program that only follows links must not end anything (RFC 8058 §3.1 asks for POST).
async fn ask_to_end(call: Call) -> Result<Response, Problem> {
    let title = call
        .language
        .of("Newsletter abbestellen", "Unsubscribe from the newsletter");
    let body = html! {
        form method="post" action=(call.uri.path()) {
            button type="submit" { (title) }
        }
    };
    Ok(respond(&call, Page::new(title, body)))
}

async fn end_newsletter(call: Call) -> Result<Response, Problem> {
    let rollouts = &call.services.rollouts;
    if !rollouts.unsubscribe(call.param("token"), call.now).await? {
        return Err(Problem::not_here());
    }
    let title = call
        .language
        .of("Der Newsletter ist abbestellt", "The newsletter has ended");
    let body = html! {
        p {
            (call.language.of(
                "Sie bekommen ihn nicht mehr. Was Ihr Postfach unmittelbar betrifft, schreiben wir Ihnen weiterhin.",
                "You will not get it any more. We still write to you about what concerns your own account.",
            ))
        }
    };
    Ok(respond(&call, Page::new(title, body)))
}

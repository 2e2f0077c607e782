//! `/support`: whoever helps on the phone finds an account by its address, reads out the steps, enrols it, and sees it
//! turn green. Every look is written to the audit log; a page that reloads itself is one.

use super::{Page, form_field, guides, respond, status};
use crate::access::{Right, Subject};
use crate::answer;
use crate::call::Call;
use crate::form;
use crate::language::{Language, Speak as _};
use crate::posture::{self, Posture, day_words, outcome_words, service_words};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use directory::AddressKey;
use maud::{Markup, html};
use policy::admin::Author;
use policy::connections::{Connection, Outcome};
use policy::legacy::Enrolments;
use rollout::guides::Rendered;

/// Failures that are shown first.
const FAILURES_MAX: usize = 10;

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let assist = (Right::Assist, About::Installation);
    vec![
        Route::page(Method::GET, "/support", assist, find).audited(),
        Route::page(Method::POST, "/support/enrol", assist, enrol).audited(),
    ]
}

async fn find(call: Call) -> Result<Response, Problem> {
    let language = call.language;
    let wanted = form::asked(call.uri.query(), "address").unwrap_or_default();
    let wanted = wanted.trim();
    if wanted.is_empty() {
        return Ok(respond(&call, Page::new("Support", ask(&call, ""))));
    }
    let login = AddressKey::parse(wanted)?;
    call.require(Right::Assist, &Subject::Account(login.clone()))?;
    call.note_after(&serde_json::json!({ "address": login.to_string() }));
    let posture = posture::of(&call, &login).await?;
    let body = html! {
        (ask(&call, wanted))
        h2 { (login) }
        (status::verdict(&posture, language))
        (failures(&posture, language))
        (steps(&call, &posture))
        (enrolment(&call, &posture))
        h2 { (language.of("Verbindungen", "Connections")) }
        (status::connections(&posture, language))
    };
    let mut page = Page::new(format!("Support: {login}"), body);
    page.again_after_seconds = status::again(&call);
    Ok(respond(&call, page))
}

fn ask(call: &Call, wanted: &str) -> Markup {
    let language = call.language;
    html! {
        form method="get" action="/support" role="search" {
            input type="hidden" name="lang" value=(language.tag());
            label for="address" { (language.of("E-Mail-Adresse", "E-mail address")) }
            input #address name="address" type="email" required value=(wanted);
            button type="submit" { (language.of("Suchen", "Find")) }
        }
    }
}

/// What failed, latest first.
fn failures(posture: &Posture, language: Language) -> Markup {
    let failed = |row: &&Connection| row.manner.outcome != Outcome::LoggedIn && !row.settled;
    let failed: Vec<_> = posture
        .connections
        .iter()
        .filter(failed)
        .take(FAILURES_MAX)
        .collect();
    html! {
        @if !failed.is_empty() {
            h3 { (language.of("Was gerade nicht gelingt", "What fails at the moment")) }
            ul {
                @for row in failed {
                    li {
                        (posture.client(&row.manner.client, language)) ": "
                        (service_words(row.manner.service, language)) ", Port " (row.manner.port) ", "
                        @if let Some(version) = row.manner.tls { (version.to_string()) ", " }
                        (outcome_words(row.manner.outcome, language))
                        " (" (day_words(row.last_day, language)) ", " (row.seen) "×)"
                    }
                }
            }
        }
    }
}

/// The program that most likely is on the phone: of an affected device, else of the latest failure. A handshake that
/// failed tells no name; one that does is the better guess.
fn program(posture: &Posture) -> Option<String> {
    let devices = posture.devices().iter().map(|device| device.client.clone());
    let failed = posture
        .connections
        .iter()
        .filter(|row| row.manner.outcome != Outcome::LoggedIn && !row.settled)
        .map(|row| row.manner.client.to_string());
    let keys: Vec<_> = devices.chain(failed).collect();
    let known = keys.iter().find(|key| posture.recognised(key).is_known());
    known.or(keys.first()).cloned()
}

/// What to read out.
fn steps(call: &Call, posture: &Posture) -> Markup {
    let language = call.language;
    let guide = program(posture).and_then(|key| posture.guide(&key, language));
    let login = posture.login.to_string();
    let asked = [
        ("address", &*login),
        ("live", "1"),
        ("lang", language.tag()),
    ];
    let live = form::link("/support", &asked);
    html! {
        @if let Some(guide) = guide {
            h2 { (language.of("Zum Vorlesen: ", "To read out: ")) (guide.title) }
            p.note { (guide.brief) }
            (guides::sections(&guide))
            p {
                a href=(guides::address_for(guide.id, &posture.login, call)) {
                    (language.of("Adresse der Anleitung zum Weitergeben", "The guide's address, to pass on"))
                }
                " · "
                a href=(letter(call, posture, &guide)) {
                    (language.of("Anleitung schicken", "Send the guide"))
                }
            }
            p {
                a href=(live) {
                    (language.of("Warten, bis es grün wird", "Wait until it turns green"))
                }
            }
        }
    }
}

/// Opens a letter with the guide in the supporter's own mail program (RFC 6068 §2): the address may be changed
/// there, where the customer cannot read the own account right now.
fn letter(call: &Call, posture: &Posture, guide: &Rendered) -> String {
    // `+` is no space in these addresses (RFC 6068 §5); one that is meant is `%2B` already.
    let encoded = |text: &str| -> String {
        let bytes = form_urlencoded::byte_serialize(text.as_bytes());
        bytes.collect::<String>().replace('+', "%20")
    };
    let place = guides::address_for(guide.id, &posture.login, call);
    let site = posture.voice.site.trim_end_matches('/');
    let body = format!("{}\r\n\r\n{site}{place}\r\n", guide.brief);
    let to = encoded(&posture.login.to_string()).replace("%40", "@");
    let subject = encoded(&guide.title);
    format!("mailto:{to}?subject={subject}&body={}", encoded(&body))
}

/// Legacy access, as long as there is some.
fn enrolment(call: &Call, posture: &Posture) -> Markup {
    let language = call.language;
    html! {
        @match (&posture.legacy, posture.legacy_end(language)) {
            (Ok(_), Some(end)) => {
                h2 { (language.of("Zugang für alte Geräte bis zum ", "Access for old devices until ")) (end) }
                @if posture.enrolled { p.good { (language.of("eingeschaltet", "turned on")) } }
                form method="post" action={ "/support/enrol?lang=" (language.tag()) } {
                    (form_field(call))
                    input type="hidden" name="address" value=(posture.login);
                    button type="submit" {
                        @if posture.enrolled { (language.of("Verlängern", "Extend")) }
                        @else { (language.of("Einschalten", "Turn on")) }
                    }
                }
            }
            (Err(why), _) => { p.meta { (why.text(language)) } }
            (Ok(_), None) => {}
        }
    }
}

async fn enrol(call: Call) -> Result<Response, Problem> {
    let login = AddressKey::parse(&form::field(&call.body, "address").unwrap_or_default())?;
    call.require(Right::Assist, &Subject::Account(login.clone()))?;
    let author = Author {
        by: call.who(),
        reason: "by support".to_owned(),
        now: call.now,
    };
    let enrolments = Enrolments::new(call.services.store.clone());
    let until = enrolments.enrol(&login, None, author).await?;
    call.services.policies.refresh().await?;
    call.note_after(&serde_json::json!({ "address": login.to_string(), "until_ms": until.0 }));
    let login = login.to_string();
    let asked = [("address", &*login), ("lang", call.language.tag())];
    Ok(answer::redirect(
        StatusCode::SEE_OTHER,
        &form::link("/support", &asked),
    ))
}

//! `/hilfe/CLIENT` (and `/help/CLIENT`): how to set up a mail program, with the provider's hosts; for an address, if one
//! is given, which is only written into the text and looked up nowhere.

use super::{Page, respond_to_all};
use crate::access::Right;
use crate::call::Call;
use crate::form;
use crate::language::Speak as _;
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use axum::response::Response;
use directory::AddressKey;
use maud::{Markup, html};
use rollout::guides::{self, Places, Ports, Rendered};

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let anyone = (Right::Public, About::Installation);
    let page = |path| Route::page(Method::GET, path, anyone, one);
    vec![
        Route::page(Method::GET, "/hilfe/", anyone, list),
        Route::page(Method::GET, "/help/", anyone, list),
        page("/hilfe/{guide}"),
        page("/help/{guide}"),
    ]
}

/// A guide's address in the language it is read in.
pub(super) fn address(id: &str, call: &Call) -> String {
    format!("/{}/{id}", call.language.of("hilfe", "help"))
}

async fn list(call: Call) -> Result<Response, Problem> {
    let voice = call.services.rollouts.voice().await?;
    let places = Places {
        voice: &voice,
        ports: Ports::default(),
        transition: None,
    };
    let titled = guides::all().iter().map(|guide| {
        let title = guide.render(call.language, &places, None).title;
        (guide.id(), title)
    });
    let body = html! {
        ul { @for (id, title) in titled { li { a href=(address(id, &call)) { (title) } } } }
        p {
            a href="/h/" {
                (call.language.of("Warum etwas abgewiesen wird", "Why something is refused"))
            }
        }
    };
    let title = call.language.of(
        "Mailprogramme und Geräte einrichten",
        "Setting up mail programs and devices",
    );
    Ok(respond_to_all(&call, Page::new(title, body)))
}

async fn one(call: Call) -> Result<Response, Problem> {
    let guide = guides::get(call.param("guide")).ok_or_else(Problem::not_here)?;
    let query = call.uri.query();
    let account = form::asked(query, "konto").or_else(|| form::asked(query, "account"));
    let account = account.and_then(|text| AddressKey::parse(text.trim()).ok());
    let account = account.map(|account| account.to_string());
    let voice = call.services.rollouts.voice().await?;
    let places = Places {
        voice: &voice,
        ports: Ports::default(),
        transition: None,
    };
    let rendered = guide.render(call.language, &places, account.as_deref());
    let body = html! {
        p.note { (rendered.brief) }
        (sections(&rendered))
    };
    Ok(respond_to_all(&call, Page::new(rendered.title, body)))
}

/// The steps of a guide.
pub(super) fn sections(guide: &Rendered) -> Markup {
    html! {
        @for section in &guide.sections {
            section {
                h2 { (section.heading) }
                @for paragraph in &section.paragraphs { p { (paragraph) } }
                @if !section.steps.is_empty() {
                    ol { @for step in &section.steps { li { (step) } } }
                }
                @if let Some(picture) = section.picture {
                    // A provider puts its own pictures of its own hosts here.
                    p.meta { "[" (picture) "]" }
                }
            }
        }
    }
}

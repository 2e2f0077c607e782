//! `/hilfe/CLIENT` (and `/help/CLIENT`): how to set up a mail program, with the provider's hosts; for an address, if one
//! is given, which is only written into the text; only its domain is asked whether it allows the legacy hosts.

use super::{Page, respond_to_all};
use crate::access::Right;
use crate::call::Call;
use crate::form;
use crate::language::Speak as _;
use crate::posture::STATUS_PAGE;
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use axum::response::Response;
use directory::AddressKey;
use maud::{Markup, html};
use platform::clock::Timestamp;
use policy::Sender;
use policy::legacy::open_until;
use rollout::guides::{self, Places, Ports, Rendered, Transition};
use rollout::wording::epoch_day;

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

/// The same, filled in for an account.
pub(super) fn address_for(id: &str, login: &AddressKey, call: &Call) -> String {
    form::link(&address(id, call), &[("account", &login.to_string())])
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
    let domain = account.as_ref().map(|account| account.domain().to_string());
    let account = account.map(|account| account.to_string());
    let voice = call.services.rollouts.voice().await?;
    let page = format!("{}{}", voice.site, STATUS_PAGE.trim_start_matches('/'));
    let end = legacy_end(&call, domain.as_deref().unwrap_or_default());
    let places = Places {
        voice: &voice,
        ports: Ports::default(),
        transition: end.map(|end| Transition { end, page: &page }),
    };
    let rendered = guide.render(call.language, &places, account.as_deref());
    let body = html! {
        p.note { (rendered.brief) }
        (sections(&rendered))
    };
    Ok(respond_to_all(&call, Page::new(rendered.title, body)))
}

/// The last day of the legacy hosts for accounts of `domain` (empty: of any), where they are open.
fn legacy_end(call: &Call, domain: &str) -> Option<jiff::civil::Date> {
    let snapshot = call.services.policies.snapshot();
    let reader = Sender {
        account: None,
        domain,
        group: None,
    };
    let end = open_until(&snapshot, &reader, call.services.clock.now()).ok()?;
    // The last moment belongs to the last day.
    Some(epoch_day(snapshot.day(Timestamp(end.0 - 1))))
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
                    // The place of a picture, for providers who have one; readers without see nothing of it.
                    figure.picture data-picture=(picture) hidden {}
                }
            }
        }
    }
}

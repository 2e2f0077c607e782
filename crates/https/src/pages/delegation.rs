//! `/delegieren` (and `/delegate`): the wizard that gives a newsletter tool a subdomain of its own. A form that changes
//! nothing; below it the exact records, and which of them are published already.

use super::{Page, respond};
use crate::access::{Right, Subject};
use crate::call::Call;
use crate::delegation::{Delegated, of};
use crate::form;
use crate::language::{Language, Speak as _};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use directory::DomainName;
use maud::{Markup, html};
use rollout::delegation::{Purpose, SELECTOR_USUAL, Seen, Typed, Wanted, advice, danger};

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let each = (Right::See, About::Each);
    vec![
        Route::page(Method::GET, "/delegieren", each, page),
        Route::page(Method::GET, "/delegate", each, page),
    ]
}

/// Its address in a language.
pub(super) fn address(language: Language) -> &'static str {
    language.of("/delegieren", "/delegate")
}

/// Whether the caller may use it for subdomains of `domain`.
pub(super) fn is_for(call: &Call, domain: &DomainName) -> bool {
    let caller = call.caller.as_ref();
    caller.is_some_and(|caller| caller.may(Right::See, &Subject::Domain(domain.clone())))
}

/// A field: its name, its labels, an example.
type Field = (&'static str, &'static str, &'static str, &'static str);

const FIELDS: [Field; 7] = [
    ("name", "Subdomain", "Subdomain", "news.firma.example"),
    (
        "selector",
        "Selektor des Schlüssels (DKIM)",
        "Selector of the key (DKIM)",
        SELECTOR_USUAL,
    ),
    (
        "key_alias",
        "Name, auf den der Schlüssel als Alias (CNAME) zeigt",
        "Name the key's alias (CNAME) leads to",
        "tool1.dkim.tool.example",
    ),
    (
        "key_record",
        "oder der Schlüssel als Text",
        "or the key as a text",
        "v=DKIM1; k=rsa; p=…",
    ),
    (
        "from",
        "Von wo das Werkzeug sendet (SPF): Domains oder Adressen",
        "Where the tool sends from (SPF): domains or addresses",
        "spf.tool.example",
    ),
    (
        "bounce_alias",
        "Name, auf den der Return-Path als Alias zeigt",
        "Name the return path's alias leads to",
        "bounces.tool.example",
    ),
    (
        "bounce_mx",
        "oder der Server, der Unzustellbares annimmt (MX)",
        "or the server that takes bounces (MX)",
        "mx.tool.example",
    ),
];

/// What was typed into the fields.
struct Answers([String; 7]);

impl Answers {
    fn of(call: &Call) -> Self {
        Self(FIELDS.map(|(name, ..)| form::asked(call.uri.query(), name).unwrap_or_default()))
    }

    fn typed(&self) -> Typed<'_> {
        let [
            name,
            selector,
            key_alias,
            key_record,
            from,
            bounce_alias,
            bounce_exchanger,
        ] = &self.0;
        Typed {
            name,
            selector,
            key_alias,
            key_record,
            from,
            bounce_alias,
            bounce_exchanger,
        }
    }
}

async fn page(call: Call) -> Result<Response, Problem> {
    let language = call.language;
    let answers = Answers::of(&call);
    let typed = answers.typed();
    let found = match typed.name.trim() {
        "" => None,
        _ => Some(of(&call, &typed).await),
    };
    let wrong = match &found {
        Some(Err(problem)) if problem.status().is_client_error() => Some(problem.reason(language)),
        _ => None,
    };
    let found = match found {
        Some(Err(problem)) if wrong.is_none() => return Err(problem),
        found => found.and_then(Result::ok),
    };
    let body = html! {
        p { (danger(language)) }
        @if let Some(wrong) = &wrong { p.bad role="alert" { (wrong) } }
        (form_of(&answers, language))
        @if let Some(found) = &found { (records(found, language)) }
    };
    let title = language.of("Subdomain für ein Werkzeug", "A subdomain for a tool");
    let mut response = respond(&call, Page::new(title, body));
    if wrong.is_some() {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

fn form_of(answers: &Answers, language: Language) -> Markup {
    html! {
        form method="get" action=(address(language)) {
            input type="hidden" name="lang" value=(language.tag());
            @for ((name, german, english, example), value) in FIELDS.iter().zip(&answers.0) {
                label for=(name) { (language.of(german, english)) }
                input id=(name) name=(name) value=(value) placeholder=(example) required[*name == "name"]
                    maxlength="2100" autocomplete="off" spellcheck="false";
            }
            button type="submit" { (language.of("Einträge zeigen und prüfen", "Show and check the records")) }
        }
    }
}

fn records(found: &Delegated, language: Language) -> Markup {
    let name = &found.delegation.name;
    // What the provider publishes is in another zone.
    let own = found
        .records
        .iter()
        .filter(|(r, _)| r.purpose != Purpose::Reports);
    let zone: Vec<String> = own.map(|(record, _)| record.line()).collect();
    html! {
        h2 { (language.of("Einträge für ", "Records for ")) (name) }
        table {
            caption { (language.of("Im DNS anzulegen", "To be made in the DNS")) }
            thead {
                tr {
                    th scope="col" { (language.of("Eintrag", "Record")) }
                    th scope="col" { (language.of("Wofür", "What for")) }
                    th scope="col" { (language.of("Stand", "State")) }
                }
            }
            tbody { @for (record, seen) in &found.records { (one(record, seen, language)) } }
        }
        p { (advice(language)) }
        h3 { (language.of("Für die Zonendatei", "For the zone file")) }
        pre { code { (zone.join("\n")) } }
        p {
            a href={ (address(language)) "?" (query(found)) } {
                (language.of("Von vorn beginnen", "Begin anew"))
            }
        }
    }
}

/// The same subdomain with empty fields.
fn query(found: &Delegated) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("name", found.delegation.name.as_str());
    query.finish()
}

fn one(record: &Wanted, seen: &Seen, language: Language) -> Markup {
    html! {
        tr {
            th scope="row" {
                code { (record.name) } " " (record.kind.word())
                @if let Some(value) = &record.value { br; code { (value) } }
            }
            td { (record.why(language)) }
            td { (state(seen, language)) }
        }
    }
}

fn state(seen: &Seen, language: Language) -> Markup {
    html! {
        @match seen {
            Seen::Published => span.good { (language.of("veröffentlicht", "published")) },
            Seen::Missing => span.bad { (language.of("fehlt", "missing")) },
            Seen::Open => (language.of("offen", "open")),
            Seen::Other(text) => {
                span.bad { (language.of("anders: ", "differs: ")) } code { (text) }
            }
            Seen::Unknown(_) => {
                (language.of("nicht zu ermitteln; bitte später noch einmal", "not to be found out; please try again"))
            }
        }
    }
}

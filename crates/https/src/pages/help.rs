//! `/h/TOPIC`: the page that a refusal names. Short addresses, because they are said in replies and on the phone.

use super::{Page, prose, respond_to_all};
use crate::access::Right;
use crate::call::Call;
use crate::language::Speak as _;
use crate::pages::help_texts::{TOPICS, Topic};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use axum::response::Response;
use maud::html;

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let anyone = (Right::Public, About::Installation);
    vec![
        Route::page(Method::GET, "/h/", anyone, list),
        Route::page(Method::GET, "/h/{topic}", anyone, topic),
    ]
}

async fn list(call: Call) -> Result<Response, Problem> {
    let language = call.language;
    let body = html! {
        ul {
            @for topic in TOPICS {
                li { a href={ "/h/" (topic.word) } { (language.of(topic.german.0, topic.english.0)) } }
            }
        }
    };
    let title = language.of("Warum etwas abgewiesen wird", "Why something is refused");
    Ok(respond_to_all(&call, Page::new(title, body)))
}

async fn topic(call: Call) -> Result<Response, Problem> {
    let found = TOPICS
        .iter()
        .find(|topic| topic.word == call.param("topic"));
    let topic: &Topic = found.ok_or_else(Problem::not_here)?;
    let (title, text) = call.language.of(topic.german, topic.english);
    Ok(respond_to_all(&call, Page::new(title, prose(text))))
}

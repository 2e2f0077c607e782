//! `/h/TOPIC`: the page that a refusal names. Short addresses, because they are said in replies and on the phone.

use super::{Page, prose, respond_to_all};
use crate::access::Right;
use crate::call::Call;
use crate::language::Speak as _;
use crate::pages::help_texts::{TOPICS, Topic};
use crate::posture::STATUS_PAGE;
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use axum::response::Response;
use maud::html;
use rollout::wording::Speaker;

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
    let language = call.language;
    let (title, text) = language.of(topic.german, topic.english);
    let voice = call.services.rollouts.voice().await?;
    let speaker = Speaker {
        voice: &voice,
        language,
        own: None,
    };
    let support = speaker.support().map_err(|error| Problem::fault(&error))?;
    let body = html! {
        (prose(text))
        // Logging in leads there, too: one step from a refusal to what can be done.
        p { a href=(STATUS_PAGE) { (language.of("Mein Postfach", "My account")) } }
        h2 { (language.of("Hilfe", "Help")) }
        @for line in &support { p { (line) } }
    };
    Ok(respond_to_all(&call, Page::new(title, body)))
}

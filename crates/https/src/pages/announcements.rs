//! `/ankuendigungen/` (and `/announcements/`): what the provider tightens and when, for everybody, without a login; with
//! the day the text was last true and how long it takes to read. Steps marked internal do not appear. Readers ask
//! questions, which appear when somebody answers them; the address they leave never does.

use super::{Page, form_field, prose, respond, respond_to_all, status};
use crate::access::Right;
use crate::answer;
use crate::call::Call;
use crate::form;
use crate::language::{Language, Speak as _};
use crate::posture;
use crate::problem::Problem;
use crate::questions::{self, NewQuestion};
use crate::route::{About, Route};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use platform::store::Tx;
use rollout::announce::Announced;
use rollout::wording::{Speaker, moment};
use rollout::{Kept, RolloutError, State};

/// Words somebody reads in a minute.
const WORDS_PER_MINUTE: usize = 200;

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let anyone = (Right::Public, About::Installation);
    let get = |path| Route::page(Method::GET, path, anyone, one);
    let post = |path| Route::page(Method::POST, path, anyone, ask).slowly();
    vec![
        Route::page(Method::GET, "/ankuendigungen/", anyone, list),
        Route::page(Method::GET, "/announcements/", anyone, list),
        get("/ankuendigungen/{slug}"),
        get("/announcements/{slug}"),
        post("/ankuendigungen/{slug}/fragen"),
        post("/announcements/{slug}/questions"),
    ]
}

fn is_public(kept: &Kept) -> bool {
    match kept.state {
        State::Announced | State::Running | State::Paused | State::Done => true,
        State::Draft | State::RolledBack => false,
    }
}

pub(super) fn address(slug: &str, language: Language) -> String {
    format!("/{}/{slug}", language.of("ankuendigungen", "announcements"))
}

async fn list(call: Call) -> Result<Response, Problem> {
    let language = call.language;
    let all = call.services.rollouts.list().await?;
    let public: Vec<_> = all.iter().filter(|kept| is_public(kept)).collect();
    let body = html! {
        @if public.is_empty() {
            p { (language.of("Zurzeit gibt es keine.", "There are none at the moment.")) }
        }
        ul {
            @for Kept { rollout, .. } in public {
                li {
                    a href=(address(&rollout.slug, language)) { (rollout.title.of(language)) }
                    span.meta { " (" (moment(rollout.as_of, language)) ")" }
                }
            }
        }
    };
    let title = language.of("Ankündigungen", "Announcements");
    Ok(respond_to_all(&call, Page::new(title, body)))
}

/// The rollout of the path, where everybody may see it.
async fn public(call: &Call) -> Result<Kept, Problem> {
    match call.services.rollouts.get(call.param("slug")).await {
        Ok(kept) if is_public(&kept) => Ok(kept),
        Ok(_) | Err(RolloutError::Missing(_)) => Err(Problem::not_here()),
        Err(error) => Err(error.into()),
    }
}

async fn one(call: Call) -> Result<Response, Problem> {
    let language = call.language;
    let rollout = public(&call).await?.rollout;
    let voice = call.services.rollouts.voice().await?;
    let speaker = Speaker {
        voice: &voice,
        language,
        own: Some(rollout.texts.of(language)),
    };
    let announced = Announced::of(&rollout, &speaker).map_err(|error| Problem::fault(&error))?;
    let support = speaker.support().map_err(|error| Problem::fault(&error))?;
    let means = speaker
        .plain("heading.means")
        .map_err(|error| Problem::fault(&error))?;
    let slug = rollout.slug.clone();
    let answered = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| questions::answered(tx, &slug))
        .await?;
    let own = match call
        .caller
        .as_ref()
        .and_then(|caller| caller.account.as_ref())
    {
        Some((_, login)) => Some(posture::of(&call, login).await?),
        None => None,
    };
    let body = html! {
        p.meta {
            (language.of("Stand: ", "As of ")) (moment(rollout.as_of, language)) " · "
            (language.of("Lesedauer: ", "Reading time: ")) (minutes(&announced, language))
        }
        @if let Some(posture) = &own {
            section.note aria-label=(language.of("Ihr Postfach", "Your account")) {
                (status::verdict(posture, language))
                p { a href=(posture::STATUS_PAGE) { (language.of("Mein Postfach", "My account")) } }
            }
        }
        (parts(&announced, &means, language))
        h2 { (language.of("Hilfe", "Help")) }
        @for line in &support { p { (line) } }
        p { a href="/help/" { (language.of("Anleitungen für Mailprogramme", "Guides for mail programs")) } }
        (questions_part(&call, &rollout.slug, &answered))
    };
    let title = rollout.title.of(language).clone();
    let page = Page::new(title, body);
    Ok(match form::asked(call.uri.query(), "asked").is_some() {
        true => respond(&call, page),
        false => respond_to_all(&call, page),
    })
}

/// `means` is the heading that speaks to the reader.
fn parts(announced: &Announced, means: &str, language: Language) -> Markup {
    html! {
        h2 { (language.of("Warum diese Änderungen?", "Why these changes?")) }
        (prose(&announced.why))
        @if !announced.dates.is_empty() {
            h2 { (language.of("Termine", "Dates")) }
            ul { @for line in &announced.dates { li { (line) } } }
        }
        h2 { (means) }
        (prose(&announced.means))
        @if !announced.transition.is_empty() {
            h2 { (language.of("Übergangszeit", "Transition")) }
            (prose(&announced.transition))
        }
        @if !announced.background.is_empty() {
            h2 { (language.of("Hintergrund", "Background")) }
            (prose(&announced.background))
        }
    }
}

fn minutes(announced: &Announced, language: Language) -> String {
    let texts = [
        &announced.why,
        &announced.means,
        &announced.transition,
        &announced.background,
    ];
    let words: usize = texts
        .iter()
        .map(|text| text.split_whitespace().count())
        .sum();
    match (words.div_ceil(WORDS_PER_MINUTE).max(1), language) {
        (1, Language::German) => "1 Minute".to_owned(),
        (1, Language::English) => "1 minute".to_owned(),
        (more, Language::German) => format!("{more} Minuten"),
        (more, Language::English) => format!("{more} minutes"),
    }
}

fn questions_part(call: &Call, slug: &str, answered: &[questions::Answered]) -> Markup {
    let language = call.language;
    let action = language.of("fragen", "questions");
    let asked = form::asked(call.uri.query(), "asked").is_some();
    html! {
        h2 { (language.of("Fragen und Antworten", "Questions and answers")) }
        @for one in answered {
            section {
                h3 { @if one.name.is_empty() { (language.of("Eine Frage", "A question")) } @else { (one.name) } }
                (prose(&one.text))
                @if let Some(answer) = &one.answer {
                    p { strong { (language.of("Antwort: ", "Answer: ")) } }
                    (prose(answer))
                }
            }
        }
        @if asked {
            p.good role="status" {
                (language.of(
                    "Danke, Ihre Frage ist angekommen. Wir antworten Ihnen per E-Mail.",
                    "Thank you, your question has arrived. We will answer by e-mail.",
                ))
            }
        } @else {
            form method="post" action={ (address(slug, language)) "/" (action) "?lang=" (language.tag()) } {
                (form_field(call))
                label for="name" { (language.of("Name (erscheint mit der Frage)", "Name (appears with the question)")) }
                input #name name="name" maxlength="100" autocomplete="name";
                label for="address" {
                    (language.of("E-Mail-Adresse (wird nicht veröffentlicht)", "E-mail address (is not published)"))
                }
                input #address name="address" type="email" required autocomplete="email";
                label for="text" { (language.of("Ihre Frage", "Your question")) }
                textarea #text name="text" rows="6" required maxlength="2000" {}
                button type="submit" { (language.of("Frage senden", "Send the question")) }
            }
        }
    }
}

async fn ask(call: Call) -> Result<Response, Problem> {
    let slug = public(&call).await?.rollout.slug;
    let field = |name| form::field(&call.body, name).unwrap_or_default();
    let question = NewQuestion::read(&slug, &field("name"), &field("address"), &field("text"))?;
    let now = call.now;
    call.services
        .store
        .write(move |tx: &mut dyn Tx| questions::ask(tx, &question, now))
        .await??;
    let place = format!(
        "{}?asked=1&lang={}",
        address(&slug, call.language),
        call.language.tag()
    );
    Ok(answer::redirect(StatusCode::SEE_OTHER, &place))
}

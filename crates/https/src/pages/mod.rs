//! Pages for people: server-rendered, German and English, without script. What all of them share is here: the frame, the
//! style, forms, and how a problem looks. A file per page. They look and write nothing themselves that the API
//! does not.

mod announcements;
pub(crate) mod banner;
mod delegation;
mod discovery;
mod guides;
mod help;
mod help_texts;
mod login;
mod mail_settings;
mod rule_form;
mod rules;
mod status;
mod support;

use crate::access::{Caller, Right};
use crate::answer;
use crate::call::Call;
use crate::credentials::form_token;
use crate::language::{Language, Speak as _};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use directory::AddressKey;
use maud::{DOCTYPE, Markup, html};

/// The field of a form that shows it is ours.
pub(crate) const FORM_TOKEN: &str = "form_token";

const STYLE: &str = include_str!("style.css");

/// All routes of pages.
pub(crate) fn routes() -> Vec<Route> {
    let anyone = (Right::Public, About::Installation);
    let mut routes = vec![Route::page(Method::GET, "/style.css", anyone, style)];
    routes.extend(help::routes());
    routes.extend(login::routes());
    routes.extend(discovery::routes());
    routes.extend(mail_settings::routes());
    routes.extend(delegation::routes());
    routes.extend(announcements::routes());
    routes.extend(guides::routes());
    routes.extend(status::routes());
    routes.extend(support::routes());
    routes.extend(rules::routes());
    routes
}

async fn style(_call: Call) -> Result<Response, Problem> {
    let response = answer::with_body(StatusCode::OK, "text/css; charset=utf-8", STYLE);
    let keep = HeaderValue::from_static("public, max-age=86400");
    Ok(answer::with_header(response, header::CACHE_CONTROL, keep))
}

/// A page to be framed.
pub(crate) struct Page {
    /// In the title bar and as the first heading.
    pub(crate) title: String,
    /// What follows the heading.
    pub(crate) body: Markup,
    /// Seconds after which a browser loads it again; nothing for most.
    pub(crate) again_after_seconds: Option<u32>,
}

impl Page {
    /// One that stays as it is.
    pub(crate) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self {
            title: title.into(),
            body,
            again_after_seconds: None,
        }
    }
}

/// The page as an answer to `call`.
pub(crate) fn respond(call: &Call, page: Page) -> Response {
    let other = other_language(&call.uri, call.language);
    let navigation = navigation(call.caller.as_ref(), call.language);
    let exit = call.session.as_deref().map(form_token);
    let above = banner::banner(&call.told, call.language);
    framed(
        StatusCode::OK,
        call.language,
        page,
        Some(&other),
        navigation,
        exit.as_deref(),
        above,
    )
}

/// A page whose address anyone may keep for a minute: it is the same for everybody.
pub(crate) fn respond_to_all(call: &Call, page: Page) -> Response {
    let response = respond(call, page);
    if call.caller.is_some() {
        return response;
    }
    let keep = HeaderValue::from_static("public, max-age=60");
    let response = answer::with_header(response, header::CACHE_CONTROL, keep);
    let vary = HeaderValue::from_static("accept-language, cookie");
    answer::with_header(response, header::VARY, vary)
}

/// A problem as a page.
pub(crate) fn problem(problem: &Problem, language: Language) -> Response {
    let title = language.of("Das hat nicht geklappt", "This did not work");
    let body = html! { p { (problem.words(language)) } };
    framed(
        problem.status(),
        language,
        Page::new(title, body),
        None,
        html! {},
        None,
        html! {},
    )
}

/// To the login, and back again.
pub(crate) fn way_to_login(place: &Uri) -> Response {
    let place = place.path_and_query().map_or("/", |p| p.as_str());
    let place: String = form_urlencoded::byte_serialize(place.as_bytes()).collect();
    answer::redirect(StatusCode::SEE_OTHER, &format!("/login?to={place}"))
}

/// The same address in the other language.
fn other_language(uri: &Uri, language: Language) -> String {
    let others = uri.query().unwrap_or("").split('&');
    let kept: Vec<_> = others
        .filter(|pair| !pair.is_empty() && !pair.starts_with("lang="))
        .collect();
    let other = language.of("en", "de");
    let mut query = kept.join("&");
    if !query.is_empty() {
        query.push('&');
    }
    format!("{}?{query}lang={other}", uri.path())
}

fn navigation(caller: Option<&Caller>, language: Language) -> Markup {
    let Some(caller) = caller else {
        return html! { a href="/login" { (language.of("Anmelden", "Log in")) } };
    };
    html! {
        @if caller.account.is_some() {
            a href="/status" { (language.of("Mein Postfach", "My account")) }
            a href=(mail_settings::address(language)) { (language.of("Server und Absender", "Servers and senders")) }
        }
        @if caller.may(Right::Assist, &crate::access::Subject::Installation) {
            a href="/support" { "Support" }
            a href="/rules" { (language.of("Regeln", "Rules")) }
        }
        span { (caller.who) }
    }
}

/// The account of whoever calls.
///
/// # Errors
/// Where there is none, such as for a token of the operator.
fn own_login(call: &Call) -> Result<AddressKey, Problem> {
    let account = call.caller()?.account.as_ref();
    account
        .map(|(_, login)| login.clone())
        .ok_or_else(Problem::not_here)
}

fn framed(
    status: StatusCode,
    language: Language,
    page: Page,
    other: Option<&str>,
    navigation: Markup,
    exit: Option<&str>,
    above: Markup,
) -> Response {
    let text = html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = page.again_after_seconds {
                    meta http-equiv="refresh" content=(seconds);
                }
                title { (page.title) }
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#content" { (language.of("Zum Inhalt", "Skip to content")) }
                header {
                    nav aria-label=(language.of("Seiten", "Pages")) {
                        a href="/announcements/" { (language.of("Ankündigungen", "Announcements")) }
                        a href="/help/" { (language.of("Hilfe", "Help")) }
                        (navigation)
                        @if let Some(token) = exit {
                            form.inline method="post" action="/logout" {
                                input type="hidden" name=(FORM_TOKEN) value=(token);
                                button type="submit" { (language.of("Abmelden", "Log out")) }
                            }
                        }
                        @if let Some(other) = other {
                            a lang=(language.of("en", "de")) hreflang=(language.of("en", "de")) href=(other) {
                                (language.of("English", "Deutsch"))
                            }
                        }
                    }
                }
                (above)
                main #content {
                    h1 { (page.title) }
                    (page.body)
                }
            }
        }
    };
    let mut response = answer::with_body(status, "text/html; charset=utf-8", text.into_string());
    response.headers_mut().insert(
        header::CONTENT_LANGUAGE,
        HeaderValue::from_static(language.tag()),
    );
    response
}

/// The hidden field of a form that changes something.
pub(crate) fn form_field(call: &Call) -> Markup {
    match &call.session {
        Some(session) => {
            html! { input type="hidden" name=(FORM_TOKEN) value=(form_token(session)); }
        }
        None => html! {},
    }
}

/// Text with empty lines between paragraphs, `- ` before points and `## ` before headings, as markup. Everything in it
/// is escaped.
pub(crate) fn prose(text: &str) -> Markup {
    html! {
        @for block in text.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
            @if let Some(heading) = block.strip_prefix("## ") {
                h2 { (heading) }
            } @else if block.lines().all(|line| line.starts_with("- ")) {
                ul { @for line in block.lines() { li { (line.trim_start_matches("- ")) } } }
            } @else if block.lines().all(is_numbered) {
                ol { @for line in block.lines() { li { (after_number(line)) } } }
            } @else {
                p { (block) }
            }
        }
    }
}

fn is_numbered(line: &str) -> bool {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0
        && line
            .get(digits..)
            .is_some_and(|rest| rest.starts_with(". "))
}

fn after_number(line: &str) -> &str {
    line.split_once(". ").map_or(line, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_becomes_markup_and_is_escaped() {
        let made = prose("## A & B\n\n<script>\n\n- x\n- y\n\n1. one\n2. two").into_string();
        assert_eq!(
            made,
            "<h2>A &amp; B</h2><p>&lt;script&gt;</p><ul><li>x</li><li>y</li></ul><ol><li>one</li><li>two</li></ol>"
        );
    }

    #[test]
    fn the_other_language_keeps_what_was_asked() {
        let uri = "/help/outlook?konto=a%40b.test&lang=de".parse().unwrap();
        assert_eq!(
            other_language(&uri, Language::German),
            "/help/outlook?konto=a%40b.test&lang=en"
        );
    }
}

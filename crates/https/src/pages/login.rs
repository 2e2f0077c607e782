//! Login and logout of people.

use super::{Page, respond};
use crate::access::Right;
use crate::answer;
use crate::api::session::{begin, check, end};
use crate::call::Call;
use crate::form;
use crate::language::Speak as _;
use crate::problem::Problem;
use crate::route::{About, Route};
use crate::session;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use maud::html;

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let anyone = (Right::Public, About::Caller);
    let own = (Right::See, About::Caller);
    vec![
        Route::page(Method::GET, "/login", anyone, ask),
        Route::page(Method::POST, "/login", anyone, log_in),
        Route::page(Method::POST, "/logout", own, log_out),
        Route::page(Method::GET, "/", anyone, front),
    ]
}

async fn front(call: Call) -> Result<Response, Problem> {
    let place = match call.caller.as_ref().map(|caller| caller.account.is_some()) {
        Some(true) => "/status",
        _ => "/announcements/",
    };
    Ok(answer::redirect(StatusCode::SEE_OTHER, place))
}

/// Where somebody wanted to go: only on this host.
fn place(wanted: Option<String>) -> String {
    wanted
        .filter(|place| place.starts_with('/') && !place.starts_with("//"))
        .filter(|place| place.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'))
        .unwrap_or_else(|| "/status".to_owned())
}

async fn ask(call: Call) -> Result<Response, Problem> {
    let to = place(form::asked(call.uri.query(), "to"));
    Ok(form_page(&call, &to, "", None))
}

fn form_page(call: &Call, to: &str, user: &str, wrong: Option<String>) -> Response {
    let say = |german, english| call.language.of(german, english);
    let body = html! {
        @if let Some(wrong) = &wrong {
            p.bad role="alert" { (wrong) }
        }
        form method="post" action={ "/login?lang=" (call.language.tag()) } {
            input type="hidden" name="to" value=(to);
            label for="user" { (say("E-Mail-Adresse", "E-mail address")) }
            input #user name="user" type="email" autocomplete="username" required value=(user);
            label for="password" { (say("Passwort", "Password")) }
            input #password name="password" type="password" autocomplete="current-password" required;
            button type="submit" { (say("Anmelden", "Log in")) }
        }
    };
    let mut response = respond(call, Page::new(say("Anmelden", "Log in"), body));
    if wrong.is_some() {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}

async fn log_in(call: Call) -> Result<Response, Problem> {
    let field = |name| form::field(&call.body, name);
    let to = place(field("to"));
    let user = field("user").unwrap_or_default();
    let password = field("password").unwrap_or_default();
    match check(&call, user.trim(), &password).await {
        Ok(identity) => {
            let (_, cookie) = begin(&call, &identity).await?;
            let response = answer::redirect(StatusCode::SEE_OTHER, &to);
            Ok(answer::with_header(response, header::SET_COOKIE, cookie))
        }
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            let words = problem.reason(call.language);
            Ok(form_page(&call, &to, &user, Some(words)))
        }
        Err(problem) => Err(problem),
    }
}

async fn log_out(call: Call) -> Result<Response, Problem> {
    end(&call).await?;
    let response = answer::redirect(StatusCode::SEE_OTHER, "/login");
    Ok(answer::with_header(
        response,
        header::SET_COOKIE,
        session::end(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_nowhere_else() {
        for place_wanted in [
            "//evil.test/",
            "https://evil.test",
            "/\\evil.test",
            "/a b",
            "",
        ] {
            assert_eq!(
                place(Some(place_wanted.to_owned())),
                "/status",
                "{place_wanted}"
            );
        }
        assert_eq!(place(Some("/help/?a=b".to_owned())), "/help/?a=b");
    }
}

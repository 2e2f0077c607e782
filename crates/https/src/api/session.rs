//! Who the caller is, and sessions of programs that act as a browser: login, logout.

use crate::access::Right;
use crate::call::{Call, Done, Json, NoBody, NoQuery, Told};
use crate::language::Speak as _;
use crate::problem::Problem;
use crate::route::{About, Route};
use crate::serve::Origin;
use crate::{answer, credentials, session};
use admission::{Outcome, Visit};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use directory::login::TryLaterReason;
use directory::{Credential, Identity, LoginRuling};
use platform::store::Tx;
use policy::{Door, Encryption, Service};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let own = (Right::See, About::Caller);
    let anyone = (Right::Public, About::Caller);
    vec![
        Route::api(Method::GET, "/api/v1/me", own, "Who I am", me),
        Route::api(
            Method::POST,
            "/api/v1/session",
            anyone,
            "Log in with address and password; the answer sets a cookie",
            log_in,
        )
        .not_audited(),
        Route::api(Method::DELETE, "/api/v1/session", own, "Log out", log_out).not_audited(),
    ]
}

/// Who calls.
#[derive(Serialize, ToSchema)]
struct Me {
    /// For the audit log.
    name: String,
    /// `operator`, `support`, `domain-admin` or `user`.
    role: &'static str,
    /// The account it acts for.
    account: Option<String>,
    /// The domains it administers.
    domains: Vec<String>,
}

async fn me(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Me>, Problem> {
    let caller = call.caller()?;
    Ok(Json(Me {
        name: caller.who.clone(),
        role: caller.role.word(),
        account: caller.account.as_ref().map(|(_, login)| login.to_string()),
        domains: caller.domains.iter().map(ToString::to_string).collect(),
    }))
}

/// A login.
#[derive(Deserialize, ToSchema)]
struct Credentials {
    /// The login address.
    user: String,
    /// The password.
    password: String,
}

/// A session that began.
#[derive(Serialize, ToSchema)]
struct Begun {
    /// To be sent as X-Form-Token with everything that changes something.
    form_token: String,
}

/// A session that began, with its cookie.
struct WithCookie {
    begun: Begun,
    cookie: header::HeaderValue,
}

impl Told for WithCookie {
    const STATUS: StatusCode = StatusCode::CREATED;

    fn respond(self) -> Result<Response, Problem> {
        let response = crate::call::Created(self.begun).respond()?;
        Ok(answer::with_header(
            response,
            header::SET_COOKIE,
            self.cookie,
        ))
    }

    fn describe() -> crate::call::Described {
        <Json<Begun> as Told>::describe()
    }
}

async fn log_in(call: Call, _: NoQuery, sent: Json<Credentials>) -> Result<WithCookie, Problem> {
    let identity = check(&call, &sent.0.user, &sent.0.password).await?;
    let (session, cookie) = begin(&call, &identity).await?;
    let form_token = credentials::form_token(&session);
    Ok(WithCookie {
        begun: Begun { form_token },
        cookie,
    })
}

/// Looks at a password as every protocol does: measures rule first, and whoever guesses waits.
pub(crate) async fn check(call: &Call, user: &str, password: &str) -> Result<Identity, Problem> {
    let (port, tls) = match &call.origin {
        Origin::Network { port, tls, .. } => (*port, tls.as_deref()),
        Origin::Local { .. } => (0, None),
    };
    let told = admission::Told::default();
    let visit = Visit {
        service: Service::Http,
        port,
        encryption: Encryption::ImplicitTls,
        door: Door::Normal,
        tls,
        peer: call.origin.peer(),
        told: Some(&told),
    };
    let desk = &call.services.desk;
    match desk.login(&visit, user, password.as_bytes(), call.now).await {
        // An app password opens a mail program, not the administration.
        Outcome::LoggedIn { identity, .. } if identity.credential == Credential::Password => {
            Ok(identity)
        }
        Outcome::LoggedIn { .. } => Err(Problem::login_failed(call.language.of(
            "App-Passwörter gelten nur in Mailprogrammen; bitte nehmen Sie das Passwort des Postfachs.",
            "App passwords are for mail programs only; please use the account's own password.",
        ))),
        Outcome::Refused(ruling) => Err(Problem::login_failed(refusal(&ruling))),
        Outcome::Barred(barred) => Err(Problem::login_failed(barred.text())),
    }
}

/// What somebody who may not in reads on the page: German, then English. The same for every kind of refusal, as
/// [`LoginRuling::text`] is; that one speaks of mail programs, in English only.
fn refusal(ruling: &LoginRuling) -> [&'static str; 2] {
    match ruling {
        LoginRuling::TryLater {
            reason: TryLaterReason::BackOff,
            ..
        } => [
            "Aus Ihrem Netz kamen zu viele falsche Passwörter. Bitte berichtigen Sie das Passwort in allen Ihren Geräten \
             und versuchen Sie es in einigen Minuten noch einmal.",
            "Too many wrong passwords came from your network. Correct the password in all your devices and try again \
             in a few minutes.",
        ],
        LoginRuling::TryLater { .. } => [
            "Die Anmeldung ist gerade nicht möglich; bitte versuchen Sie es in einigen Minuten noch einmal.",
            "Login is not possible right now; try again in a few minutes.",
        ],
        LoginRuling::Accepted(_) | LoginRuling::Refused(_) => [
            "Benutzername oder Passwort ist falsch. Bitte prüfen Sie beides; der Benutzername ist Ihre ganze \
             E-Mail-Adresse.",
            "User name or password is wrong. Check both; the user name is your full e-mail address.",
        ],
    }
}

/// Begins a session; gives it and its cookie.
pub(crate) async fn begin(
    call: &Call,
    identity: &Identity,
) -> Result<(String, header::HeaderValue), Problem> {
    let secret = credentials::session_secret(&call.services.random);
    let (session, account, now) = (secret.clear.clone(), identity.account, call.now);
    call.services
        .store
        .write(move |tx: &mut dyn Tx| credentials::begin_session(tx, account, &secret, now))
        .await?;
    let cookie = session::begin(&session).ok_or_else(|| Problem::fault(&"a session's cookie"))?;
    Ok((session, cookie))
}

async fn log_out(call: Call, _: NoQuery, _: NoBody) -> Result<Done, Problem> {
    end(&call).await?;
    Ok(Done)
}

/// Ends the session that was called with, if any.
pub(crate) async fn end(call: &Call) -> Result<(), Problem> {
    if let Some(session) = call.session.clone() {
        call.services
            .store
            .write(move |tx: &mut dyn Tx| credentials::end_session(tx, &session))
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use directory::Refusal;
    use std::time::Duration;

    #[test]
    fn who_is_not_let_in_reads_why_in_the_language_of_the_page() {
        let later = |reason| LoginRuling::TryLater {
            reason,
            after: Duration::from_secs(60),
        };
        for (ruling, german) in [
            (
                LoginRuling::Refused(Refusal::WrongPassword),
                "Passwort ist falsch",
            ),
            (later(TryLaterReason::BackOff), "zu viele falsche"),
            (later(TryLaterReason::Store), "gerade nicht möglich"),
        ] {
            let problem = Problem::login_failed(refusal(&ruling));
            let said = problem.reason(Language::German);
            assert!(said.contains(german), "{said}");
            let said = problem.reason(Language::English);
            assert!(
                !said.contains(german) && !said.contains("mail program"),
                "{said}"
            );
        }
        let unknown = LoginRuling::Refused(Refusal::UnknownUser);
        let wrong = LoginRuling::Refused(Refusal::WrongPassword);
        assert_eq!(refusal(&unknown), refusal(&wrong));
    }
}

//! The router with its services: from a request to its answer. In this order, for every route: how many requests, who
//! calls, what about, may they (`access`), did a page of ours send it, the audit log, the handler. Made once for all
//! listeners.

use crate::access::{Caller, Proof, Right, Role, Ruling, Subject, rule};
use crate::audit::{self, Begun};
use crate::call::{Call, Notes};
use crate::connecting::Connecting;
use crate::credentials;
use crate::form;
use crate::grants;
use crate::headers;
use crate::language::{self, Language};
use crate::legacy_hosts::LegacyHosts;
use crate::limits::{
    BODY_BYTES_MAX, FORM_BYTES_MAX, LOCAL_REQUEST_TIME_MAX, LOCAL_STATE_BYTES_MAX,
    REQUEST_TIME_MAX, STATE_BYTES_MAX,
};
use crate::looks::{Look, Looks};
use crate::pages;
use crate::problem::Problem;
use crate::rate::{REQUESTS, Rate, WRITINGS};
use crate::route::{About, Audited, Kind, Paced, Route, Size};
use crate::serve::{BY, Origin};
use crate::services::Services;
use crate::session;
use crate::turns::Turns;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts as _, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use futures_util::FutureExt as _;
use platform::clock::Timestamp;
use platform::store::{Store, Tx};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tower::ServiceExt as _;

/// Answers requests. Cheap to clone.
#[derive(Clone)]
pub struct Face {
    inner: Arc<Inner>,
    router: Router,
}

struct Inner {
    services: Arc<Services>,
    rate: Rate,
    writings: Rate,
    turns: Arc<Turns>,
    looks: Arc<Looks>,
}

impl Face {
    /// Every route over `services`.
    pub fn new(services: Services) -> Self {
        let inner = Arc::new(Inner {
            services: Arc::new(services),
            rate: Rate::new(REQUESTS),
            writings: Rate::new(WRITINGS),
            turns: Arc::default(),
            looks: Arc::default(),
        });
        let mut router = Router::new();
        for route in crate::routes::all() {
            let (path, filter) = (route.path, filter(&route.method));
            let (inner, route) = (inner.clone(), Arc::new(route));
            let handler = move |request: Request<Body>| {
                let (inner, route) = (inner.clone(), route.clone());
                async move { inner.answer(&route, request).await }
            };
            router = router.route(path, on(filter, handler));
        }
        let router = router
            .fallback(|request: Request<Body>| async { nothing_here(request, Problem::not_here()) })
            .method_not_allowed_fallback(|request: Request<Body>| async {
                nothing_here(request, Problem::wrong_method())
            });
        Self { inner, router }
    }

    /// The services.
    pub(crate) fn services(&self) -> &Services {
        &self.inner.services
    }

    /// Where customers connect; what listens is told as soon as it is bound.
    pub fn connecting(&self) -> &Connecting {
        &self.inner.services.connecting
    }

    /// The legacy hosts; what listens is told as soon as it is bound.
    pub fn legacy(&self) -> &LegacyHosts {
        &self.inner.services.legacy
    }

    /// The answer to one request, in time and with everything every answer carries.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response {
        let uri = request.uri().clone();
        let language = language::wanted(uri.query().unwrap_or(""), request.headers());
        let time_max = match request.extensions().get::<Origin>() {
            Some(Origin::Local { .. }) => LOCAL_REQUEST_TIME_MAX,
            Some(Origin::Network { .. }) | None => REQUEST_TIME_MAX,
        };
        let routed = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind();
        let mut response = match tokio::time::timeout(time_max, routed).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => {
                let problem = Problem::fault(&format_args!("a handler of {} panicked", uri.path()));
                problem.respond(language)
            }
            Err(_elapsed) => Problem::busy().respond(language),
        };
        headers::secure(response.headers_mut());
        response
    }
}

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::PATCH => MethodFilter::PATCH,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}

fn nothing_here(request: Request<Body>, problem: Problem) -> Response {
    let language = language::wanted(request.uri().query().unwrap_or(""), request.headers());
    match request.uri().path().starts_with("/api/") {
        true => problem.respond(language),
        false => pages::problem(&problem, language),
    }
}

impl Inner {
    async fn answer(&self, route: &Arc<Route>, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let language = language::wanted(parts.uri.query().unwrap_or(""), &parts.headers);
        let place = parts.uri.clone();
        match self.try_answer(route, parts, body, language).await {
            Ok(response) => response,
            Err(problem) => match &route.kind {
                Kind::Api(_) => problem.respond(language),
                Kind::Page => {
                    if problem.status() == StatusCode::UNAUTHORIZED && route.method == Method::GET {
                        return pages::way_to_login(&place);
                    }
                    pages::problem(&problem, language)
                }
            },
        }
    }

    async fn try_answer(
        &self,
        route: &Arc<Route>,
        mut parts: Parts,
        body: Body,
        language: Language,
    ) -> Result<Response, Problem> {
        let now = self.services.clock.now();
        let origin = parts.extensions.get::<Origin>().cloned();
        let origin = origin.ok_or_else(|| Problem::fault(&"a request without an origin"))?;
        if let Origin::Network { peer, .. } = &origin {
            self.rate.take(*peer, now).map_err(Problem::too_many)?;
        }
        let (caller, session) = who_calls(
            &self.services.store,
            &origin,
            &parts.headers,
            route.right,
            now,
        )
        .await?;
        if caller.is_none() && route.right != Right::Public {
            return Err(Problem::unauthorized());
        }
        let params = path_params(&mut parts).await?;
        let subject = route.subject(&params)?;
        match rule(caller.as_ref(), route.right, &subject) {
            Ruling::Admitted => {}
            Ruling::WhoAreYou => return Err(Problem::unauthorized()),
            Ruling::Refused => return Err(Problem::forbidden()),
        }
        self.refuse_more_than_granted(caller.as_ref(), route.right, &subject)
            .await?;
        let body = axum::body::to_bytes(body, body_bytes_max(route, &origin))
            .await
            .map_err(|_| Problem::too_large())?;
        check_origin(
            route,
            caller.as_ref(),
            session.as_deref(),
            &parts.headers,
            &body,
        )?;
        if let (Paced::Slowly, Origin::Network { peer, .. }) = (route.paced, &origin) {
            self.writings.take(*peer, now).map_err(Problem::too_many)?;
        }
        let by = said_by(&origin, &parts.headers);
        let mut call = Call {
            by,
            services: self.services.clone(),
            caller,
            params,
            uri: parts.uri,
            headers: parts.headers,
            body,
            language,
            now,
            origin,
            session,
            notes: Arc::new(Notes::default()),
            told: Arc::default(),
        };
        if matches!(route.kind, Kind::Page) {
            call.told = pages::banner::told(&call).await;
        }
        match route.audited {
            Audited::No => (route.run)(call).await,
            Audited::Yes => self.audited(route, call, &subject).await,
        }
    }

    /// Refuses to let somebody act as an account that was granted more than they have themselves.
    async fn refuse_more_than_granted(
        &self,
        caller: Option<&Caller>,
        right: Right,
        subject: &Subject,
    ) -> Result<(), Problem> {
        let (Some(caller), Subject::Account(login)) = (caller, subject) else {
            return Ok(());
        };
        let is_own = caller.account.as_ref().is_some_and(|(_, own)| own == login);
        if caller.role == Role::Operator || is_own || !matches!(right, Right::Own | Right::Change) {
            return Ok(());
        }
        let login = login.clone();
        let granted = self
            .services
            .store
            .read(move |tx: &mut dyn Tx| grants::of_login(tx, &login))
            .await?;
        match caller.may_stand_for(granted.role, &granted.domains) {
            true => Ok(()),
            false => Err(Problem::forbidden()),
        }
    }

    /// Runs the handler between the beginning and the end of a row of the audit log. Whoever hangs up in the middle
    /// leaves neither half a change nor a row without an end. A look that goes on has its row.
    async fn audited(
        &self,
        route: &Arc<Route>,
        call: Call,
        subject: &Subject,
    ) -> Result<Response, Problem> {
        let (who, now) = (who_acts(&call), call.now);
        let look = (route.method == Method::GET).then(|| Look::of(&who, &call.uri));
        if look
            .as_ref()
            .is_some_and(|look| self.looks.goes_on(look, now))
        {
            return (route.run)(call).await;
        }
        let begun = Begun {
            at: now,
            who,
            role: call.caller.as_ref().map_or("public", |c| c.role.word()),
            route: format!("{} {}", route.method, call.uri.path()),
            subject: match (route.about, call.caller.as_ref()) {
                (About::Caller, Some(caller)) => caller.who.clone(),
                _ => subject.words(),
            },
        };
        let (turns, looks, route, store) = (
            self.turns.clone(),
            self.looks.clone(),
            route.clone(),
            self.services.store.clone(),
        );
        let thing = thing(subject, &call);
        let change = tokio::spawn(async move {
            let entry = store
                .write(move |tx: &mut dyn Tx| audit::begin(tx, &begun))
                .await?;
            let _turn = match route.method == Method::GET {
                true => None,
                false => turns.take(&thing).await,
            };
            let notes = call.notes.clone();
            let result = AssertUnwindSafe((route.run)(call)).catch_unwind().await;
            let result = result.unwrap_or_else(|_panic| Err(Problem::fault(&"a handler panicked")));
            let outcome = match &result {
                Ok(_) => "done".to_owned(),
                Err(problem) => format!("refused {}", problem.status().as_u16()),
            };
            let (before, after) = notes.take();
            let before = before.as_ref().and_then(audit::kept);
            let after = after.as_ref().and_then(audit::kept);
            store
                .write(move |tx: &mut dyn Tx| {
                    audit::end(tx, entry, &outcome, before.as_deref(), after.as_deref())
                })
                .await?;
            if let (Some(look), Ok(_)) = (look, &result) {
                looks.begins(look, now);
            }
            result
        });
        let changed = change.await;
        changed.unwrap_or_else(|error| Err(Problem::fault(&error)))
    }
}

/// Whom the operator at a terminal says it acts for.
fn said_by(origin: &Origin, headers: &HeaderMap) -> Option<String> {
    if !matches!(origin, Origin::Local { .. }) {
        return None;
    }
    let said = headers.get(BY)?.as_bytes();
    let (said, _) = form_urlencoded::parse(said).next()?;
    (!said.contains('\0')).then(|| said.into_owned())
}

/// For the audit log: who calls, and whom it says it acts for.
fn who_acts(call: &Call) -> String {
    match (call.caller.as_ref(), &call.by) {
        (Some(caller), Some(by)) => format!("{} for {by}", caller.who),
        _ => call.who(),
    }
}

/// What changes take turns with: the subject, or what of the installation the path names first.
fn thing(subject: &Subject, call: &Call) -> String {
    match (subject, call.params.first()) {
        (Subject::Installation, Some((name, value))) => format!("{name} {value}"),
        _ => subject.words(),
    }
}

/// How large a body may be.
fn body_bytes_max(route: &Route, origin: &Origin) -> usize {
    match (route.right, &route.kind, route.size, origin) {
        (Right::Public, ..) | (_, Kind::Page, ..) => FORM_BYTES_MAX,
        (_, Kind::Api(_), Size::Usual, _) => BODY_BYTES_MAX,
        (_, Kind::Api(_), Size::State, Origin::Network { .. }) => STATE_BYTES_MAX,
        (_, Kind::Api(_), Size::State, Origin::Local { .. }) => LOCAL_STATE_BYTES_MAX,
    }
}

/// Who calls, and the session they called with. `right` is what the route needs.
async fn who_calls(
    store: &Store,
    origin: &Origin,
    headers: &HeaderMap,
    right: Right,
    now: Timestamp,
) -> Result<(Option<Caller>, Option<String>), Problem> {
    if let Origin::Local { user } = origin {
        let local = Caller {
            who: format!("local {user}"),
            role: Role::Operator,
            domains: Vec::new(),
            account: None,
            proof: Proof::Local,
        };
        return Ok((Some(local), None));
    }
    if let Some(token) = token_of(headers, right)? {
        let asked = token.clone();
        let (caller, is_new) = store
            .read(move |tx: &mut dyn Tx| {
                let caller = credentials::caller_of_token(tx, &asked, now)?;
                let is_new = caller.is_some() && credentials::use_is_new(tx, &asked, now)?;
                Ok::<_, platform::store::StoreError>((caller, is_new))
            })
            .await?;
        if is_new {
            store
                .write(move |tx: &mut dyn Tx| credentials::note_use(tx, &token, now))
                .await?;
        }
        return caller
            .map(|caller| (Some(caller), None))
            .ok_or_else(Problem::unauthorized);
    }
    let Some(session) = session::of(headers).map(str::to_owned) else {
        return Ok((None, None));
    };
    let asked = session.clone();
    let caller = store
        .read(move |tx: &mut dyn Tx| credentials::caller_of_session(tx, &asked, now))
        .await?;
    let session = caller.is_some().then_some(session);
    Ok((caller, session))
}

/// Whether who called could call again now: for answers that go on while a session or a token may end.
pub(crate) async fn still_sees(call: &Call, subject: &Subject) -> bool {
    let (services, now) = (&call.services, call.services.clock.now());
    match who_calls(
        &services.store,
        &call.origin,
        &call.headers,
        Right::See,
        now,
    )
    .await
    {
        Ok((Some(caller), _)) => caller.may(Right::See, subject),
        Ok((None, _)) | Err(_) => false,
    }
}

/// The token a request came with. Where nobody has to say who they are, an Authorization field of another kind says
/// nothing: mail programs that ask for settings send the account's password along, asked or not.
fn token_of(headers: &HeaderMap, right: Right) -> Result<Option<String>, Problem> {
    let Some(said) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    match said.to_str().ok().and_then(bearer) {
        Some(token) => Ok(Some(token.to_owned())),
        None if right == Right::Public => Ok(None),
        None => Err(Problem::unauthorized()),
    }
}

/// The token of an Authorization field (RFC 6750 §2.1).
fn bearer(said: &str) -> Option<&str> {
    let (scheme, token) = said.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn path_params(parts: &mut Parts) -> Result<Vec<(String, String)>, Problem> {
    let params = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|error| Problem::unreadable(error.body_text()))?;
    let params = params.iter().map(|(n, v)| (n.to_owned(), v.to_owned()));
    let params: Vec<_> = params.collect();
    match params.iter().any(|(_, value)| value.contains('\0')) {
        true => Err(Problem::not_here()),
        false => Ok(params),
    }
}

/// Refuses what a page of another site made a browser send (with the cookie, which it sends by itself).
fn check_origin(
    route: &Route,
    caller: Option<&Caller>,
    session: Option<&str>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(), Problem> {
    if route.method == Method::GET {
        return Ok(());
    }
    let is_own = match (caller.map(|caller| caller.proof), session) {
        // No browser sends these by itself.
        (Some(Proof::Local | Proof::Token), _) => true,
        (Some(Proof::Session), Some(session)) if route.right != Right::Public => {
            let said = headers.get("x-form-token").and_then(|v| v.to_str().ok());
            let said = said.map(str::to_owned);
            let said = said.or_else(|| form::field(body, pages::FORM_TOKEN));
            session::is_own_form(headers, session, said.as_deref())
        }
        (Some(Proof::Session) | None, _) => session::is_same_site(headers),
    };
    match is_own {
        true => Ok(()),
        false => Err(Problem::foreign_form()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_password_of_a_mail_program_is_in_nobodys_way_where_everybody_may_look() {
        let of = |said: &'static str, right| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(said));
            token_of(&headers, right).map_err(|problem| problem.status())
        };
        assert_eq!(of("Basic YTpi", Right::Public), Ok(None));
        assert_eq!(of("Basic YTpi", Right::See), Err(StatusCode::UNAUTHORIZED));
        for right in [Right::Public, Right::See] {
            assert_eq!(of("bearer x", right), Ok(Some("x".to_owned())));
            assert_eq!(token_of(&HeaderMap::new(), right).ok(), Some(None));
        }
    }
}

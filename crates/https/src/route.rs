//! A route: an address, what somebody must be allowed to do to what in order to call it, and what is done then. The
//! router is built from values of this type only, so that a route without its right cannot exist.

use crate::access::{Right, Subject};
use crate::call::{Asked, Call, Described, Sent, Told};
use crate::problem::Problem;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use directory::{AddressKey, DomainName};
use futures_util::future::BoxFuture;
use utoipa::openapi::path::Parameter;

/// What a route is about, and which part of its path says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// The whole installation.
    Installation,
    /// The domain in `{domain}`.
    Domain,
    /// The account in `{account}`.
    Account,
    /// Many things, each of which is asked about when it is shown.
    Each,
    /// The caller itself.
    Caller,
}

/// Whether using a route is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audited {
    /// It is.
    Yes,
    /// It only reads what concerns nobody else, or is about the caller's own session.
    No,
}

/// How often an address may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paced {
    /// As requests of all kinds.
    Usually,
    /// A few times: what it leaves behind is read by people.
    Slowly,
}

/// How much may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// What forms and documents need.
    Usual,
    /// The state of an installation.
    State,
}

/// Who a route speaks to.
pub(crate) enum Kind {
    /// To programs, as the OpenAPI document describes it.
    Api(Operation),
    /// To people.
    Page,
}

/// What the document says about an operation.
pub(crate) struct Operation {
    pub(crate) summary: &'static str,
    pub(crate) query: fn() -> Vec<Parameter>,
    pub(crate) sent: fn() -> Described,
    pub(crate) told: fn() -> Described,
    pub(crate) status: StatusCode,
}

/// What carries it out.
pub(crate) type Run =
    Box<dyn Fn(Call) -> BoxFuture<'static, Result<Response, Problem>> + Send + Sync>;

/// See the module's text.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) right: Right,
    pub(crate) about: About,
    pub(crate) audited: Audited,
    pub(crate) paced: Paced,
    pub(crate) size: Size,
    pub(crate) kind: Kind,
    pub(crate) run: Run,
}

impl Route {
    /// An operation of the API; changes are written to the audit log.
    pub(crate) fn api<Q, B, T, F, R>(
        method: Method,
        path: &'static str,
        (right, about): (Right, About),
        summary: &'static str,
        run: F,
    ) -> Self
    where
        Q: Asked + 'static,
        B: Sent + 'static,
        T: Told + 'static,
        F: Fn(Call, Q, B) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let audited = match method {
            Method::GET => Audited::No,
            _ => Audited::Yes,
        };
        Self {
            method,
            path,
            right,
            about,
            audited,
            paced: Paced::Usually,
            size: Size::Usual,
            kind: Kind::Api(Operation {
                summary,
                query: Q::describe,
                sent: B::describe,
                told: T::describe,
                status: T::STATUS,
            }),
            run: Box::new(move |call| {
                Box::pin(async move {
                    let asked = Q::read(&call.uri)?;
                    let sent = B::read(&call)?;
                    run(call, asked, sent).await?.respond()
                })
            }),
        }
    }

    /// A page, or what the form of a page does.
    pub(crate) fn page<F, R>(
        method: Method,
        path: &'static str,
        (right, about): (Right, About),
        run: F,
    ) -> Self
    where
        F: Fn(Call) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        Self {
            method,
            path,
            right,
            about,
            audited: Audited::No,
            paced: Paced::Usually,
            size: Size::Usual,
            kind: Kind::Page,
            run: Box::new(move |call| Box::pin(run(call))),
        }
    }

    /// The same, written to the audit log.
    pub(crate) fn audited(mut self) -> Self {
        self.audited = Audited::Yes;
        self
    }

    /// The same, not written to the audit log: what it changes is the caller's own session, or nothing.
    pub(crate) fn not_audited(mut self) -> Self {
        self.audited = Audited::No;
        self
    }

    /// The same, for a few requests of an address only.
    pub(crate) fn slowly(mut self) -> Self {
        self.paced = Paced::Slowly;
        self
    }

    /// The same, for the state of a whole installation.
    pub(crate) fn bulky(mut self) -> Self {
        self.size = Size::State;
        self
    }

    /// What a request to it is about.
    ///
    /// # Errors
    /// Where the path names nothing that could exist.
    pub(crate) fn subject(&self, params: &[(String, String)]) -> Result<Subject, Problem> {
        let param = |name: &str| {
            let found = params.iter().find(|(n, _)| n == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        Ok(match self.about {
            About::Installation => Subject::Installation,
            About::Domain => Subject::Domain(DomainName::parse(param("domain"))?),
            About::Account => Subject::Account(AddressKey::parse(param("account"))?),
            About::Each => Subject::Each,
            About::Caller => Subject::Caller,
        })
    }
}

//! Why a request was not carried out, as RFC 9457 says it: for programs a type, for people what happened and what to do,
//! in their language. Faults of ours are logged here and told without detail.

use crate::answer;
use crate::credentials::CredentialError;
use crate::german::german;
use crate::language::{Language, Speak as _};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use directory::admin::AdminError;
use platform::store::StoreError;
use policy::admin::PolicyError;
use rollout::RolloutError;
use serde::{Deserialize, Serialize};

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    kind: Kind,
    /// What is wrong with this request, where the kind alone does not say it.
    detail: Option<Detail>,
    retry_after_seconds: Option<u64>,
}

/// What is wrong with a request: in English, and in German as far as it is said in German.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    german: Option<String>,
    english: String,
}

impl Detail {
    /// The one of this language; the English one where there is no other.
    fn of(&self, language: Language) -> &str {
        let german = self.german.as_deref().unwrap_or(&self.english);
        language.of(german, &self.english)
    }
}

/// English; German where `german` knows it.
impl From<String> for Detail {
    fn from(english: String) -> Self {
        Self {
            german: german(&english),
            english,
        }
    }
}

impl From<&str> for Detail {
    fn from(english: &str) -> Self {
        english.to_owned().into()
    }
}

/// German, then English.
impl From<[String; 2]> for Detail {
    fn from([german, english]: [String; 2]) -> Self {
        Self {
            german: Some(german),
            english,
        }
    }
}

/// German, then English.
impl From<[&str; 2]> for Detail {
    fn from(both: [&str; 2]) -> Self {
        both.map(str::to_owned).into()
    }
}

/// The kinds, each a `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unauthorized,
    Forbidden,
    ForeignForm,
    Missing,
    Invalid,
    Conflict,
    ConsentNeeded,
    Changed,
    HeldAgainst,
    Elsewhere,
    NotHere,
    TooMany,
    TooLarge,
    Busy,
    Fault,
}

/// What a program reads (RFC 9457 §3.1).
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct ProblemDetails {
    /// What kind of problem it is.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The status code.
    status: u16,
    /// What is wrong with this request and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl ProblemDetails {
    /// What to tell whoever asked.
    pub(crate) fn into_words(self) -> String {
        self.detail.unwrap_or(self.title)
    }
}

impl Kind {
    #[cfg(test)]
    const ALL: [Self; 15] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::ForeignForm,
        Self::Missing,
        Self::Invalid,
        Self::Conflict,
        Self::ConsentNeeded,
        Self::Changed,
        Self::HeldAgainst,
        Self::Elsewhere,
        Self::NotHere,
        Self::TooMany,
        Self::TooLarge,
        Self::Busy,
        Self::Fault,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Unauthorized => "login-needed",
            Self::Forbidden => "not-yours",
            Self::ForeignForm => "not-from-here",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::ConsentNeeded => "consent-needed",
            Self::Changed => "changed-meanwhile",
            Self::HeldAgainst => "held-against",
            Self::Elsewhere => "elsewhere",
            Self::NotHere => "not-here",
            Self::TooMany => "too-many-requests",
            Self::TooLarge => "too-large",
            Self::Busy => "busy",
            Self::Fault => "our-fault",
        }
    }

    fn title(self, language: Language) -> &'static str {
        let (german, english) = match self {
            Self::Unauthorized => ("Bitte melden Sie sich an.", "Please log in."),
            Self::Forbidden => (
                "Das gehört nicht zu dem, was Sie verwalten.",
                "This is not among what you administer.",
            ),
            Self::ForeignForm => (
                "Die Anfrage kam nicht von einer Seite dieses Servers, oder die Seite war veraltet; bitte öffnen Sie \
                 die Seite neu.",
                "The request did not come from a page of this server, or the page is old; please open the page again.",
            ),
            Self::Missing => ("Das gibt es nicht.", "There is no such thing."),
            Self::Invalid => (
                "So geht es nicht; bitte ändern Sie die Angaben.",
                "This does not work; please change what you sent.",
            ),
            Self::Conflict => ("Etwas steht dem entgegen.", "Something is in the way."),
            Self::ConsentNeeded => (
                "Dazu muss erst jemand zustimmen.",
                "Somebody has to agree first.",
            ),
            Self::Changed => (
                "Das hat inzwischen jemand geändert; bitte sehen Sie es neu an.",
                "Somebody changed this meanwhile; please look at it again.",
            ),
            Self::HeldAgainst => ("Davon wird abgeraten.", "The advisor holds against it."),
            Self::Elsewhere => (
                "Ein anderer Server, der dazu gebraucht wird, hat nicht geantwortet oder lehnt ab.",
                "Another server that is needed for this did not answer or refuses.",
            ),
            Self::NotHere => ("Hier ist nichts.", "There is nothing here."),
            Self::TooMany => (
                "Das waren zu viele Anfragen; bitte warten Sie einen Moment.",
                "These were too many requests; please wait a moment.",
            ),
            Self::TooLarge => ("Das ist zu groß.", "This is too large."),
            Self::Busy => (
                "Das geht gerade nicht; bitte versuchen Sie es in einer Minute noch einmal.",
                "This is not possible right now; please try again in a minute.",
            ),
            Self::Fault => (
                "Das hat nicht geklappt; der Fehler liegt bei uns.",
                "This did not work; the fault is ours.",
            ),
        };
        language.of(german, english)
    }
}

impl Problem {
    fn of(status: StatusCode, kind: Kind) -> Self {
        Self {
            status,
            kind,
            detail: None,
            retry_after_seconds: None,
        }
    }

    fn with(mut self, detail: impl Into<Detail>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Nobody is logged in.
    pub(crate) fn unauthorized() -> Self {
        Self::of(StatusCode::UNAUTHORIZED, Kind::Unauthorized)
    }

    /// A login that failed, with the reason.
    pub(crate) fn login_failed(text: impl Into<Detail>) -> Self {
        Self::unauthorized().with(text)
    }

    /// The caller may not.
    pub(crate) fn forbidden() -> Self {
        Self::of(StatusCode::FORBIDDEN, Kind::Forbidden)
    }

    /// The form came from another site or is too old.
    pub(crate) fn foreign_form() -> Self {
        Self::of(StatusCode::FORBIDDEN, Kind::ForeignForm)
    }

    /// It does not exist.
    pub(crate) fn missing(detail: impl Into<Detail>) -> Self {
        Self::of(StatusCode::NOT_FOUND, Kind::Missing).with(detail)
    }

    /// There is no such address on this server.
    pub(crate) fn not_here() -> Self {
        Self::of(StatusCode::NOT_FOUND, Kind::NotHere)
    }

    /// This address does not take this method.
    pub(crate) fn wrong_method() -> Self {
        Self::of(StatusCode::METHOD_NOT_ALLOWED, Kind::NotHere)
    }

    /// What was sent makes no sense.
    pub(crate) fn invalid(detail: impl Into<Detail>) -> Self {
        Self::of(StatusCode::UNPROCESSABLE_ENTITY, Kind::Invalid).with(detail)
    }

    /// What was sent cannot be read.
    pub(crate) fn unreadable(detail: impl Into<Detail>) -> Self {
        Self::of(StatusCode::BAD_REQUEST, Kind::Invalid).with(detail)
    }

    /// Something that exists or is used prevents it.
    pub(crate) fn conflict(detail: impl Into<Detail>) -> Self {
        Self::of(StatusCode::CONFLICT, Kind::Conflict).with(detail)
    }

    /// An advisor holds these against it, and nobody said that it is wanted anyway.
    pub(crate) fn held_against(reasons: &[String]) -> Self {
        let list: String = reasons.iter().map(|one| format!("\n  - {one}")).collect();
        Self::of(StatusCode::CONFLICT, Kind::HeldAgainst).with([
            format!("Dagegen spricht:{list}\nWarten Sie, oder senden Sie \"anyway\": true."),
            format!("the advisor holds against it:{list}\nWait, or send \"anyway\": true"),
        ])
    }

    /// A server elsewhere, such as one of the DNS, did not answer or refused. No fault of ours, hence below 500.
    pub(crate) fn unreachable(detail: impl Into<Detail>) -> Self {
        Self::of(StatusCode::FAILED_DEPENDENCY, Kind::Elsewhere).with(detail)
    }

    /// It is not what the caller saw any more (If-Match).
    pub(crate) fn changed() -> Self {
        Self::of(StatusCode::PRECONDITION_FAILED, Kind::Changed)
    }

    /// The body is larger than is taken.
    pub(crate) fn too_large() -> Self {
        Self::of(StatusCode::PAYLOAD_TOO_LARGE, Kind::TooLarge)
    }

    /// Too many requests; again after so many seconds.
    pub(crate) fn too_many(after_seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(after_seconds),
            ..Self::of(StatusCode::TOO_MANY_REQUESTS, Kind::TooMany)
        }
    }

    /// Not now.
    pub(crate) fn busy() -> Self {
        Self {
            retry_after_seconds: Some(60),
            ..Self::of(StatusCode::SERVICE_UNAVAILABLE, Kind::Busy)
        }
    }

    /// A fault of ours, logged here.
    pub(crate) fn fault(why: &dyn std::fmt::Display) -> Self {
        tracing::error!(%why, "http.request_failed");
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, Kind::Fault)
    }

    /// The status it is told with.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// In words, for a page.
    pub(crate) fn words(&self, language: Language) -> String {
        let title = self.kind.title(language);
        match &self.detail {
            Some(detail) => format!("{title} {}", detail.of(language)),
            None => title.to_owned(),
        }
    }

    /// What is wrong with this very request, for a form that is shown again.
    pub(crate) fn reason(&self, language: Language) -> String {
        let title = self.kind.title(language);
        let detail = self.detail.as_ref();
        detail
            .map_or(title, |detail| detail.of(language))
            .to_owned()
    }

    /// For programs.
    pub(crate) fn respond(&self, language: Language) -> Response {
        let details = ProblemDetails {
            kind: format!("urn:rohrpost:problem:{}", self.kind.word()),
            title: self.kind.title(language).to_owned(),
            status: self.status.as_u16(),
            detail: self
                .detail
                .as_ref()
                .map(|detail| detail.of(language).to_owned()),
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = answer::with_body(self.status, "application/problem+json", body);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_LANGUAGE,
            HeaderValue::from_static(language.tag()),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Contention | StoreError::Uncertain(_) | StoreError::Closed => Self::busy(),
            other => Self::fault(&other),
        }
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Exists(text) | AdminError::InUse(text) => Self::conflict(text),
            AdminError::Missing(text) => Self::missing(text),
            AdminError::Invalid(text) => Self::invalid(text),
            AdminError::Store(error) => error.into(),
        }
    }
}

impl From<PolicyError> for Problem {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Invalid(text) => Self::invalid(text),
            PolicyError::Missing(text) => Self::missing(text),
            PolicyError::InUse(text) => Self::conflict(text),
            PolicyError::ConsentNeeded(text) => {
                Self::of(StatusCode::CONFLICT, Kind::ConsentNeeded).with(text)
            }
            PolicyError::Store(error) => error.into(),
        }
    }
}

impl From<RolloutError> for Problem {
    fn from(error: RolloutError) -> Self {
        match error {
            RolloutError::Missing(text) => Self::missing(text),
            RolloutError::Invalid(text) => Self::invalid(text),
            RolloutError::Policy(error) => error.into(),
            RolloutError::Store(error) => error.into(),
        }
    }
}

impl From<CredentialError> for Problem {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Invalid(text) => Self::invalid(text),
            CredentialError::Missing(text) => Self::missing(text),
            CredentialError::Store(error) => error.into(),
        }
    }
}

impl From<directory::NameError> for Problem {
    fn from(error: directory::NameError) -> Self {
        Self::invalid(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    /// One of each kind, as handlers make them.
    fn every_kind() -> Vec<Problem> {
        let of = |kind: Kind| match kind {
            Kind::Unauthorized => Problem::unauthorized(),
            Kind::Forbidden => Problem::forbidden(),
            Kind::ForeignForm => Problem::foreign_form(),
            Kind::Missing => Problem::missing(
                "domain firma.test does not exist; `rohrpost domain list` shows those that do",
            ),
            Kind::Invalid => directory::DomainName::parse("a b")
                .map_err(Problem::from)
                .unwrap_err(),
            Kind::Conflict => {
                AdminError::Exists("domain firma.test exists already".to_owned()).into()
            }
            Kind::ConsentNeeded => PolicyError::ConsentNeeded("inbound-tls".to_owned()).into(),
            Kind::Changed => Problem::changed(),
            Kind::HeldAgainst => Problem::held_against(&["x".to_owned()]),
            Kind::Elsewhere => {
                Problem::unreachable("_dmarc.firma.test could not be looked up: timeout")
            }
            Kind::NotHere => Problem::not_here(),
            Kind::TooMany => Problem::too_many(7),
            Kind::TooLarge => Problem::too_large(),
            Kind::Busy => StoreError::Contention.into(),
            Kind::Fault => Problem::fault(&"a test"),
        };
        Kind::ALL.map(of).into()
    }

    async fn told(problem: &Problem, language: Language) -> (Response, ProblemDetails) {
        let response = problem.respond(language);
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let details = serde_json::from_slice(&bytes).unwrap();
        (
            Response::from_parts(parts, axum::body::Body::empty()),
            details,
        )
    }

    #[tokio::test]
    async fn every_problem_is_told_in_the_language_that_was_asked_for() {
        for problem in every_kind() {
            let (german, de) = told(&problem, Language::German).await;
            let (english, en) = told(&problem, Language::English).await;
            for (response, tag) in [(&german, "de"), (&english, "en")] {
                assert_eq!(response.headers()[header::CONTENT_LANGUAGE], tag);
                assert_eq!(
                    response.headers()[header::CONTENT_TYPE],
                    "application/problem+json"
                );
            }
            assert_eq!((&de.kind, de.status), (&en.kind, en.status));
            assert!(de.kind.starts_with("urn:rohrpost:problem:"), "{de:?}");
            assert_ne!(de.title, en.title);
            assert_eq!(de.detail.is_some(), en.detail.is_some());
            // What no table knows is told in English beside a German title.
            if problem.kind != Kind::ConsentNeeded {
                assert!(de.detail.is_none() || de.detail != en.detail, "{de:?}");
            }
        }
    }

    #[test]
    fn a_fault_of_ours_tells_no_detail() {
        let fault = Problem::from(StoreError::Closed);
        assert_eq!(fault.status(), StatusCode::SERVICE_UNAVAILABLE);
        let fault = Problem::fault(&"the password of the database");
        assert!(!fault.words(Language::English).contains("password"));
    }
}

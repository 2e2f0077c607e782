//! One request as a handler sees it: who calls, about what, in which language; and the types of what goes in and comes
//! out, which describe themselves for the OpenAPI document.

use crate::access::{Caller, Right, Subject};
use crate::answer;
use crate::api::WhatChanged;
use crate::language::Language;
use crate::problem::Problem;
use crate::serve::Origin;
use crate::services::Services;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use directory::{AddressKey, DomainName};
use platform::clock::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, Mutex};
use utoipa::openapi::{Content, RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

/// Entries of one page of a list: as many as leave an answer of a few megabytes.
pub(crate) const PAGE_MAX: usize = 10_000;
/// Where nothing else is asked for.
pub(crate) const PAGE_USUAL: usize = 100;

/// A request. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) services: Arc<Services>,
    pub(crate) caller: Option<Caller>,
    /// Whom it acts for, where the operator at a terminal says so.
    pub(crate) by: Option<String>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) language: Language,
    pub(crate) now: Timestamp,
    /// How it came in.
    pub(crate) origin: Origin,
    /// The value of the session's cookie, where that is who calls.
    pub(crate) session: Option<String>,
    pub(crate) notes: Arc<Notes>,
    /// What the caller's account is told of announcements; for pages only.
    pub(crate) told: Arc<[rollout::Told]>,
}

/// What the audit log is told about a change.
#[derive(Default)]
pub(crate) struct Notes {
    kept: Mutex<(Option<Value>, Option<Value>)>,
}

impl Notes {
    fn with(&self, put: impl FnOnce(&mut (Option<Value>, Option<Value>))) {
        put(&mut self.kept.lock().unwrap_or_else(|e| e.into_inner()));
    }

    /// Before and after.
    pub(crate) fn take(&self) -> (Option<Value>, Option<Value>) {
        let mut taken = (None, None);
        self.with(|kept| taken = std::mem::take(kept));
        taken
    }
}

impl Call {
    /// A part of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// A part of the path that is a domain.
    pub(crate) fn domain(&self) -> Result<DomainName, Problem> {
        Ok(DomainName::parse(self.param("domain"))?)
    }

    /// A part of the path that is an account's login address.
    pub(crate) fn login(&self) -> Result<AddressKey, Problem> {
        Ok(AddressKey::parse(self.param("account"))?)
    }

    /// Who calls.
    ///
    /// # Errors
    /// Where nobody is logged in; only on public routes.
    pub(crate) fn caller(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(Problem::unauthorized)
    }

    /// Refuses what the route's own right does not cover, such as another account named in the body.
    pub(crate) fn require(&self, right: Right, subject: &Subject) -> Result<(), Problem> {
        match self.caller()?.may(right, subject) {
            true => Ok(()),
            false => Err(Problem::forbidden()),
        }
    }

    /// For histories: who changes something.
    pub(crate) fn who(&self) -> String {
        let who = self.caller.as_ref().map(|caller| caller.who.clone());
        let who = self.by.clone().or(who);
        who.unwrap_or_else(|| "nobody".to_owned())
    }

    /// Notes what was before and refuses where the caller saw something else (RFC 9110 §13.1.1, If-Match).
    pub(crate) fn expect(&self, before: &impl Serialize) -> Result<(), Problem> {
        let body = serde_json::to_vec(before).map_err(|error| Problem::fault(&error))?;
        self.notes
            .with(|kept| kept.0 = serde_json::from_slice(&body).ok());
        let Some(seen) = self.headers.get(header::IF_MATCH) else {
            return Ok(());
        };
        let own = etag(&body);
        let mut tags = seen.to_str().unwrap_or("").split(',').map(str::trim);
        match tags.any(|tag| tag == own || tag == "*") {
            true => Ok(()),
            false => Err(Problem::changed()),
        }
    }

    /// Notes what was before, where nobody could have seen it as an answer.
    pub(crate) fn note_before(&self, before: &impl Serialize) {
        let before = serde_json::to_value(before).ok();
        self.notes.with(|kept| kept.0 = before);
    }

    /// Notes what is after.
    pub(crate) fn note_after(&self, after: &impl Serialize) {
        let after = serde_json::to_value(after).ok();
        self.notes.with(|kept| kept.1 = after);
    }
}

fn etag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let hex = digest.iter().take(12).map(|byte| format!("{byte:02x}"));
    format!("\"{}\"", hex.collect::<String>())
}

/// What stands after `?`.
pub(crate) trait Asked: Sized + Send {
    /// Reads it.
    fn read(uri: &Uri) -> Result<Self, Problem>;
    /// For the document.
    fn describe() -> Vec<utoipa::openapi::path::Parameter>;
}

impl<T: DeserializeOwned + IntoParams + Send> Asked for T {
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let mut pairs = form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
        if pairs.any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(Problem::unreadable("NUL characters cannot be stored."));
        }
        let query = axum::extract::Query::<T>::try_from_uri(uri);
        query
            .map(|query| query.0)
            .map_err(|error| Problem::unreadable(error.body_text()))
    }

    fn describe() -> Vec<utoipa::openapi::path::Parameter> {
        T::into_params(|| Some(utoipa::openapi::path::ParameterIn::Query))
    }
}

/// Nothing is asked for after `?` but the language.
#[derive(serde::Deserialize, IntoParams)]
pub(crate) struct NoQuery {}

/// Which part of a list.
#[derive(serde::Deserialize, IntoParams)]
pub(crate) struct Page {
    /// Entries that are left out at the beginning.
    #[serde(default)]
    #[param(minimum = 0, maximum = 10000000)]
    pub(crate) offset: u32,
    /// At most so many entries; 100 where it is not said.
    #[param(minimum = 1, maximum = 10000)]
    pub(crate) limit: Option<u32>,
}

impl Page {
    /// How many entries.
    pub(crate) fn limit(&self) -> usize {
        let limit = self.limit.map_or(PAGE_USUAL, |limit| limit as usize);
        limit.clamp(1, PAGE_MAX)
    }

    /// This part of `all`, and how many there are.
    pub(crate) fn of<T>(&self, all: Vec<T>) -> (Vec<T>, usize) {
        let total = all.len();
        let part = all.into_iter().skip(self.offset as usize);
        (part.take(self.limit()).collect(), total)
    }
}

/// A type with its name, its schema, and the schemas that one needs.
pub(crate) struct Described {
    pub(crate) kind: &'static str,
    pub(crate) schema: Option<RefOr<Schema>>,
    pub(crate) parts: Vec<(String, RefOr<Schema>)>,
}

impl Described {
    fn json<T: ToSchema>() -> Self {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        let name = T::name().into_owned();
        parts.push((name.clone(), T::schema()));
        Self {
            kind: "application/json",
            schema: Some(utoipa::openapi::Ref::from_schema_name(name).into()),
            parts,
        }
    }

    /// An array of values with a schema of their own.
    fn list<T: ToSchema>() -> Self {
        let one = Self::json::<T>();
        let array = one.schema.map(|item| {
            let array = utoipa::openapi::ArrayBuilder::new().items(item).build();
            RefOr::T(Schema::Array(array))
        });
        Self {
            schema: array,
            ..one
        }
    }

    /// A text, or a file, of this type.
    pub(crate) fn text(kind: &'static str) -> Self {
        Self {
            kind,
            schema: Some(String::schema_of()),
            parts: Vec::new(),
        }
    }

    fn nothing() -> Self {
        Self {
            kind: "",
            schema: None,
            parts: Vec::new(),
        }
    }

    /// As the document says it.
    pub(crate) fn content(&self) -> Option<Content> {
        self.schema.clone().map(|schema| Content::new(Some(schema)))
    }
}

/// The schema of plain text.
trait TextSchema {
    fn schema_of() -> RefOr<Schema>;
}

impl TextSchema for String {
    fn schema_of() -> RefOr<Schema> {
        <String as utoipa::PartialSchema>::schema()
    }
}

/// What is sent with a request.
pub(crate) trait Sent: Sized + Send {
    /// Reads it.
    fn read(call: &Call) -> Result<Self, Problem>;
    /// For the document.
    fn describe() -> Described;
}

/// Nothing is sent.
pub(crate) struct NoBody;

impl Sent for NoBody {
    fn read(_call: &Call) -> Result<Self, Problem> {
        Ok(Self)
    }

    fn describe() -> Described {
        Described::nothing()
    }
}

/// JSON, in and out.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + ToSchema + Send> Sent for Json<T> {
    /// Only as JSON: no form of a browser sends that, whoever made it.
    fn read(call: &Call) -> Result<Self, Problem> {
        let kind = call.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::unreadable(
                "Content-Type has to be application/json.",
            ));
        }
        let read = serde_json::from_slice::<Value>(&call.body)
            .map_err(|error| Problem::unreadable(error.to_string()))?;
        if holds_nul(&read) {
            return Err(Problem::unreadable("NUL characters cannot be stored."));
        }
        call.note_after(&read);
        serde_json::from_value(read)
            .map(Json)
            .map_err(|error| Problem::unreadable(error.to_string()))
    }

    fn describe() -> Described {
        Described::json::<T>()
    }
}

/// No text that is stored may hold NUL.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Plain text, in and out, such as a state file.
pub(crate) struct Text(pub(crate) String);

impl Sent for Text {
    fn read(call: &Call) -> Result<Self, Problem> {
        let text = std::str::from_utf8(&call.body)
            .map_err(|_| Problem::unreadable("The text has to be UTF-8."))?;
        match text.contains('\0') {
            true => Err(Problem::unreadable("NUL characters cannot be stored.")),
            false => Ok(Self(text.to_owned())),
        }
    }

    fn describe() -> Described {
        Described::text("text/plain")
    }
}

/// What is answered.
pub(crate) trait Told {
    /// The status where all is well.
    const STATUS: StatusCode;
    /// As an HTTP message.
    fn respond(self) -> Result<Response, Problem>;
    /// For the document.
    fn describe() -> Described;
}

impl<T: Serialize + ToSchema> Told for Json<T> {
    const STATUS: StatusCode = StatusCode::OK;

    fn respond(self) -> Result<Response, Problem> {
        json(StatusCode::OK, &self.0)
    }

    fn describe() -> Described {
        Described::json::<T>()
    }
}

/// Many values, as a JSON array.
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: Serialize + ToSchema> Told for List<T> {
    const STATUS: StatusCode = StatusCode::OK;

    fn respond(self) -> Result<Response, Problem> {
        json(StatusCode::OK, &self.0)
    }

    fn describe() -> Described {
        Described::list::<T>()
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|error| Problem::fault(&error))?;
    let tag = HeaderValue::from_str(&etag(&body)).map_err(|error| Problem::fault(&error))?;
    let response = answer::with_body(status, "application/json", body);
    Ok(answer::with_header(response, header::ETAG, tag))
}

/// Something new.
pub(crate) struct Created<T>(pub(crate) T);

impl<T: Serialize + ToSchema> Told for Created<T> {
    const STATUS: StatusCode = StatusCode::CREATED;

    fn respond(self) -> Result<Response, Problem> {
        json(StatusCode::CREATED, &self.0)
    }

    fn describe() -> Described {
        Described::json::<T>()
    }
}

/// Something that was changed, as it is now, and a sentence for each thing that changed about it. Its ETag is that of
/// the thing itself, so that the next change can name what this one left.
pub(crate) struct Changed<T> {
    pub(crate) now: T,
    pub(crate) changes: Vec<String>,
}

#[derive(Serialize)]
struct ChangedBody<'a, T> {
    #[serde(flatten)]
    now: &'a T,
    changes: &'a [String],
}

impl<T: Serialize + ToSchema> Told for Changed<T> {
    const STATUS: StatusCode = StatusCode::OK;

    fn respond(self) -> Result<Response, Problem> {
        let now = serde_json::to_vec(&self.now).map_err(|error| Problem::fault(&error))?;
        let body = ChangedBody {
            now: &self.now,
            changes: &self.changes,
        };
        let body = serde_json::to_vec(&body).map_err(|error| Problem::fault(&error))?;
        let tag = HeaderValue::from_str(&etag(&now)).map_err(|error| Problem::fault(&error))?;
        let response = answer::with_body(StatusCode::OK, "application/json", body);
        Ok(answer::with_header(response, header::ETAG, tag))
    }

    fn describe() -> Described {
        let (now, changes) = (Described::json::<T>(), Described::json::<WhatChanged>());
        let mut both = utoipa::openapi::AllOfBuilder::new();
        for part in [now.schema, changes.schema].into_iter().flatten() {
            both = both.item(part);
        }
        let parts = now.parts.into_iter().chain(changes.parts);
        Described {
            kind: now.kind,
            schema: Some(RefOr::T(Schema::AllOf(both.build()))),
            parts: parts.collect(),
        }
    }
}

/// It was done and there is nothing to tell.
pub(crate) struct Done;

impl Told for Done {
    const STATUS: StatusCode = StatusCode::NO_CONTENT;

    fn respond(self) -> Result<Response, Problem> {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }

    fn describe() -> Described {
        Described::nothing()
    }
}

impl Told for Text {
    const STATUS: StatusCode = StatusCode::OK;

    fn respond(self) -> Result<Response, Problem> {
        Ok(answer::with_body(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            self.0,
        ))
    }

    fn describe() -> Described {
        Described::text("text/plain")
    }
}

//! The OpenAPI document itself.

use crate::access::Right;
use crate::call::Call;
use crate::problem::Problem;
use crate::route::{About, Route};
use crate::{answer, openapi, routes};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use std::sync::OnceLock;

/// Its route.
pub(super) fn routes() -> Vec<Route> {
    let anyone = (Right::Public, About::Installation);
    vec![Route::page(
        Method::GET,
        "/api/v1/openapi.json",
        anyone,
        document,
    )]
}

async fn document(_call: Call) -> Result<Response, Problem> {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = match DOCUMENT.get() {
        Some(text) => text,
        None => {
            let made = openapi::document(&routes::all()).to_json();
            let made = made.map_err(|error| Problem::fault(&error))?;
            DOCUMENT.get_or_init(|| made)
        }
    };
    Ok(answer::with_body(
        StatusCode::OK,
        "application/json",
        text.as_str(),
    ))
}

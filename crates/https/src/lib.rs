//! What a node says over HTTPS: the admin API (`/api/v1`, with its OpenAPI document) and pages for customers and
//! support. Decides nothing about mail; it asks the same services as the protocols and the CLI. The server's wiring
//! hands it connections (`serve`) and the local socket of the CLI (`serve_local`).

mod answer;
mod face;
mod headers;
mod limits;
mod redirect;
mod serve;
mod services;

pub use face::Face;
pub use serve::{serve, serve_local};
pub use services::Services;

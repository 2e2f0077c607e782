//! What a node says over HTTPS: the admin API (`/api/v1`, with its OpenAPI document) and pages for customers and
//! support. Decides nothing about mail; it asks the same services as the protocols and the CLI. The server's wiring
//! hands it connections (`serve`) and the local socket of the CLI (`serve_local`).

mod access;
mod advisories;
mod answer;
pub mod api;
mod audit;
mod call;
pub mod client;
mod connecting;
mod credentials;
mod delegation;
mod face;
mod form;
mod german;
mod grants;
mod headers;
mod language;
mod legacy_hosts;
mod limits;
mod looks;
mod openapi;
mod pages;
mod posture;
mod problem;
pub mod proof;
mod questions;
mod rate;
mod redirect;
mod route;
mod routes;
mod schema;
mod serve;
mod services;
mod session;
mod state;
mod turns;

pub use access::Role;
pub use connecting::Connecting;
pub use credentials::{
    CredentialError, NewToken, TokenSecret, TokenView, add_token, revoke_token, tokens,
};
pub use face::Face;
pub use legacy_hosts::{AskGateway, GatewayReport, LegacyHosts, Port};
pub use schema::{SCHEMA, remove_account, remove_domain};
pub use serve::{serve, serve_local};
pub use services::{Codes, Mailed, Services};

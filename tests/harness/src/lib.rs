//! A running server and its peers for tests. Never part of a product; called by test code only.

pub mod authority;
pub mod customer;
pub mod dns;
pub mod hello;
pub mod https;
pub mod lab;
pub mod lines;
pub mod named;
pub mod openssl;
pub mod postgres;
pub mod server;
pub mod sink;
pub mod web;

pub use authority::Authority;
pub use dns::Dns;
pub use lab::{Lab, Letter};
pub use lines::{Lines, deliver};
pub use named::Named;
pub use server::{Account, Server};
pub use sink::Sink;
pub use web::Web;

//! SMTP: the server for other servers (mx) and for customers (submission), and the client.
//! `grammar` and `data` are pure and shared by both; `server` runs sessions; nothing here stores
//! mail, decides about accounts or schedules deliveries: `queue`, `directory` and `platform` do.

pub mod client;
pub mod data;
pub mod grammar;
pub mod limits;
pub mod reply;
pub mod server;
#[cfg(test)]
mod test_storage;

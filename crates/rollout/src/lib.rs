//! Announcements of what a provider tightens: a rollout bundles measures with their dates, its texts, and
//! the rounds of letters to whom it concerns. Sets schedules through `policy::admin`, hands letters to
//! whoever implements `Post`; never touches mail itself. The CLI, the pages and a node's chore call it.

pub mod admin;
pub mod announce;
pub mod check;
pub mod compose;
pub mod conformity;
pub mod delegation;
pub mod dmarc;
pub mod facts;
pub mod fill;
pub mod guides;
pub mod ledger;
mod legacy_letters;
pub mod model;
pub mod plan;
pub mod post;
pub mod preview;
pub mod rounds;
mod rows;
pub mod runner;
mod schema;
pub mod sight;
pub mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod voice;
pub mod wording;
mod writing;
pub mod zone_change;

pub use admin::{Need, Plan, RolloutError, Rollouts, TakenBack, Told};
pub use model::{
    Evidence, Legacy, LocalDate, Rollout, Rounds, State, Step, TextSet, Texts, Visibility,
};
pub use post::{Fate, Letter, Post, PostError, Posted, Stream, Token, Unsubscribe};
pub use rows::{Kept, Past, document, remove_account, remove_domain};
pub use runner::{Runner, RunnerParts, Stepped, UNSUBSCRIBE};
pub use schema::SCHEMA;
pub use voice::Voice;

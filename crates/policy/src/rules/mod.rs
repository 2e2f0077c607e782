//! Rules of the operator: conditions over facts, actions, stages; what they decide and why; their versions in the
//! store; what is likely to be a mistake in them. Decides only: sessions, the queue and routing carry out.

mod action;
mod case;
mod check;
mod compiled;
mod condition;
mod edit;
mod evaluate;
mod explain;
mod fact;
mod facts;
pub mod fuzz;
mod lint;
mod logic;
mod named;
mod outgoing;
mod rates;
pub mod record;
pub mod replay;
mod rule;
pub mod servers;
pub mod store;
mod watch;
mod words;

pub use action::{
    Action, DelayBy, Extension, Extensions, HeaderAction, Level, Lowest, MechanismName, StatusCode,
    TEXT_BYTES_MAX, Text, Window,
};
pub use case::{Case, CaseRecipient, Prepared, domain_of};
pub use check::Truth;
pub use compiled::Compiled;
pub use condition::{Condition, DEPTH_MAX, Op, PARTS_MAX, Test, Value};
pub use edit::Place;
pub use evaluate::{Acting, Decision, Noted, evaluate};
pub use explain::{Effect, Explained, Tree, explain};
pub use fact::{Described, FACTS, Fact, Kind};
pub use facts::{Facts, HeaderFacts, HeaderNames, HeaderValue, Known, Recipient, Tls, Way};
pub use lint::{Existing, Problem, Remark, lint};
pub use outgoing::Outgoing;
pub use rates::{Rates, Room};
pub use rule::{ACTIONS_MAX, Point, RULES_MAX, Rule, RuleSet, SET_BYTES_MAX};
pub use servers::{ServerFinding, ServerFindings};
pub use store::SCHEMA;
pub use watch::{NoAnswer, Watch};

#[cfg(test)]
mod tests;

//! The login desk: the one place where what is known of a session meets policy before and during a login.
//! Sessions of every protocol bring a `Visit`, a name and a secret, and get an `Outcome`; here it is
//! noted who came how. Speaks no protocol and decides nothing itself: `policy::gate` rules on the way in,
//! `directory` on the secret.

mod desk;
mod exchange;
mod notice;
mod observer;
mod outcome;
mod standing;
mod unoffered;
mod visit;

pub use desk::{Desk, DeskParts};
pub use exchange::{Exchange, Step};
pub use observer::DeskObserver;
pub use outcome::{Barred, Notice, Outcome, Repeated};
pub use standing::Standing;
pub use unoffered::Unoffered;
pub use visit::{Told, Visit};

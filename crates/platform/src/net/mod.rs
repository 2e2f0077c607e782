//! The network behind one seam: listeners that accept connections within limits, and `Stream`, the one
//! type a session reads commands from and writes replies to, over plain TCP or TLS.
//! Knows no mail protocol beyond the one line that tells a refused client why; called by every protocol crate.

mod deadline;
mod descriptors;
mod gateway;
mod limits;
mod line;
mod listener;
mod network;
mod own;
pub mod proxy;
mod shutdown;
mod socket;
mod stream;

pub use deadline::Deadline;
pub use descriptors::raise_descriptors_max;
pub use gateway::{Gateway, GatewayListener, GatewayParts, GatewayState, GatewayUser, OlderTls};
pub use limits::{ConnectionLimits, LimitReached, LimitSettings, Permit};
pub use line::{Line, LineEnding};
pub use listener::{
    Connection, Door, Event, Handler, Listener, ListenerSpec, LogObserver, Mode, Observer, Role,
    WrongMode,
};
pub use network::{Network, NetworkParseError};
pub use own::is_own_address;
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use stream::{StartedTls, Stream, StreamError, StreamIo};

#[cfg(test)]
mod listener_tests;
#[cfg(test)]
pub(crate) mod rig;

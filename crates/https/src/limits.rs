//! The limits of HTTP, each with its reason. Nothing else is limited elsewhere but what one file needs.

use std::time::Duration;

/// Header fields of a request together with its line: as much as browsers send with long cookies.
pub(crate) const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Header fields of a request.
pub(crate) const HEADERS_MAX: usize = 64;
/// Body of a request; a catalogue or the rules of a large provider are the largest things that come.
pub(crate) const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A state file that comes over the network: about a hundred thousand accounts.
pub(crate) const STATE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A state file, sent or answered, of the operator at a terminal; a million accounts need about half of it.
pub(crate) const LOCAL_STATE_BYTES_MAX: usize = 1 << 30;
/// Body of a request that anybody may send, and of the forms of pages: larger than any form of ours, small enough that
/// many of them together are no burden.
pub(crate) const FORM_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take for a request's header, and be silent between requests.
pub(crate) const HEADER_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a request may take in all, body included.
pub(crate) const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// How long one of the operator at a terminal may take: a state file with a million accounts is long work.
pub(crate) const LOCAL_REQUEST_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// How long a client may leave an answer untaken.
pub(crate) const STALL_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a connection lasts at most; event streams begin anew after it.
pub(crate) const CONNECTION_TIME_MAX: Duration = Duration::from_secs(15 * 60);

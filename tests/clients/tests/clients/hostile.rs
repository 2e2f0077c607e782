//! 5,000 hostile connections at once: silent, trickling, with half a handshake or half a command,
//! with literals and lines without end, garbage, recipients by the thousand, and readers that do not
//! read. The server keeps within its memory, and somebody who behaves is served meanwhile.

use clients::{no_panic, python};
use harness::Server;

/// What the server may grow by, in KiB: 40 KiB per connection. About 11 were seen.
const GROWTH_KIB_MAX: &str = "200000";
/// How long a delivery or a fetch may take meanwhile, in seconds, on a machine that is busy with
/// the flood itself.
const SECONDS_MAX: &str = "30";

#[test]
fn five_thousand_hostile_connections_keep_nobody_from_being_served() {
    let server = Server::start();
    let pid = server.pid().to_string();
    let run = python(&server, "hostile.py", &[&pid, GROWTH_KIB_MAX, SECONDS_MAX])
        .good()
        .said("done");
    println!("{}", run.out);
    no_panic(&server);
}

//! S3-68: 465 is TLS from the first byte; a client in clear gets no banner.

use harness::{Lines, Server};

#[test]
fn a_client_in_clear_gets_no_banner_on_465() {
    let server = Server::start();
    let mut smtp = Lines::clear(server.port("submissions"));
    smtp.say("EHLO client.test");
    let answer = smtp.rest(1000);
    assert!(
        !String::from_utf8_lossy(&answer).contains("220"),
        "{answer:?}"
    );
}

//! Runs the test DNS with some zones until it is killed; prints its address and its root key.

use harness::dns::{Dns, Fault, Signing};

fn main() {
    let dns = Dns::start();
    for (zone, signing) in [
        ("signed.test", Signing::Signed),
        ("unsigned.test", Signing::Unsigned),
        ("bogus.test", Signing::Bogus),
        ("wrongds.test", Signing::WrongDs),
    ] {
        dns.zone(zone, signing);
        dns.mx(zone, 10, &format!("mx.{zone}"));
        dns.address(&format!("mx.{zone}"), [127, 0, 0, 2].into());
        dns.tlsa(&format!("_25._tcp.mx.{zone}"), 3, 1, 1, &[7; 32]);
    }
    dns.fault("_26._tcp.mx.signed.test", None, Fault::NoSignature);
    println!("{}\n{}", dns.socket_address(), dns.trust_anchor());
    loop {
        std::thread::park();
    }
}

//! Asks DNS servers with the server's own resolver: `ask_dns SERVER:PORT ANCHOR-FILE NAME...`. For
//! trying it by hand against foreign servers.

use platform::clock::Clock;
use platform::dns::{Anchors, Resolver, SystemResolver};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("SERVER:PORT ANCHOR-FILE NAME...");
    let server = next().parse().expect("SERVER:PORT");
    let anchors = Anchors::read(next().as_ref()).expect("ANCHOR-FILE");
    let resolver = SystemResolver::new(&[server], anchors, Clock::system()).expect("a resolver");
    for name in arguments {
        println!("{name}");
        println!("  MX   {:?}", resolver.mx(&name).await);
        println!("  A    {:?}", resolver.addresses(&name).await);
        println!("  TLSA {:?}", resolver.tlsa(&name).await);
        println!("  TXT  {:?}", resolver.txt(&name).await);
    }
}

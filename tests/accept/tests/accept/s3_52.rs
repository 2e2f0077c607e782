//! S3-52: "if the sender's domain is privat.test, use that IP" is one rule, and the self-check warns where
//! the domain's SPF record lacks the pool's address.

use harness::Lab;
use harness::dns::Signing;

#[test]
fn the_check_warns_until_spf_and_names_fit_the_pool() {
    let lab = Lab::start();
    lab.dns.zone("privat.test", Signing::Unsigned);
    lab.dns.zone("provider.test", Signing::Unsigned);
    lab.cli(&[
        "pool",
        "add",
        "second",
        "192.0.2.7",
        "--hello",
        "mx7.provider.test",
    ]);
    lab.cli(&[
        "policy",
        "set",
        "privat.test",
        "pool",
        "second",
        "--reason",
        "own address",
    ]);
    let check = |fine: bool| {
        let (ok, output, errors) = lab.server.cli(&["dns", "check", "privat.test"]);
        assert_eq!(ok, fine, "{output}{errors}");
        output
    };
    let output = check(false);
    assert!(output.contains("has no SPF record"), "{output}");
    assert!(output.contains("has no name (PTR)"), "{output}");

    lab.dns.txt("privat.test", "v=spf1 ip4:192.0.2.1 -all");
    lab.dns.ptr(
        "192.0.2.7".parse().expect("an address"),
        "mx7.provider.test",
    );
    lab.dns.address(
        "mx7.provider.test",
        "192.0.2.7".parse().expect("an address"),
    );
    let output = check(false);
    let lacks = "the SPF record of privat.test lacks 192.0.2.7 (pool second)";
    assert!(output.contains(lacks), "{output}");
    assert!(output.contains("named mx7.provider.test"), "{output}");

    lab.dns.remove("privat.test", None);
    lab.dns
        .txt("privat.test", "v=spf1 a:mx7.provider.test -all");
    let output = check(true);
    assert!(!output.contains("warning"), "{output}");
    // A pool that is used stays.
    let (ok, _, why) = lab.server.cli(&["pool", "remove", "second"]);
    assert!(
        !ok && why.contains("still used by domain privat.test"),
        "{why}"
    );
}

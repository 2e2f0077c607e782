//! Debian packages the tests use. As root they are installed, otherwise it is said what is missing.

use std::path::Path;
use std::process::Command;

/// Package and a file it brings.
const NEEDED: &[(&str, &[&str])] = &[
    (
        "postgresql",
        &[
            "/usr/lib/postgresql/15/bin/initdb",
            "/usr/lib/postgresql/17/bin/initdb",
        ],
    ),
    ("swaks", &["/usr/bin/swaks"]),
    // swaks only recommends it, and has no TLS without it.
    (
        "libnet-ssleay-perl",
        &[
            "/usr/lib/x86_64-linux-gnu/perl5/5.36/Net/SSLeay.pm",
            "/usr/lib/x86_64-linux-gnu/perl5/5.40/Net/SSLeay.pm",
            "/usr/lib/aarch64-linux-gnu/perl5/5.36/Net/SSLeay.pm",
        ],
    ),
    ("isync", &["/usr/bin/mbsync"]),
    // Cyrus SASL's mechanisms, for mbsync.
    (
        "libsasl2-modules",
        &[
            "/usr/lib/x86_64-linux-gnu/sasl2/libscram.so",
            "/usr/lib/aarch64-linux-gnu/sasl2/libscram.so",
        ],
    ),
    ("neomutt", &["/usr/bin/neomutt"]),
    // delv, a foreign DNSSEC validator, and dig.
    ("bind9-dnsutils", &["/usr/bin/delv"]),
    // A foreign DNS server and signer of zones.
    ("bind9", &["/usr/sbin/named"]),
    (
        "bind9-utils",
        &["/usr/bin/dnssec-signzone", "/usr/sbin/dnssec-signzone"],
    ),
    ("curl", &["/usr/bin/curl"]),
    ("openssl", &["/usr/bin/openssl"]),
    // The legacy gateway is linked with the system's OpenSSL.
    ("libssl-dev", &["/usr/include/openssl/ssl.h"]),
    ("pkg-config", &["/usr/bin/pkg-config"]),
    // Foreign verifiers of DKIM and ARC.
    (
        "python3-dkim",
        &["/usr/lib/python3/dist-packages/dkim/__init__.py"],
    ),
    (
        "python3-nacl",
        &["/usr/lib/python3/dist-packages/nacl/__init__.py"],
    ),
    ("opendkim", &["/usr/sbin/opendkim"]),
    ("python3", &["/usr/bin/python3"]),
    // For programs that come from PyPI into folders of their own.
    (
        "python3-venv",
        &[
            "/usr/lib/python3.11/ensurepip/__init__.py",
            "/usr/lib/python3.13/ensurepip/__init__.py",
        ],
    ),
    (
        "netcat-openbsd",
        &["/bin/nc.openbsd", "/usr/bin/nc.openbsd"],
    ),
];

pub(crate) fn ensure() -> Result<(), String> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(_, files)| !files.iter().any(|file| Path::new(file).exists()))
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() {
        return Err(format!(
            "The tests need Debian packages that are not installed. Install them with\n  \
             sudo apt-get install {}\nand run `cargo xtask test` again.",
            missing.join(" ")
        ));
    }
    println!("installing {}", missing.join(" "));
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&missing);
    apt(&install)
}

fn apt(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .map_err(|error| format!("apt-get could not be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "apt-get {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    ))
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

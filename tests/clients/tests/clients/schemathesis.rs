//! Schemathesis: requests made from the server's own OpenAPI document, right ones and wrong ones. None may bring an
//! answer of 5xx. It comes from PyPI into a folder of its own beside the built program, once.

use clients::{Run, no_panic, run};
use harness::{Server, Web};
use std::path::PathBuf;
use std::process::Command;

const VERSION: &str = "4.32.5";
/// Requests made for each operation in the second phase; the first tries every limit of the types.
const EXAMPLES: &str = "5";
/// Below what one address may send.
const RATE: &str = "35/s";

/// The program, installed where it is not yet.
fn schemathesis() -> PathBuf {
    let beside = harness::server::program();
    let home = beside
        .parent()
        .expect("a folder")
        .join(format!("schemathesis-{VERSION}"));
    let program = home.join("bin/schemathesis");
    if program.exists() {
        return program;
    }
    let _half = std::fs::remove_dir_all(&home);
    run(Command::new("python3").args(["-m", "venv"]).arg(&home), b"").good();
    let wanted = format!("schemathesis=={VERSION}");
    let mut pip = Command::new(home.join("bin/pip"));
    run(
        pip.args(["install", "--quiet", "--disable-pip-version-check", &wanted]),
        b"",
    )
    .good();
    program
}

fn fuzz(server: &Server, authorization: &[String], seed: &str) -> Run {
    let site = format!("https://localhost:{}", server.port("https"));
    let mut command = Command::new(schemathesis());
    command
        .arg("run")
        .arg(format!("{site}/api/v1/openapi.json"))
        .args([
            "--url",
            &site,
            "--checks",
            "not_a_server_error",
            "--phases",
            "coverage,fuzzing",
        ])
        .args([
            "--max-examples",
            EXAMPLES,
            "--rate-limit",
            RATE,
            "--seed",
            seed,
            "--tls-verify",
        ])
        .arg(server.ca_file())
        // It finds its own token in the list and ends it; the rest would be nothing but 401.
        .args(["--exclude-operation-id", "delete_tokens_token"])
        .args(authorization)
        .current_dir(server.dir());
    run(&mut command, b"")
}

#[test]
fn no_request_made_from_the_document_brings_a_fault_of_ours() {
    let server = Server::start();
    let token = server.endpoints()["admin"]["token"]
        .as_str()
        .expect("a token");
    let header = ["-H".to_owned(), format!("Authorization: Bearer {token}")];
    fuzz(&server, &header, "7").good().said("passed");
    no_panic(&server);
    assert!(
        !server.log().contains("http.request_failed"),
        "{}",
        server.log()
    );
    // It was let in and the server is well.
    Web::operator(&server).get("/api/v1/me").with(200);
}

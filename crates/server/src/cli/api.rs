//! `rohrpost api`: asks the admin API of the node that runs here, over its local socket, as the operator.

use crate::node::http::socket_path;
use crate::settings::Settings;
use clap::Args;
use https::client::{Question, Sent, ask};
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Options {
    /// GET, POST, PUT, PATCH or DELETE.
    method: String,
    /// The path with what stands after `?`, such as /api/v1/domains.
    path: String,
    /// What is sent along.
    json: Option<String>,
    /// A file that is sent along as text, such as a state file; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    file: Option<PathBuf>,
}

pub(super) fn run(settings: &Settings, options: &Options) -> Result<(), String> {
    let socket = socket_path(&settings.data_dir);
    let sent = match (&options.json, &options.file) {
        (Some(json), _) => Sent::Json(json.clone()),
        (None, Some(file)) => Sent::Text(read(file)?),
        (None, None) => Sent::Nothing,
    };
    let question = Question {
        method: &options.method,
        path: &options.path,
        sent,
        by: None,
    };
    let answer = super::block_on(ask(&socket, question))??;
    let mut body = answer.body.to_vec();
    if !body.is_empty() && !body.ends_with(b"\n") {
        body.push(b'\n');
    }
    if std::io::stdout().write_all(&body).is_err() {
        std::process::exit(0);
    }
    match answer.status {
        200..300 => Ok(()),
        status => Err(format!("the node answered with status {status}")),
    }
}

fn read(file: &std::path::Path) -> Result<String, String> {
    let text = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    text.map_err(|error| format!("{}: {error}", file.display()))
}

//! Runs dkimpy and OpenDKIM on messages in a folder.

use std::path::Path;
use std::process::{Command, Stdio};

/// Reads `DIR/dns` (name, tab, value) and each `DIR/*.eml`; prints a line per message with the verdict on each
/// signature and on the ARC chain.
const DKIMPY: &str = r#"
import dkim, glob, os, sys
zone = {}
for line in open(os.path.join(sys.argv[1], "dns"), "rb").read().split(b"\n"):
    if line:
        name, value = line.split(b"\t", 1)
        zone[name + b"."] = value
def txt(name, timeout=5):
    return zone.get(name if name.endswith(b".") else name + b".")
for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.eml"))):
    message = open(path, "rb").read()
    d = dkim.DKIM(message)
    count = len([1 for name, value in d.headers if name.lower() == b"dkim-signature"])
    verdicts = []
    for n in range(count):
        try:
            verdicts.append("pass" if d.verify(idx=n, dnsfunc=txt) else "fail")
        except Exception as e:
            verdicts.append("error:%s" % e)
    cv, results, reason = dkim.arc_verify(message, dnsfunc=txt)
    print(os.path.basename(path), ",".join(verdicts) or "none", (cv or b"?").decode(), reason, sep="|")
"#;

/// A verdict of dkimpy on one message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) file: String,
    /// Of each signature, from the top.
    pub(crate) signatures: Vec<String>,
    /// none, pass or fail.
    pub(crate) chain: String,
    pub(crate) reason: String,
}

pub(crate) fn write_case(dir: &Path, name: &str, front: &[u8], message: &[u8]) {
    let bytes = [front, message].concat();
    std::fs::write(dir.join(format!("{name}.eml")), bytes).unwrap();
}

pub(crate) fn write_records(dir: &Path, records: &[(String, String)]) {
    let lines: String = records
        .iter()
        .map(|(name, value)| format!("{name}\t{value}\n"))
        .collect();
    std::fs::write(dir.join("dns"), lines).unwrap();
    let lines: String = records
        .iter()
        .map(|(name, value)| format!("{name} {value}\n"))
        .collect();
    std::fs::write(dir.join("opendkim-keys"), lines).unwrap();
}

pub(crate) fn dkimpy(dir: &Path) -> Vec<Verdict> {
    let output = Command::new("/usr/bin/python3")
        .args(["-c", DKIMPY])
        .arg(dir)
        .stderr(Stdio::inherit())
        .output()
        .expect("python3 runs");
    assert!(
        output.status.success(),
        "dkimpy needs the package python3-dkim"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let parts: Vec<&str> = line.splitn(4, '|').collect();
            Verdict {
                file: parts[0].to_owned(),
                signatures: parts[1].split(',').map(str::to_owned).collect(),
                chain: parts[2].to_owned(),
                reason: parts[3].to_owned(),
            }
        })
        .collect()
}

/// OpenDKIM's report on one message, verified in its test mode.
pub(crate) fn opendkim(dir: &Path, name: &str) -> String {
    let conf = dir.join("opendkim.conf");
    let keys = dir.join("opendkim-keys");
    std::fs::write(
        &conf,
        format!(
            "Mode v\nTestPublicKeys {}\nAlwaysAddARHeader yes\nAuthservID judge\n",
            keys.display()
        ),
    )
    .unwrap();
    let output = Command::new("opendkim")
        .arg("-x")
        .arg(&conf)
        .arg("-vv")
        .arg("-t")
        .arg(dir.join(format!("{name}.eml")))
        .output()
        .expect("opendkim runs; it needs the package opendkim");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#!/usr/bin/env python3
"""facts.py BINARY FOLDER [KNOB=VALUE]...: where and with what a run was made, as JSON.

side-by-side calls it before a run; report.py puts it at the top of RESULTS.md."""
import datetime
import json
import os
import platform
import re
import subprocess
import sys


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "not there"
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def field(path, pattern):
    with open(path, encoding="utf-8") as file:
        found = re.search(pattern, file.read(), re.M)
    return found.group(1) if found else "unknown"


def main():
    binary, folder, *knobs = sys.argv[1:]
    repository = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    git = ("git", "-C", repository)
    changed = subprocess.run((*git, "diff", "--quiet", "HEAD", "--", "crates"), check=False).returncode
    built = datetime.datetime.fromtimestamp(os.path.getmtime(binary), datetime.timezone.utc)
    memory_kib = int(field("/proc/meminfo", r"^MemTotal:\s+(\d+)"))
    model = field("/proc/cpuinfo", r"^model name\s*:\s*(.+)$")
    if model == "unknown":
        model = field("/proc/cpuinfo", r"^vendor_id\s*:\s*(.+)$") + ", model name not told"
    facts = {
        "Date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "Processor": model,
        "Cores": str(os.cpu_count()),
        "Memory": "%.0f GiB" % (memory_kib / 1024 / 1024),
        "Kernel": platform.release(),
        "File system": first_line("findmnt", "-no", "FSTYPE,OPTIONS", "-T", folder),
        # MB_COMMIT names the commit of a binary that was built elsewhere.
        "Rohrpost": "%s%s, binary of %s" % (
            os.environ.get("MB_COMMIT") or first_line(*git, "rev-parse", "--short=12", "HEAD"),
            " with changes" if changed and "MB_COMMIT" not in os.environ else "",
            built.strftime("%Y-%m-%d %H:%M UTC"),
        ),
        "Postfix": first_line("postconf", "-dh", "mail_version"),
        "Dovecot": first_line("dovecot", "--version"),
        "OpenSSL": first_line("openssl", "version"),
        "Run": " ".join(knob.replace("=", "=\"", 1) + "\"" for knob in knobs),
    }
    json.dump(facts, sys.stdout, indent=1)


main()

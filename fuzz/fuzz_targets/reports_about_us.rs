#![no_main]
//! Reports that anybody may send us: delivery notices, TLS reports, DMARC reports, packed or not, and
//! messages that carry them. No panic, and what was read stays within the limits.

use formats::message::Facts;
use formats::{dmarc_report, dsn, tls_report};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(report) = tls_report::Report::parse(bytes) {
        assert!(report.policies.len() <= tls_report::POLICIES_MAX);
        assert_eq!(tls_report::Report::parse(&report.to_json()).as_ref(), Ok(&report));
    }
    if let Ok(report) = dmarc_report::Report::parse(bytes) {
        assert!(report.records.len() <= dmarc_report::RECORDS_MAX);
        assert!(!report.domain.is_empty());
    }
    let _ = dsn::report::parse_status(bytes);
    let _ = dsn::report::parse(bytes, &Facts::scan(bytes));
    let _ = reports::inbox::reports_in(bytes);
    let _ = reports::inbox::read_report(bytes);
});

//! Tests of DMARC aggregate reports: both forms, and hostile XML.

use super::*;
use proptest::prelude::*;

/// In the form of RFC 7489 appendix C: three records, 12 + 3 + 1 messages.
const OLD: &str = r#"<?xml version="1.0" encoding="UTF-8" ?>
<feedback>
  <version>1.0</version>
  <report_metadata>
    <org_name>Big &amp; Sons</org_name>
    <email>noreply-dmarc@big.example</email>
    <extra_contact_info>https://big.example/dmarc</extra_contact_info>
    <report_id>1234567890</report_id>
    <date_range><begin>1795219200</begin><end>1795305599</end></date_range>
  </report_metadata>
  <policy_published>
    <domain>Firma.Test</domain><adkim>r</adkim><aspf>r</aspf><p>reject</p><sp>reject</sp><pct>100</pct>
  </policy_published>
  <record>
    <row>
      <source_ip>192.0.2.10</source_ip><count>12</count>
      <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>pass</spf></policy_evaluated>
    </row>
    <identifiers><header_from>firma.test</header_from></identifiers>
    <auth_results>
      <dkim><domain>firma.test</domain><result>pass</result><selector>a</selector></dkim>
      <spf><domain>firma.test</domain><result>pass</result></spf>
    </auth_results>
  </record>
  <record>
    <row>
      <source_ip>2001:db8::5</source_ip><count>3</count>
      <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf>
        <reason><type>forwarded</type><comment>a list</comment></reason></policy_evaluated>
    </row>
    <identifiers><envelope_to>x.example</envelope_to><header_from>firma.test</header_from></identifiers>
    <auth_results><spf><domain>x.example</domain><result>pass</result></spf></auth_results>
  </record>
  <record>
    <row>
      <source_ip>203.0.113.66</source_ip><count>1</count>
      <policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated>
    </row>
    <identifiers><header_from>firma.test</header_from></identifiers>
    <auth_results/>
  </record>
</feedback>"#;

/// In the form of RFC 9990.
const NEW: &str = r#"<?xml version="1.0"?>
<d:feedback xmlns:d="urn:ietf:params:xml:ns:dmarc-2.0">
  <d:version>1.0</d:version>
  <d:report_metadata><d:org_name>Sample Reporter</d:org_name><d:email>r@s.example</d:email><d:report_id>3v98abbp8ya9n3va8yr8oa3ya</d:report_id><d:date_range><d:begin>302832000</d:begin><d:end>302918399</d:end></d:date_range><d:generator>Example 1.2</d:generator></d:report_metadata>
  <d:policy_published><d:domain>example.com</d:domain><d:p>quarantine</d:p><d:np>none</d:np><d:testing>n</d:testing><d:discovery_method>treewalk</d:discovery_method></d:policy_published>
  <d:record><d:row><d:source_ip>192.0.2.123</d:source_ip><d:count>123</d:count><d:policy_evaluated><d:disposition>pass</d:disposition><d:dkim>pass</d:dkim><d:spf>fail</d:spf></d:policy_evaluated></d:row><d:identifiers><d:envelope_from>example.com</d:envelope_from><d:header_from>example.com</d:header_from></d:identifiers></d:record>
</d:feedback>"#;

#[test]
fn the_form_of_rfc_7489_is_read() {
    let report = Report::parse(OLD.as_bytes()).unwrap();
    assert_eq!(report.organization, "Big & Sons");
    assert_eq!(
        (report.domain.as_str(), report.policy.as_str()),
        ("firma.test", "reject")
    );
    assert_eq!((report.begin, report.end), (1_795_219_200, 1_795_305_599));
    let counts: Vec<_> = report.records.iter().map(|r| r.count).collect();
    assert_eq!(counts, [12, 3, 1]);
    assert_eq!(
        report.records[1].source,
        "2001:db8::5".parse::<IpAddr>().unwrap()
    );
    assert_eq!(report.records[1].overrides, ["forwarded"]);
    assert_eq!(report.records[2].disposition, Disposition::Reject);
    assert_eq!(report.records[2].dkim, Alignment::Fail);
    assert_eq!(report.records[0].signers, ["firma.test"]);
    assert!(
        report.records[1].signers.is_empty(),
        "no leftover of the first"
    );
    assert_eq!(report.records[1].envelope, "x.example");
    assert_eq!(report.records[2].envelope, "");
}

#[test]
fn the_form_of_rfc_9990_is_read() {
    let report = Report::parse(NEW.as_bytes()).unwrap();
    assert_eq!(report.domain, "example.com");
    assert_eq!(report.records[0].count, 123);
    assert_eq!(report.records[0].disposition, Disposition::None);
    assert_eq!(report.records[0].dkim, Alignment::Pass);
}

#[test]
fn hostile_xml_is_refused() {
    let with = |text: &str| OLD.replace("Big &amp; Sons", text);
    let bomb = format!("<!DOCTYPE feedback [<!ENTITY a \"aaaa\">]>{}", with("&a;"));
    assert_eq!(
        Report::parse(bomb.as_bytes()),
        Err(DmarcReportError::DocumentType)
    );
    assert_eq!(
        Report::parse(with("&a;").as_bytes()),
        Err(DmarcReportError::Entity)
    );
    let deep = with(&"<a>".repeat(100));
    assert_eq!(
        Report::parse(deep.as_bytes()),
        Err(DmarcReportError::TooDeep)
    );
    for bad in [
        "",
        "<html></html>",
        "<feedback>",
        "<feedback></feedback>",
        "x",
        "<a/><feedback/>",
    ] {
        assert!(Report::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let wrong = OLD.replace("<count>12</count>", "<count>-12</count>");
    assert_eq!(
        Report::parse(wrong.as_bytes()),
        Err(DmarcReportError::Field("count"))
    );
}

proptest! {
    #[test]
    fn changed_reports_never_break_the_reader(at in 0..OLD.len(), byte in any::<u8>()) {
        let mut bytes = OLD.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = Report::parse(&bytes);
        let _ = Report::parse(&bytes[..at]);
    }
}

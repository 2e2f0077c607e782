//! Fetches policies over HTTPS (RFC 8461 §3.3): status 200, text/plain, a certificate for the policy host;
//! no redirect is followed and nothing is cached here.

use super::policy::POLICY_BYTES_MAX;
use super::{FetchError, Fetching, PolicyFetcher};
use platform::https::{HttpsClient, HttpsError, Limits, Response, Target};
use std::time::Duration;

/// How long a fetch may take (RFC 8461 §3.3 suggests a minute).
pub(super) const FETCH_TIME_MAX: Duration = Duration::from_secs(60);

/// Fetches over HTTPS.
#[derive(Debug, Clone)]
pub struct HttpsFetcher {
    client: HttpsClient,
    port: u16,
}

impl HttpsFetcher {
    /// `port` is 443, another one in tests.
    pub fn new(client: HttpsClient, port: u16) -> Self {
        Self { client, port }
    }
}

impl PolicyFetcher for HttpsFetcher {
    fn fetch<'a>(&'a self, domain: &'a str) -> Fetching<'a> {
        Box::pin(async move {
            let target = Target {
                host: format!("mta-sts.{domain}"),
                port: self.port,
                path: "/.well-known/mta-sts.txt".to_owned(),
            };
            let limits = Limits {
                body_bytes_max: POLICY_BYTES_MAX,
                time_max: FETCH_TIME_MAX,
            };
            judge(self.client.get(&target, limits).await)
        })
    }
}

fn judge(answer: Result<Response, HttpsError>) -> Result<Vec<u8>, FetchError> {
    match answer {
        Ok(answer) if answer.status != 200 => Err(FetchError::Unreachable(format!(
            "the policy host answered with status {}",
            answer.status
        ))),
        Ok(answer) if answer.content_type.as_deref() != Some("text/plain") => {
            Err(FetchError::Invalid(format!(
                "the policy is sent as {}, not as text/plain",
                answer.content_type.as_deref().unwrap_or("nothing")
            )))
        }
        Ok(answer) => Ok(answer.body),
        Err(HttpsError::Certificate(fault)) => Err(FetchError::Certificate(fault.to_string())),
        Err(HttpsError::TooLarge { bytes_max }) => Err(FetchError::Invalid(format!(
            "the policy is longer than {bytes_max} bytes"
        ))),
        Err(error) => Err(FetchError::Unreachable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::tls::{CertificateFault, CertificateFaultKind};

    fn answer(status: u16, content_type: Option<&str>) -> Result<Response, HttpsError> {
        Ok(Response {
            status,
            content_type: content_type.map(str::to_owned),
            body: b"version: STSv1".to_vec(),
        })
    }

    #[test]
    fn only_a_plain_text_with_status_200_and_a_good_certificate_counts() {
        let of = |answer| judge(answer).map_err(|error| error.result_type().as_str());
        let plain = Some("text/plain");
        assert_eq!(of(answer(200, plain)), Ok(b"version: STSv1".to_vec()));
        for status in [201, 301, 304, 404, 500] {
            assert_eq!(of(answer(status, plain)), Err("sts-policy-fetch-error"));
        }
        assert_eq!(
            of(answer(200, Some("text/html"))),
            Err("sts-policy-invalid")
        );
        assert_eq!(of(answer(200, None)), Err("sts-policy-invalid"));
        let fault = CertificateFault {
            kind: CertificateFaultKind::Expired,
            text: "expired".to_owned(),
        };
        assert_eq!(
            of(Err(HttpsError::Certificate(fault))),
            Err("sts-webpki-invalid")
        );
        assert_eq!(of(Err(HttpsError::TimedOut)), Err("sts-policy-fetch-error"));
        assert_eq!(
            of(Err(HttpsError::TooLarge { bytes_max: 1 })),
            Err("sts-policy-invalid")
        );
    }
}

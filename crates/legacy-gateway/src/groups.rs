//! The finite field groups of RFC 7919 that DHE uses here. There are no others: parameters of one's own cannot
//! be given, so weak ones cannot either.

use openssl::bn::BigNum;
use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::pkey::Params;
use serde::Deserialize;

/// A group. RFC 7919 appendix A.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Group {
    /// 2048 bits, which old clients can do.
    #[default]
    Ffdhe2048,
    /// 3072 bits.
    Ffdhe3072,
}

impl Group {
    /// Its parameters.
    pub(crate) fn parameters(self) -> Result<Dh<Params>, ErrorStack> {
        let prime = BigNum::from_hex_str(match self {
            Self::Ffdhe2048 => FFDHE2048,
            Self::Ffdhe3072 => FFDHE3072,
        })?;
        Dh::from_pqg(prime, None, BigNum::from_u32(2)?)
    }
}

/// RFC 7919 §A.1: 2^2048 - 2^1984 + {[2^1918 * e] + 560316} * 2^64 - 1.
const FFDHE2048: &str = "\
    FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695A9E13641146433FBCC939DCE249B3EF9\
    7D2FE363630C75D8F681B202AEC4617AD3DF1ED5D5FD65612433F51F5F066ED0856365553DED1AF3B557135E7F57C935\
    984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE73530ACCA4F483A797ABC0AB182B324FB61D108A94BB2C8E3FB\
    B96ADAB760D7F4681D4F42A3DE394DF4AE56EDE76372BB190B07A7C8EE0A6D709E02FCE1CDF7E2ECC03404CD28342F61\
    9172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD733BB5FCBC2EC22005C58EF1837D1683B2C6F34A26C1B2EFFA\
    886B423861285C97FFFFFFFFFFFFFFFF";

/// RFC 7919 §A.2: 2^3072 - 2^3008 + {[2^2942 * e] + 2625351} * 2^64 - 1.
const FFDHE3072: &str = "\
    FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695A9E13641146433FBCC939DCE249B3EF9\
    7D2FE363630C75D8F681B202AEC4617AD3DF1ED5D5FD65612433F51F5F066ED0856365553DED1AF3B557135E7F57C935\
    984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE73530ACCA4F483A797ABC0AB182B324FB61D108A94BB2C8E3FB\
    B96ADAB760D7F4681D4F42A3DE394DF4AE56EDE76372BB190B07A7C8EE0A6D709E02FCE1CDF7E2ECC03404CD28342F61\
    9172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD733BB5FCBC2EC22005C58EF1837D1683B2C6F34A26C1B2EFFA\
    886B4238611FCFDCDE355B3B6519035BBC34F4DEF99C023861B46FC9D6E6C9077AD91D2691F7F7EE598CB0FAC186D91C\
    AEFE130985139270B4130C93BC437944F4FD4452E2D74DD364F2E21E71F54BFF5CAE82AB9C9DF69EE86D2BC522363A0D\
    ABC521979B0DEADA1DBF9A42D5C4484E0ABCD06BFA53DDEF3C1B20EE3FD59D7C25E41D2B66C62E37FFFFFFFFFFFFFFFF";

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::bn::BigNumContext;

    #[test]
    fn they_are_safe_primes_of_their_size() {
        let mut context = BigNumContext::new().unwrap();
        for (group, bits) in [(Group::Ffdhe2048, 2048), (Group::Ffdhe3072, 3072)] {
            let parameters = group.parameters().unwrap();
            let prime = parameters.prime_p();
            assert_eq!(prime.num_bits(), bits);
            assert!(prime.is_prime(0, &mut context).unwrap());
            let mut half = BigNum::new().unwrap();
            half.rshift1(prime).unwrap();
            assert!(half.is_prime(0, &mut context).unwrap());
        }
    }
}

//! How many descriptors this process may have open: every connection is one. Systems start programs
//! with 1024 by habit and let them ask for more. Called once by whoever binds listeners.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open descriptors as far as the system allows and returns what it is then.
pub fn raise_descriptors_max() -> usize {
    let now = getrlimit(Resource::Nofile);
    let wished = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, wished) {
        Ok(()) => now.maximum,
        Err(_) => now.current,
    };
    // `None` is no limit at all.
    allowed.map_or(usize::MAX, |max| max.try_into().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_is_raised() {
        let now = getrlimit(Resource::Nofile);
        let low = Rlimit {
            current: Some(now.maximum.unwrap_or(1024).min(700)),
            maximum: now.maximum,
        };
        setrlimit(Resource::Nofile, low).unwrap();
        let max = raise_descriptors_max();
        assert_eq!(getrlimit(Resource::Nofile).current, now.maximum);
        assert_eq!(
            u64::try_from(max).ok(),
            now.maximum.or(u64::try_from(usize::MAX).ok())
        );
    }
}

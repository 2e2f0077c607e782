//! Unpacks what reports come in: gzip, zip with one file, or plain. A packed bomb costs no more
//! than the limit; what kind it is is told by its first bytes, because types and names lie.

use std::io::{Cursor, Read};

/// Packed bytes that are looked at.
pub const PACKED_BYTES_MAX: usize = 10 << 20;
/// Files of an archive that are looked at.
const FILES_MAX: usize = 5;

/// Why something cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// More bytes than a report has, packed or not.
    #[error("it holds more bytes than a report has")]
    TooLarge,
    /// It is damaged.
    #[error("it cannot be unpacked: {0}")]
    Damaged(String),
    /// An archive without a file in it.
    #[error("the archive holds no file")]
    Empty,
}

/// The report inside `packed`, at most `bytes_max` of it.
///
/// # Errors
/// Where it cannot be unpacked or is larger.
pub fn unpack(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, UnpackError> {
    if packed.len() > PACKED_BYTES_MAX {
        return Err(UnpackError::TooLarge);
    }
    match packed {
        [0x1f, 0x8b, ..] => limited(flate2::read::MultiGzDecoder::new(packed), bytes_max),
        [b'P', b'K', 3, 4, ..] => unzip(packed, bytes_max),
        plain if plain.len() > bytes_max => Err(UnpackError::TooLarge),
        plain => Ok(plain.to_vec()),
    }
}

fn unzip(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, UnpackError> {
    let damaged = |error: zip::result::ZipError| UnpackError::Damaged(error.to_string());
    let mut archive = zip::ZipArchive::new(Cursor::new(packed)).map_err(damaged)?;
    for index in 0..archive.len().min(FILES_MAX) {
        let file = archive.by_index(index).map_err(damaged)?;
        if file.is_file() {
            return limited(file, bytes_max);
        }
    }
    Err(UnpackError::Empty)
}

fn limited(reader: impl Read, bytes_max: usize) -> Result<Vec<u8>, UnpackError> {
    let mut out = Vec::new();
    let most = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    reader
        .take(most)
        .read_to_end(&mut out)
        .map_err(|error| UnpackError::Damaged(error.to_string()))?;
    match out.len() > bytes_max {
        true => Err(UnpackError::TooLarge),
        false => Ok(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        crate::compose::gzip(bytes)
    }

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file("report.xml", options).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn every_wrapping_gives_the_same() {
        for packed in [
            b"<feedback/>".to_vec(),
            gzip(b"<feedback/>"),
            zipped(b"<feedback/>"),
        ] {
            assert_eq!(unpack(&packed, 100).unwrap(), b"<feedback/>");
        }
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        let zeros = vec![0; 5 << 20];
        for packed in [gzip(&zeros), zipped(&zeros)] {
            assert!(packed.len() < 64 * 1024);
            assert!(matches!(
                unpack(&packed, 1 << 20),
                Err(UnpackError::TooLarge)
            ));
        }
        assert!(matches!(
            unpack(&zeros, 1 << 20),
            Err(UnpackError::TooLarge)
        ));
    }

    #[test]
    fn damage_is_an_error() {
        for packed in [gzip(b"abcdef"), zipped(b"abcdef")] {
            assert!(unpack(&packed[..packed.len() / 2], 100).is_err());
        }
    }
}

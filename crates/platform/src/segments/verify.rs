//! Reads every record of every segment and says in words what is wrong. Changes nothing; runs
//! beside a serving process, on what was there when it began.

use super::record::{Kind, RecordHeader};
use super::scan::{Condition, FileSource, Step, Walker, check_record, read_file_header};
use super::{BodyRef, SegmentUsage, Segments};
use std::io;

/// Findings that are put into words; further ones are only counted.
const FINDINGS_MAX: usize = 1000;

/// How far a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub bytes_done: u64,
    /// Bytes there are.
    pub bytes_total: u64,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Segments read.
    pub segments: u64,
    /// Messages that are intact.
    pub messages: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
    /// What is wrong, one sentence each. Empty is good.
    pub findings: Vec<String>,
    /// Findings past the first thousand.
    pub more_findings: u64,
}

impl VerifyReport {
    fn find(&mut self, text: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(text);
        } else {
            self.more_findings += 1;
        }
    }
}

impl Segments {
    /// Reads everything and checks every sum, content hashes included. `each` is called after every
    /// record; a message passed to it is intact.
    pub fn verify(&self, mut each: impl FnMut(Progress, Option<BodyRef>)) -> VerifyReport {
        let segments = self.list();
        let mut report = VerifyReport::default();
        let mut progress = Progress {
            bytes_done: 0,
            bytes_total: segments.iter().map(|segment| segment.bytes).sum(),
        };
        for segment in segments {
            report.segments += 1;
            let before = progress.bytes_done;
            let read = self.verify_segment(segment, &mut report, &mut |at, message| {
                progress.bytes_done = before + at;
                each(progress, message);
            });
            if let Err(error) = read {
                report.find(format!(
                    "segment {}: reading failed: {error}",
                    segment.number
                ));
            }
            progress.bytes_done = before + segment.bytes;
            each(progress, None);
        }
        report
    }

    fn verify_segment(
        &self,
        segment: SegmentUsage,
        report: &mut VerifyReport,
        each: &mut dyn FnMut(u64, Option<BodyRef>),
    ) -> io::Result<()> {
        if segment.bytes == 0 {
            return Ok(());
        }
        let number = segment.number;
        let file = self.inner.reader(number)?;
        let source = FileSource {
            file: file.as_ref(),
            bytes: segment.bytes,
        };
        let header = read_file_header(&source)?.filter(|header| header.number == number);
        if header.is_none() {
            report.find(format!("segment {number}: its file header is damaged"));
        }
        let mut walker = Walker::new(&source, number, header.map(|header| header.salt));
        while let Some(step) = walker.step()? {
            match step {
                Step::Damage(stretch) => report.find(format!(
                    "segment {number}: bytes {} to {} are damaged and hold no record",
                    stretch.from, stretch.to
                )),
                Step::Record(record) => {
                    let intact = check_record(&source, &record)? == Condition::Intact;
                    note(report, &record, intact);
                    let message =
                        (intact && record.kind == Kind::Message).then(|| record.body_ref());
                    each(record.next().min(segment.bytes), message);
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with every message of a segment whose header is intact, in order, without
    /// reading bodies. For finding what nothing refers to any more.
    ///
    /// # Errors
    /// Those of the disk and of `each`.
    pub fn each_message(
        &self,
        number: i64,
        mut each: impl FnMut(BodyRef) -> io::Result<()>,
    ) -> io::Result<()> {
        let bytes = self.inner.state().known.get(&number).map_or(0, |k| k.bytes);
        if bytes == 0 {
            return Ok(());
        }
        let file = self.inner.reader(number)?;
        let source = FileSource {
            file: file.as_ref(),
            bytes,
        };
        let salt = read_file_header(&source)?
            .filter(|header| header.number == number)
            .map(|header| header.salt);
        let mut walker = Walker::new(&source, number, salt);
        while let Some(step) = walker.step()? {
            if let Step::Record(record) = step
                && record.kind == Kind::Message
            {
                each(record.body_ref())?;
            }
        }
        Ok(())
    }
}

fn note(report: &mut VerifyReport, record: &RecordHeader, intact: bool) {
    if !intact {
        report.find(format!(
            "segment {}: the message at {} ({} bytes) is damaged",
            record.segment, record.offset, record.body_bytes
        ));
    } else if record.kind == Kind::Message {
        report.messages += 1;
        report.body_bytes += record.body_bytes;
    }
}

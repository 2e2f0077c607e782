//! When a measure is at which stage, as people write it: `observe; 2025-03-01 warn; 2025-03-05 enforce`, with
//! dates of the installation's calendar. Pure text and values; `timeline` puts them into a time zone.

use crate::model::Stage;
use jiff::civil;
use std::fmt;
use std::str::FromStr;

/// Steps of one schedule.
pub const STEPS_MAX: usize = 16;

/// A day of the installation's calendar, or a minute of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime {
    date: civil::Date,
    /// `None`: the day as a whole was named.
    time: Option<civil::Time>,
}

impl LocalTime {
    /// Where it begins: the given minute, or midnight.
    pub(super) fn beginning(self) -> civil::DateTime {
        self.date.to_datetime(self.time.unwrap_or_default())
    }

    /// Where it is over, for something that is allowed until then: a day counts as a whole.
    pub(super) fn end(self) -> civil::DateTime {
        match self.time {
            Some(time) => self.date.to_datetime(time),
            None => {
                let next = self.date.tomorrow().unwrap_or(self.date);
                next.to_datetime(civil::Time::midnight())
            }
        }
    }

    pub(super) fn of(moment: civil::DateTime) -> Self {
        let time = moment.time();
        Self {
            date: moment.date(),
            time: (time != civil::Time::midnight()).then_some(time),
        }
    }

    /// Day, month and year, for texts.
    pub fn day_month_year(self) -> (i8, i8, i16) {
        (self.date.day(), self.date.month(), self.date.year())
    }
}

impl FromStr for LocalTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{text}\" is no date; write 2025-03-05, or 2025-03-05T06:30 for a minute of that day"
            )
        };
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let date = numbers(date, "-", [4, 2, 2]).ok_or_else(wrong)?;
        let [year, month, day] = date;
        let date = i16::try_from(year)
            .ok()
            .filter(|year| (1970..=9000).contains(year))
            .zip(i8::try_from(month).ok().zip(i8::try_from(day).ok()))
            .and_then(|(year, (month, day))| civil::Date::new(year, month, day).ok())
            .ok_or_else(wrong)?;
        let time = match time {
            None => None,
            Some(time) => {
                let [hour, minute] = numbers(time, ":", [2, 2]).ok_or_else(wrong)?;
                let pair = i8::try_from(hour).ok().zip(i8::try_from(minute).ok());
                let time =
                    pair.and_then(|(hour, minute)| civil::Time::new(hour, minute, 0, 0).ok());
                Some(time.ok_or_else(wrong)?)
            }
        };
        Ok(Self { date, time })
    }
}

/// Numbers of exactly these many digits with `separator` between them.
fn numbers<const N: usize>(text: &str, separator: &str, digits: [usize; N]) -> Option<[u16; N]> {
    let mut found = [0; N];
    let mut parts = text.split(separator);
    for (place, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        let fits = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        *place = fits.then(|| part.parse().ok()).flatten()?;
    }
    parts.next().is_none().then_some(found)
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date;
        write!(
            f,
            "{:04}-{:02}-{:02}",
            date.year(),
            date.month(),
            date.day()
        )?;
        match self.time {
            Some(time) => write!(f, "T{:02}:{:02}", time.hour(), time.minute()),
            None => Ok(()),
        }
    }
}

/// From when on a stage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Since when; `None` only for the first step, which holds until the second.
    pub from: Option<LocalTime>,
    /// What holds from then on.
    pub stage: Stage,
}

/// Stages and when each begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// In the order of time, at least one.
    pub steps: Vec<Step>,
    /// The last stage holds for that many of a hundred accounts only, always the same ones; the others
    /// stay at the stage before it. 1 to 99.
    pub canary: Option<u8>,
    /// Whatever the dates say, this stage holds until the pause is taken back.
    pub paused: Option<Stage>,
}

impl Default for Schedule {
    /// Enforced, as what nobody scheduled is.
    fn default() -> Self {
        Self::always(Stage::Enforce)
    }
}

impl Schedule {
    /// One stage for good.
    pub fn always(stage: Stage) -> Self {
        Self {
            steps: vec![Step { from: None, stage }],
            canary: None,
            paused: None,
        }
    }

    /// The stage it ends in.
    pub fn last(&self) -> Stage {
        self.steps.last().map_or(Stage::Off, |step| step.stage)
    }

    /// Whether it is one stage for good, without pause or canary.
    pub fn is_always(&self, stage: Stage) -> bool {
        *self == Self::always(stage)
    }

    /// The same with a pause, or without one.
    #[must_use]
    pub fn with_pause(mut self, paused: Option<Stage>) -> Self {
        self.paused = paused;
        self
    }
}

impl FromStr for Schedule {
    type Err = String;

    /// Reads words between spaces, commas and semicolons: stages with an optional date before each, then
    /// `canary=N%` and `paused=STAGE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut schedule = Self {
            steps: Vec::new(),
            canary: None,
            paused: None,
        };
        let mut date = None;
        let words = text.split(|c: char| c == ';' || c == ',' || c.is_whitespace());
        for word in words.filter(|word| !word.is_empty()) {
            if let Some(share) = word.strip_prefix("canary=") {
                schedule.canary = Some(canary(share)?);
            } else if let Some(stage) = word.strip_prefix("paused=") {
                schedule.paused = Some(paused(stage)?);
            } else if let Some(stage) = Stage::from_word(word) {
                schedule.add(date.take(), stage)?;
            } else if word.starts_with(|c: char| c.is_ascii_digit()) && date.is_none() {
                date = Some(word.parse::<LocalTime>()?);
            } else {
                return Err(format!(
                    "\"{word}\" is not part of a schedule; an example is: observe; 2025-03-01 warn; \
                     2025-03-05 enforce"
                ));
            }
        }
        if let Some(date) = date {
            return Err(format!(
                "after {date} the stage is missing that begins then"
            ));
        }
        if schedule.steps.is_empty() {
            return Err("a schedule names a stage: off, observe, warn or enforce".to_owned());
        }
        Ok(schedule)
    }
}

impl Schedule {
    fn add(&mut self, from: Option<LocalTime>, stage: Stage) -> Result<(), String> {
        match (from, self.steps.last()) {
            (Some(from), None) => Err(format!(
                "say first what holds before {from}, such as: off; {from} {}",
                stage.word()
            )),
            (None, Some(before)) => Err(format!(
                "from when on is it {} after {}? Put a date before it",
                stage.word(),
                before.stage.word()
            )),
            (Some(from), Some(before)) if before.from.is_some_and(|known| known >= from) => {
                Err(format!("{from} does not come after the step before it"))
            }
            _ if self.steps.len() >= STEPS_MAX => {
                Err(format!("a schedule has at most {STEPS_MAX} steps"))
            }
            _ => {
                self.steps.push(Step { from, stage });
                Ok(())
            }
        }
    }
}

fn canary(share: &str) -> Result<u8, String> {
    let digits = share.strip_suffix('%').unwrap_or(share);
    let number = digits.parse::<u8>().ok();
    number.filter(|n| (1..=99).contains(n)).ok_or_else(|| {
        format!("\"{share}\" is no share of accounts; write canary=10%, from 1% to 99%")
    })
}

fn paused(word: &str) -> Result<Stage, String> {
    let stage = Stage::from_word(word).filter(|stage| *stage < Stage::Enforce);
    stage.ok_or_else(|| format!("a pause is at off, observe or warn; \"{word}\" is none of them"))
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.steps.iter().enumerate() {
            if n > 0 {
                f.write_str("; ")?;
            }
            if let Some(from) = step.from {
                write!(f, "{from} ")?;
            }
            f.write_str(step.stage.word())?;
        }
        if let Some(share) = self.canary {
            write!(f, "; canary={share}%")?;
        }
        if let Some(stage) = self.paused {
            write!(f, "; paused={}", stage.word())?;
        }
        Ok(())
    }
}

//! When rounds and letters are due. Pure: the plan of a rollout, the zone and the time in, numbers and moments
//! out.

use crate::model::{LocalDate, Rollout, State};
use jiff::civil::Time;
use platform::clock::Timestamp;
use policy::Zone;

/// The time of the day at which a round goes out whose date says none.
const MORNING: Time = Time::constant(8, 0, 0, 0);
/// Rounds of one rollout.
const ROUNDS_MAX: i64 = 200;
/// Nobody gets a second letter before so many days have passed, by the calendar.
pub const QUIET_DAYS: i64 = 7;

/// A round of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// 0 is the newsletter.
    pub number: i64,
    /// Its date as planned.
    pub date: LocalDate,
    /// When it goes out.
    pub at: Timestamp,
}

/// A moment of the installation's calendar.
pub fn moment(at: LocalDate, zone: &Zone) -> Timestamp {
    let exact = LocalDate {
        day: at.day,
        time: Some(at.time.unwrap_or(MORNING)),
    };
    let local = exact.to_string().parse();
    // What `LocalDate` writes `LocalTime` reads, but for years nobody plans in.
    local.map_or(Timestamp(i64::MAX), |local| zone.beginning(local))
}

/// Every planned round.
pub fn planned(rollout: &Rollout, zone: &Zone) -> Vec<Round> {
    let plan = &rollout.rounds;
    let round = |number, date| Round {
        number,
        date,
        at: moment(date, zone),
    };
    let mut rounds: Vec<_> = plan
        .newsletter
        .map(|date| round(0, date))
        .into_iter()
        .collect();
    let Some(first) = plan.first else {
        return rounds;
    };
    rounds.push(round(1, first));
    let (Some(every), Some(last)) = (plan.every_days, plan.last) else {
        return rounds;
    };
    for number in 2..=ROUNDS_MAX {
        let days = i32::from(every).saturating_mul(i32::try_from(number - 1).unwrap_or(i32::MAX));
        let day = first.day.checked_add(jiff::Span::new().days(days));
        match day {
            Ok(day) if day <= last.day => rounds.push(round(
                number,
                LocalDate {
                    day,
                    time: first.time,
                },
            )),
            _ => break,
        }
    }
    rounds
}

/// What is due at `now`, of a rollout in `state` whose rounds `written` went out already: those to write, and
/// those to leave out because a later one is due as well.
pub fn due(
    rollout: &Rollout,
    state: State,
    written: &[i64],
    zone: &Zone,
    now: Timestamp,
) -> (Vec<Round>, Vec<Round>) {
    let allowed = |round: &Round| match round.number {
        0 => matches!(state, State::Announced | State::Running),
        _ => state == State::Running,
    };
    let open: Vec<_> = planned(rollout, zone)
        .into_iter()
        .filter(|round| round.at <= now && !written.contains(&round.number) && allowed(round))
        .collect();
    let latest = open.iter().map(|round| round.number).max();
    open.into_iter()
        .partition(|round| round.number == 0 || Some(round.number) == latest)
}

/// When an account that got its last letter at `last` may get another: at `now`, or later.
pub fn not_before(last: Option<Timestamp>, zone: &Zone, now: Timestamp) -> Timestamp {
    let Some(last) = last else { return now };
    let day = |at: Timestamp| zone.local(at).map(|local| local.day_month_year());
    let date = |at: Timestamp| {
        let (d, m, y) = day(at)?;
        jiff::civil::Date::new(y, m, d).ok()
    };
    let (Some(then), Some(today)) = (date(last), date(now)) else {
        return now;
    };
    let passed = then
        .until(today)
        .map_or(QUIET_DAYS, |span| i64::from(span.get_days()));
    if passed >= QUIET_DAYS {
        return now;
    }
    let again = then.checked_add(jiff::Span::new().days(QUIET_DAYS));
    let again = again.map(|day| {
        let date = LocalDate { day, time: None };
        moment(date, zone)
    });
    again.map_or(now, |at| at.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rollout;

    fn at(text: &str) -> Timestamp {
        moment(text.parse().unwrap(), &Zone::default())
    }

    #[test]
    fn rounds_follow_their_interval_in_local_time() {
        let dates: Vec<_> = planned(&rollout(), &Zone::default())
            .iter()
            .map(|round| format!("{} {}", round.number, round.date))
            .collect();
        assert_eq!(
            dates,
            [
                "0 2024-12-10T08:00",
                "1 2025-02-14T08:00",
                "2 2025-02-21T08:00",
                "3 2025-02-28T08:00"
            ]
        );
        assert_eq!(at("2025-02-14T08:00"), Timestamp(1_739_516_400_000));
    }

    #[test]
    fn a_round_is_due_once_and_only_the_latest_of_several() {
        let (rollout, zone) = (rollout(), Zone::default());
        let due = |state, written: &[i64], now| {
            let (write, skip) = due(&rollout, state, written, &zone, at(now));
            let numbers = |rounds: Vec<Round>| rounds.iter().map(|r| r.number).collect::<Vec<_>>();
            (numbers(write), numbers(skip))
        };
        assert_eq!(due(State::Draft, &[], "2025-06-01"), (vec![], vec![]));
        assert_eq!(due(State::Announced, &[], "2025-06-01"), (vec![0], vec![]));
        assert_eq!(
            due(State::Running, &[0], "2025-02-14T07:59"),
            (vec![], vec![])
        );
        assert_eq!(
            due(State::Running, &[0], "2025-02-14T08:00"),
            (vec![1], vec![])
        );
        assert_eq!(due(State::Running, &[0, 1], "2025-02-20"), (vec![], vec![]));
        assert_eq!(
            due(State::Running, &[0], "2025-03-01"),
            (vec![3], vec![1, 2])
        );
        assert_eq!(due(State::Paused, &[], "2025-03-01"), (vec![], vec![]));
    }

    #[test]
    fn a_second_letter_waits_for_the_eighth_day() {
        let zone = Zone::default();
        let wait = |last: &str, now: &str| not_before(Some(at(last)), &zone, at(now));
        let now = at("2025-02-21T08:00");
        assert_eq!(wait("2025-02-14T09:30", "2025-02-21T08:00"), now);
        assert_eq!(
            wait("2025-02-15T00:01", "2025-02-21T08:00"),
            at("2025-02-22T08:00")
        );
        assert_eq!(not_before(None, &zone, now), now);
        // The hour that summer time leaves out is no reason to wait a day more.
        assert_eq!(
            wait("2025-03-28T08:00", "2025-04-04T08:00"),
            at("2025-04-04T08:00")
        );
    }
}

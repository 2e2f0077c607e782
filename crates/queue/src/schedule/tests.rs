//! The promises of the schedule: shares, no starvation, dead destinations that cost nothing, bounds.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const START: Timestamp = Timestamp(1_800_000_000_000);

fn limits() -> Limits {
    Limits {
        attempts_max: 100,
        attempts_per_destination_max: 20,
        entries_max: 1_000_000,
        slow_after: Duration::from_secs(3),
        times: Times {
            first: Duration::from_secs(30),
            longest: Duration::from_secs(900),
        },
    }
}

fn work<'a>(message: i64, domain: &'a str, group: Option<&'a str>) -> Waiting<'a> {
    Waiting {
        message,
        domain,
        group,
        share: Share::default(),
        due: START,
        priority: 0,
        warned: false,
        ordered: Ordered::Nothing,
    }
}

fn ended(peer: Peer, now: Timestamp) -> Finish<'static> {
    Finish {
        peer,
        reply: "says so",
        now,
        jitter: 0,
        rest: Rest::None,
    }
}

/// Serves one at a time; gives the messages in their order.
fn serve(schedule: &mut Schedule, turns: usize) -> Vec<Claim> {
    let mut served = Vec::new();
    for _ in 0..turns {
        let Some(claim) = schedule.pick(START) else {
            break;
        };
        schedule.finish(&claim, ended(Peer::Answered, START));
        served.push(claim);
    }
    served
}

fn share(weight: u32, priority: i8) -> Share {
    Share { weight, priority }
}

#[test]
fn business_goes_first_and_private_keeps_its_tenth() {
    let mut schedule = Schedule::new(limits());
    for message in 0..2000 {
        let (group, share) = match message % 2 {
            0 => ("business", share(100, 9)),
            _ => ("private", share(1, -9)),
        };
        let domain = format!("d{}.test", message / 2 % 10);
        let waiting = Waiting {
            share,
            ..work(message, &domain, Some(group))
        };
        assert_eq!(schedule.push(&waiting), Pushed::Added);
    }
    let served = serve(&mut schedule, 900);
    let private = served.iter().filter(|claim| claim.message % 2 == 1).count();
    assert!((90..=110).contains(&private), "{private} of 900");
}

#[test]
fn late_business_mail_does_not_queue_behind_a_full_private_queue() {
    let mut schedule = Schedule::new(limits());
    for message in 0..10_000 {
        schedule.push(&work(message, "big.test", Some("private")));
    }
    let running: Vec<_> = std::iter::from_fn(|| schedule.pick(START)).collect();
    assert_eq!(running.len(), 5, "an unknown destination gets few at once");
    let business = Waiting {
        share: share(10, 5),
        ..work(10_000, "big.test", Some("business"))
    };
    schedule.push(&business);
    schedule.finish(&running[0], ended(Peer::Answered, START));
    assert_eq!(schedule.pick(START).unwrap().message, 10_000);
}

#[test]
fn priority_is_a_head_start_and_no_rank() {
    let mut schedule = Schedule::new(limits());
    let minutes = |n: u64| START.plus(Duration::from_secs(60 * n));
    let at = |message, due, priority| Waiting {
        due,
        priority,
        ..work(message, "a.test", None)
    };
    for waiting in [
        at(1, minutes(0), 0),
        at(2, minutes(10), 9),
        at(3, minutes(30), 9),
        at(4, minutes(0), -9),
    ] {
        schedule.push(&waiting);
    }
    let order: Vec<_> = serve(&mut schedule, 9).iter().map(|c| c.message).collect();
    assert_eq!(order, [2, 1, 3, 4]);
}

#[test]
fn an_urgent_message_passes_other_destinations_of_its_group() {
    let mut schedule = Schedule::new(limits());
    for message in 0..50 {
        schedule.push(&work(message, &format!("d{message}.test"), None));
    }
    let urgent = Waiting {
        priority: 9,
        ..work(99, "zz.test", None)
    };
    schedule.push(&urgent);
    assert_eq!(schedule.pick(START).unwrap().message, 99);
}

#[test]
fn what_waits_for_a_dead_destination_is_not_tried_one_by_one() {
    let mut schedule = Schedule::new(limits());
    for message in 0..100_000 {
        schedule.push(&work(message, "dead.test", None));
    }
    let running: Vec<_> = std::iter::from_fn(|| schedule.pick(START)).collect();
    let mut changes = Vec::new();
    for claim in &running {
        changes.extend(schedule.finish(claim, ended(Peer::Unreachable, START)));
    }
    assert_eq!(
        changes.len(),
        1,
        "side by side they count once: {changes:?}"
    );
    assert_eq!(schedule.pick(START), None);
    let later = schedule.next_wake().unwrap();
    assert_eq!(later.since(START), Duration::from_secs(30));
    let probe = schedule.pick(later).unwrap();
    assert_eq!(schedule.pick(later), None, "one probe");
    let Some(Change::Down(down)) = schedule.finish(&probe, ended(Peer::Unreachable, later)) else {
        panic!("still down")
    };
    assert_eq!((down.failures, down.since), (2, START));
    assert_eq!(down.until.since(later), Duration::from_secs(60));
    let probe = schedule.pick(down.until).unwrap();
    let change = schedule.finish(&probe, ended(Peer::Answered, down.until));
    assert_eq!(change, Some(Change::Up));
    assert!(schedule.pick(down.until).is_some());
}

#[test]
fn hanging_destinations_leave_slots_to_proven_ones() {
    let mut schedule = Schedule::new(limits());
    schedule.push(&work(0, "live.test", None));
    assert_eq!(serve(&mut schedule, 1).len(), 1);
    for message in 1..1000 {
        let domain = format!("slow{}.test", message % 100);
        schedule.push(&work(message, &domain, Some("private")));
    }
    let hanging = std::iter::from_fn(|| schedule.pick(START)).count();
    assert_eq!(hanging, 75);
    schedule.push(&work(5000, "live.test", None));
    assert_eq!(schedule.pick(START).unwrap().message, 5000);
}

#[test]
fn one_group_alone_never_has_the_last_slots() {
    let mut schedule = Schedule::new(limits());
    let prove = |schedule: &mut Schedule, n: i64| {
        schedule.push(&work(n, &format!("d{n}.test"), Some("private")));
        serve(schedule, 1);
    };
    (0..50).for_each(|n| prove(&mut schedule, n));
    for message in 100..1000 {
        let domain = format!("d{}.test", message % 50);
        schedule.push(&work(message, &domain, Some("private")));
    }
    let private = std::iter::from_fn(|| schedule.pick(START)).count();
    assert_eq!(private, 88);
    schedule.push(&work(5000, "d1.test", Some("business")));
    assert_eq!(schedule.pick(START).unwrap().message, 5000);
}

#[test]
fn concurrency_grows_with_answers_and_shrinks_when_asked() {
    let mut schedule = Schedule::new(limits());
    for message in 0..1000 {
        schedule.push(&work(message, "a.test", None));
    }
    serve(&mut schedule, 100);
    let running: Vec<_> = std::iter::from_fn(|| schedule.pick(START)).collect();
    assert_eq!(running.len(), 20, "the setting is the bound");
    schedule.finish(&running[0], ended(Peer::Busy, START));
    assert_eq!(schedule.pick(START), None);
    for claim in &running[1..] {
        schedule.finish(claim, ended(Peer::Answered, START));
    }
    let later = START.plus(Duration::from_secs(60));
    let after = std::iter::from_fn(|| schedule.pick(later)).count();
    assert!((10..20).contains(&after), "{after}");
}

#[test]
fn old_mail_for_a_dead_destination_is_settled_without_a_try() {
    let mut schedule = Schedule::new(limits());
    let id = |minutes: i64| TraceId::first_at(Timestamp(START.0 + minutes * 60_000)).0;
    schedule.push(&work(id(0), "dead.test", None));
    schedule.push(&work(id(10), "dead.test", None));
    schedule.push(&work(id(20), "dead.test", None));
    let warned = Waiting {
        warned: true,
        ..work(id(1), "dead.test", None)
    };
    schedule.push(&warned);
    let warn_before = TraceId(id(15));
    let found = schedule.settle_aged("dead.test", warn_before, TraceId(0), START);
    assert_eq!(found, 2, "the warned one waits for its end");
    let claim = schedule.pick(START).unwrap();
    assert!(matches!(claim.task, Task::Settle(_)));
    assert_eq!(schedule.len(), 2);
}

#[test]
fn memory_is_bounded_and_live_destinations_find_room() {
    let mut schedule = Schedule::new(Limits {
        entries_max: 16_000,
        ..limits()
    });
    let mut full = 0;
    for message in 0..100_000 {
        let domain = format!("dead{}.test", message % 20);
        if schedule.push(&work(message, &domain, None)) == Pushed::Full {
            full += 1;
        }
    }
    assert!(schedule.len() <= 14_000, "{}", schedule.len());
    assert_eq!(schedule.len() + full, 100_000);
    assert_eq!(
        schedule.push(&work(200_000, "live.test", None)),
        Pushed::Added
    );
}

#[test]
fn a_frozen_message_is_not_claimed() {
    let mut schedule = Schedule::new(limits());
    schedule.push(&work(1, "a.test", None));
    let one = HashSet::from([1]);
    assert!(schedule.freeze(&one).is_empty());
    assert!(schedule.freeze(&one).is_empty());
    assert_eq!(schedule.pick(START), None);
    schedule.thaw(one.iter());
    assert_eq!(
        schedule.pick(START),
        None,
        "somebody else still wants it frozen"
    );
    schedule.thaw(one.iter());
    let claim = schedule.pick(START).unwrap();
    assert_eq!(schedule.freeze(&one), one, "it is under way");
    schedule.finish(&claim, ended(Peer::Answered, START));
    assert!(schedule.freeze(&one).is_empty());
}

#[test]
fn a_clock_that_was_wrong_leaves_no_destination_alone_for_long() {
    let mut schedule = Schedule::new(limits());
    let year = START.plus(Duration::from_secs(365 * 24 * 3600));
    schedule.restore(&Down {
        domain: "dead.test".into(),
        since: START,
        failures: 3,
        until: year,
        last_reply: "nobody answered".into(),
    });
    schedule.push(&work(1, "dead.test", None));
    schedule.push(&work(2, "busy.test", None));
    let claim = schedule.pick(START).unwrap();
    schedule.finish(&claim, ended(Peer::Unreachable, year));
    assert_eq!(schedule.pick(START), None);
    schedule.push(&work(2, "busy.test", None));
    let soon = START.plus(Duration::from_secs(901));
    assert!(schedule.pick(soon).is_some());
    assert!(schedule.pick(soon).is_some());
}

#[derive(Debug, Clone)]
enum Step {
    Push { message: i64, domain: u8, due: u64 },
    Pick,
    Finish { which: usize, peer: u8 },
    Wait { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_i64..50, 0_u8..6, 0_u64..3)
            .prop_map(|(message, domain, due)| Step::Push { message, domain, due }),
        3 => Just(Step::Pick),
        3 => (0_usize..50, 0_u8..10).prop_map(|(which, peer)| Step::Finish { which, peer }),
        1 => (0_u64..2000).prop_map(|seconds| Step::Wait { seconds }),
    ];
    prop::collection::vec(step, 1..400)
}

proptest! {
    /// Whatever happens: nothing is lost, nothing is given out twice at once, limits hold, and in the
    /// end everything is served.
    #[test]
    fn everything_is_served_once(steps in steps()) {
        let limits = Limits { attempts_max: 12, attempts_per_destination_max: 4, ..limits() };
        let mut schedule = Schedule::new(limits);
        let (mut now, mut running) = (START, Vec::<Claim>::new());
        // Pairs that came and were not given out since.
        let mut owed = HashSet::<(i64, String)>::new();
        let pair = |claim: &Claim| (claim.message, claim.domain.to_string());
        for step in steps {
            match step {
                Step::Push { message, domain, due } => {
                    let domain = format!("d{domain}.test");
                    let group = format!("g{}", message % 4);
                    let due = START.plus(Duration::from_secs(due));
                    let pushed = schedule.push(&Waiting { due, ..work(message, &domain, Some(&group)) });
                    prop_assert!(pushed != Pushed::Full);
                    owed.insert((message, domain));
                }
                Step::Pick => if let Some(claim) = schedule.pick(now) {
                    owed.remove(&pair(&claim));
                    running.push(claim);
                },
                Step::Finish { which, peer } if !running.is_empty() => {
                    let claim = running.swap_remove(which % running.len());
                    let peer = match peer {
                        0 => Peer::Unreachable,
                        1 => Peer::Busy,
                        2 => Peer::Unknown,
                        _ => Peer::Answered,
                    };
                    schedule.finish(&claim, ended(peer, now));
                }
                Step::Finish { .. } => {}
                Step::Wait { seconds } => now = now.plus(Duration::from_secs(seconds)),
            }
            prop_assert!(running.len() <= 12);
            let mut per = HashMap::<&str, usize>::new();
            running.iter().for_each(|claim| *per.entry(&claim.domain).or_default() += 1);
            prop_assert!(per.values().all(|n| *n <= 4), "{per:?}");
            let distinct: HashSet<_> = running.iter().map(pair).collect();
            prop_assert_eq!(distinct.len(), running.len(), "a pair was given out twice");
            prop_assert_eq!(schedule.under_way(), running.len());
        }
        for claim in running.drain(..) {
            schedule.finish(&claim, ended(Peer::Answered, now));
        }
        now = now.plus(Duration::from_secs(10_000));
        while let Some(claim) = schedule.pick(now) {
            owed.remove(&pair(&claim));
            schedule.finish(&claim, ended(Peer::Answered, now));
        }
        prop_assert!(schedule.is_empty());
        prop_assert!(owed.is_empty(), "{owed:?}");
    }

    /// Groups that always wait are served by their weights, to within two turns of each.
    #[test]
    fn shares_are_kept(weights in prop::collection::vec(1_u32..8, 2..6)) {
        let mut schedule = Schedule::new(limits());
        let mut message = 0;
        for (group, weight) in weights.iter().enumerate() {
            for _ in 0..1000 {
                message += 1;
                let (name, domain) = (format!("g{group}"), format!("d{}.test", message % 7));
                schedule.push(&Waiting { share: share(*weight, 0), ..work(message, &domain, Some(&name)) });
            }
        }
        let turns = 800;
        let mut counts = vec![0_f64; weights.len()];
        for claim in serve(&mut schedule, turns) {
            counts[claim.group as usize - 1] += 1.0;
        }
        let sum: u32 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(&weights) {
            let fair = turns as f64 * f64::from(*weight) / f64::from(sum);
            prop_assert!((count - fair).abs() <= 3.0 + fair * 0.05, "{count} for {fair}: {weights:?}");
        }
    }

    /// New destinations that come without end do not keep an old one waiting.
    #[test]
    fn nobody_starves_behind_newcomers(urgent in 0_i8..=9) {
        let mut schedule = Schedule::new(limits());
        schedule.push(&Waiting { priority: -9, ..work(0, "old.test", None) });
        for message in 20_000..20_100 {
            let domain = format!("d{message}.test");
            schedule.push(&Waiting { priority: urgent, ..work(message, &domain, None) });
        }
        let mut served = false;
        for message in 1..2000 {
            let domain = format!("new{message}.test");
            schedule.push(&Waiting { priority: urgent, ..work(message, &domain, None) });
            let claim = schedule.pick(START).unwrap();
            served |= claim.message == 0;
            schedule.finish(&claim, ended(Peer::Answered, START));
        }
        prop_assert!(served);
    }
}

/// Delivery latency of business mail in a simulated minute: from being due to the end of its attempt,
/// which takes 80 to 120 ms at every destination. Gives the 95th percentile in ms.
fn business_p95(private: i64, domains: i64) -> i64 {
    let mut schedule = Schedule::new(limits());
    let domain = |n: i64| format!("d{}.test", n % domains);
    let at = |ms: i64| Timestamp(START.0 + ms);
    for n in 0..private {
        schedule.push(&work(1_000_000 + n, &domain(n), Some("private")));
    }
    let mut ends = std::collections::BTreeMap::<(i64, i64), Claim>::new();
    let mut latencies = Vec::new();
    for now in 0..60_000 {
        if now % 50 == 0 {
            let n = now / 50;
            let due = at(now);
            let share = share(20, 3);
            let domain = domain(n * 7);
            schedule.push(&Waiting {
                due,
                share,
                ..work(n, &domain, Some("business"))
            });
        }
        while let Some(end) = ends.first_entry().filter(|end| end.key().0 <= now) {
            let claim = end.remove();
            schedule.finish(&claim, ended(Peer::Answered, at(now)));
            if claim.message < 1_000_000 {
                latencies.push(now - claim.message * 50);
            }
        }
        while let Some(claim) = schedule.pick(at(now)) {
            let takes = 80 + claim.message * 7919 % 41;
            ends.insert((now + takes, claim.message), claim);
        }
    }
    latencies.sort_unstable();
    assert!(latencies.len() > 1000, "{}", latencies.len());
    latencies[latencies.len() * 95 / 100]
}

#[test]
fn ten_thousand_private_messages_do_not_slow_business_down() {
    for domains in [1, 3, 50] {
        let (alone, beside) = (business_p95(0, domains), business_p95(10_000, domains));
        assert!(
            beside * 10 <= alone * 11,
            "{domains} domains: {alone} ms alone, {beside} ms beside 10,000 private messages"
        );
    }
}

#[test]
fn a_message_with_many_recipients_comes_again_until_all_were_tried() {
    let mut schedule = Schedule::new(limits());
    schedule.push(&work(1, "a.test", None));
    for _ in 0..3 {
        let claim = schedule.pick(START).unwrap();
        let more = Finish {
            rest: Rest::More,
            ..ended(Peer::Answered, START)
        };
        schedule.finish(&claim, more);
    }
    let claim = schedule.pick(START).unwrap();
    schedule.finish(&claim, ended(Peer::Answered, START));
    assert_eq!(schedule.pick(START), None);
    assert!(schedule.is_empty());
}

#[test]
fn not_all_that_is_old_is_settled_at_once() {
    let mut schedule = Schedule::new(limits());
    for message in 0..1000 {
        schedule.push(&work(message, "dead.test", None));
    }
    let all = TraceId(i64::MAX);
    assert_eq!(schedule.settle_aged("dead.test", all, all, START), 1000);
    let running: Vec<_> = std::iter::from_fn(|| schedule.pick(START)).collect();
    assert_eq!((running.len(), schedule.under_way()), (32, 32));
    schedule.finish(&running[0], ended(Peer::Answered, START));
    assert!(schedule.pick(START).is_some());
}

#[test]
fn a_pair_that_waits_twice_is_claimed_once_at_a_time() {
    let mut schedule = Schedule::new(limits());
    schedule.push(&work(1, "a.test", None));
    let again = Waiting {
        due: START.plus(Duration::from_secs(1)),
        ..work(1, "a.test", None)
    };
    schedule.push(&again);
    let first = schedule.pick(START).unwrap();
    assert_eq!(schedule.pick(START), None, "the same message twice at once");
    schedule.finish(&first, ended(Peer::Answered, START));
    let second = schedule.pick(START).unwrap();
    schedule.finish(&second, ended(Peer::Answered, START));
    assert_eq!(schedule.pick(START), None);
    assert!(schedule.is_empty());
    assert_eq!(schedule.under_way(), 0);
}

#[test]
fn what_falls_due_while_it_is_under_way_is_looked_at_afterwards() {
    let mut schedule = Schedule::new(limits());
    schedule.push(&work(1, "a.test", None));
    let first = schedule.pick(START).unwrap();
    assert_eq!(schedule.push(&work(1, "a.test", None)), Pushed::Known);
    assert_eq!(schedule.pick(START), None);
    schedule.finish(&first, ended(Peer::Answered, START));
    assert_eq!(schedule.pick(START).unwrap().task, Task::Try);
}

#[test]
fn what_is_returned_while_it_is_under_way_goes_back_afterwards() {
    let mut schedule = Schedule::new(limits());
    schedule.push(&work(1, "a.test", None));
    let first = schedule.pick(START).unwrap();
    let returned = Waiting {
        ordered: Ordered::Return,
        ..work(1, "a.test", None)
    };
    schedule.push(&returned);
    schedule.push(&work(1, "a.test", None));
    schedule.finish(&first, ended(Peer::Unreachable, START));
    let claim = schedule.pick(START).unwrap();
    assert!(matches!(claim.task, Task::Settle(_)), "{claim:?}");
}

#[test]
fn an_aged_pair_that_waits_twice_is_settled_once() {
    let mut schedule = Schedule::new(limits());
    schedule.push(&work(1, "a.test", None));
    let later = Waiting {
        due: START.plus(Duration::from_secs(1)),
        ..work(1, "a.test", None)
    };
    schedule.push(&later);
    schedule.push(&work(2, "a.test", None));
    let all = TraceId(i64::MAX);
    assert_eq!(schedule.settle_aged("a.test", all, TraceId(0), START), 2);
    let claims: Vec<_> = std::iter::from_fn(|| schedule.pick(START)).collect();
    assert_eq!(claims.len(), 2, "{claims:?}");
}

#[test]
fn an_attempt_that_tried_nothing_says_nothing_of_the_destination() {
    let mut schedule = Schedule::new(limits());
    for message in 0..9 {
        schedule.push(&work(message, "dead.test", None));
    }
    let claim = schedule.pick(START).unwrap();
    schedule.finish(&claim, ended(Peer::Unreachable, START));
    let at = START.plus(Duration::from_secs(60));
    let probe = schedule.pick(at).unwrap();
    assert_eq!(schedule.finish(&probe, ended(Peer::Unknown, at)), None);
    let running: Vec<_> = std::iter::from_fn(|| schedule.pick(at)).collect();
    assert_eq!(running.len(), 1, "it is still down, and probed by the next");
}

#[test]
fn the_rest_of_a_returned_message_goes_back_too() {
    let mut schedule = Schedule::new(limits());
    let returned = Waiting {
        ordered: Ordered::Return,
        ..work(1, "a.test", None)
    };
    schedule.push(&returned);
    let claim = schedule.pick(START).unwrap();
    let rest = Finish {
        rest: Rest::More,
        ..ended(Peer::Unknown, START)
    };
    schedule.finish(&claim, rest);
    let claim = schedule.pick(START).unwrap();
    assert!(matches!(claim.task, Task::Settle(_)), "{claim:?}");
}

//! Who may have fewer appointments at a time: stories of a patient, in days from the first.
//!
//! ```text
//! "f1 3 4 -3 4"    ->   ok no:1/1 ok      from f1 on one at a time: day 4 only after 3 is given up
//! ```
//!
//! `f2` restricts to two at a time until day 20, `f1o2` in hospital 2 alone, `x` to none until day 10. `3` is
//! a visit on day 3, `3o2` in hospital 2; `~3` is held and not booked, `w3` waits for a full session, `e3`
//! enters a draw, `a3` is held by the account and then named. `-3` gives the visit up, `3>5o2` moves it.
//! `+9` lets nine days pass. `k2` asks by a second key, which `>2` makes the key of the same person. `no:1/1` has
//! one of one, `no` may have none.

use std::collections::BTreeMap;

use super::build::{self, DAY, MINUTE, MORNING};
use super::world::World;
use crate::model::{
    AccountId, Action, Actor, ApplyRules, Attributes, ChannelSet, CivilTime, ClientKeys, Command,
    Consequence, CountedOf, Delay, EvidenceRef, Hold, Holder, HolderRule, JoinWaitlist,
    MergePatients, NamePatient, NoShowRule, OrganizationId, Outcome, PatientClass, PatientId,
    PaymentRef, Receipt, Refusal, Reschedule, Restrict, ReturnRule, Role, RuleKey, RuleLayer,
    RuleScope, Rules, Session, SessionId, SessionTerms, Term, Tier, Timestamp, Violation,
    ViolationRule, ViolationSet, WaitlistRule, Window,
};

struct Patient {
    world: World,
    number: u128,
    key: u128,
    /// What was made for each day.
    made: BTreeMap<String, u128>,
}

impl Patient {
    fn new() -> Self {
        let mut world = World::new(MORNING);
        let holder = Some(HolderRule { by: Holder::Account, limit: 8 });
        let layers = vec![RuleLayer { holder, ..RuleLayer::default() }];
        let (from, civil) = (MORNING.plus_millis(MINUTE), CivilTime::default());
        let rules = Rules { from, civil, layers, ..Rules::default() };
        let apply = ApplyRules { request: build::request(99), rules };
        world.run(&Actor::unbounded(Role::Admin), &Command::ApplyRules(apply.into())).unwrap();
        world.now = from;
        Self { world, number: 100, key: 1, made: BTreeMap::new() }
    }

    fn ask(&mut self, command: &Command) -> Result<Receipt, Refusal> {
        self.world.run(&Actor::unbounded(Role::Admin), command)
    }

    fn next(&mut self) -> u128 {
        self.number += 1;
        self.number
    }

    /// A session of one place on a day, as in `3o2`.
    fn session(&mut self, word: &str, terms: SessionTerms) -> SessionId {
        let id = self.next();
        let (day, organization) = word.split_once('o').unwrap_or((word, "1"));
        let start = MORNING.plus_millis(day.parse::<u64>().unwrap() * DAY + 60 * MINUTE);
        let organization = OrganizationId(organization.parse().unwrap());
        let id = SessionId(id.try_into().unwrap());
        let session = Session { id, organization, start, terms, ..build::session(0, &[1]) };
        self.ask(&Command::OpenSession(build::open(session).into())).unwrap();
        id
    }

    /// Asks for what is granted.
    fn must(&mut self, command: &Command) {
        self.ask(command).unwrap();
    }

    fn restrict(&mut self, consequence: Consequence, within: RuleScope, until: u64) {
        let ask = Restrict {
            request: build::request(self.next()),
            patient: PatientId(self.key),
            within,
            consequence,
            from: Timestamp::default(),
            until: MORNING.plus_millis(until * DAY),
            evidence: EvidenceRef(1),
            reason: 1,
        };
        self.ask(&Command::Restrict(ask.into())).unwrap();
    }

    fn hold(&mut self, word: &str, book: Option<PaymentRef>) -> Result<(), Refusal> {
        let session = self.session(word, SessionTerms::default());
        let id = self.next();
        let hold = Hold { book, ..build::hold(id, self.key, [build::any(session.0)]) };
        self.ask(&Command::Hold(hold))?;
        self.made.insert(word.to_owned(), id);
        Ok(())
    }

    fn wait(&mut self, word: &str) -> Result<(), Refusal> {
        let rule = WaitlistRule {
            entries_max: 9,
            priority: build::EQUAL,
            draw_millis: 0,
            offer_millis: 30 * 60_000,
            near_offer_millis: 30 * 60_000,
            near_millis: 0,
            hours: None,
            closes_at: MORNING.plus_millis(30 * DAY),
        };
        let returns = ReturnRule::WaitlistFirst(Delay { min_millis: 60_000, max_millis: 60_000 });
        let waitlist = Some(Box::new(rule));
        let terms = SessionTerms { returns, waitlist, ..SessionTerms::default() };
        let session = self.session(word, terms);
        let id = self.next();
        self.must(&Command::Hold(build::hold(id, 77, [build::any(session.0)])));
        let join = JoinWaitlist {
            request: build::request(self.next()),
            patient: PatientId(self.key),
            account: None,
            channel: build::channel(0),
            class: PatientClass::Outpatient,
            attributes: Attributes::default(),
            earliest: Timestamp::default(),
            latest: Timestamp::MAX,
            targets: std::iter::once(session).collect(),
        };
        self.ask(&Command::JoinWaitlist(join.into())).map(|_| ())
    }

    /// A draw of which the window is open.
    fn draw(&mut self) -> SessionId {
        let id = SessionId(self.next().try_into().unwrap());
        let early = self.world.now;
        self.world.now = MORNING;
        self.must(&Command::OpenSession(build::open(build::drawn(id.0, &[1])).into()));
        self.world.now = early;
        id
    }

    fn enter(&mut self, word: &str) -> Result<(), Refusal> {
        let session = self.draw();
        let id = self.next();
        let hold = build::hold(id, self.key, [build::any(session.0)]);
        self.ask(&Command::Hold(hold))?;
        self.made.insert(word.to_owned(), id);
        Ok(())
    }

    /// An account holds, and names the patient then.
    fn name(&mut self, word: &str) -> Result<(), Refusal> {
        let session = self.session(word, SessionTerms::default());
        let id = self.next();
        let keys = ClientKeys { account: Some(AccountId(5)), ..ClientKeys::default() };
        let hold = build::hold(id, self.key, [build::any(session.0)]);
        self.must(&Command::Hold(Hold { patient: None, keys, ..hold }));
        let name = NamePatient {
            request: build::request(self.next()),
            appointment: build::appointment(id),
            patient: PatientId(self.key),
            keys,
            channel: build::channel(0),
            class: PatientClass::Outpatient,
            attributes: Attributes::default(),
        };
        self.ask(&Command::NamePatient(name.into()))?;
        self.made.insert(word.to_owned(), id);
        Ok(())
    }

    fn go(&mut self, from: &str, to: &str) -> Result<(), Refusal> {
        let session = self.session(to, SessionTerms::default());
        let id = self.made[from];
        let ask = Reschedule {
            request: build::request(self.next()),
            appointment: build::appointment(id),
            patient: None,
            channel: build::channel(0),
            claims: std::iter::once(build::any(session.0)).collect(),
        };
        self.ask(&Command::Reschedule(ask.into()))?;
        self.made.remove(from);
        self.made.insert(to.to_owned(), id);
        Ok(())
    }

    /// What is no question; whether it was.
    fn act(&mut self, word: &str) -> bool {
        let (verb, rest) = word.split_at(1);
        match verb {
            "+" => {
                let days: u64 = rest.parse().unwrap();
                self.world.now = self.world.now.plus_millis(days * DAY);
            }
            "k" => self.key = rest.parse().unwrap(),
            ">" => {
                let (from, into) = (PatientId(self.key), PatientId(rest.parse().unwrap()));
                let merge = MergePatients { request: build::request(self.next()), from, into };
                self.ask(&Command::MergePatients(merge)).unwrap();
                self.key = into.0;
            }
            "f" => {
                let (most, hospital) = rest.split_once('o').unwrap_or((rest, ""));
                let within = match hospital.parse() {
                    Ok(hospital) => RuleScope::Organization(OrganizationId(hospital)),
                    Err(_) => RuleScope::Region,
                };
                self.restrict(Consequence::Fewer(most.parse().unwrap()), within, 20);
            }
            "x" => {
                let none = Consequence::Refuse { but: ChannelSet(0) };
                self.restrict(none, RuleScope::Region, 10);
            }
            "-" => {
                let id = self.made.remove(rest).unwrap();
                let found = self.world.appointment(build::appointment(id));
                let is_booked = found.payment.is_some();
                let action = if is_booked { Action::Cancel } else { Action::Release };
                let change = build::change(self.next(), id, action);
                self.ask(&Command::Change(change)).unwrap();
            }
            _ => return false,
        }
        true
    }

    fn tell(&mut self, story: &str) -> String {
        let mut told = Vec::new();
        for word in story.split_whitespace() {
            if self.act(word) {
                continue;
            }
            let answer = match word.split_at(1) {
                ("~", rest) => self.hold(rest, None),
                ("w", rest) => self.wait(rest),
                ("e", rest) => self.enter(rest),
                ("a", rest) => self.name(rest),
                _ => match word.split_once('>') {
                    Some((from, to)) => self.go(from, to),
                    None => self.hold(word, Some(PaymentRef(1))),
                },
            };
            told.push(answer.map_or_else(said, |()| "ok".to_owned()));
        }
        let replayed = World::replayed(self.world.records.iter().cloned());
        assert_eq!(replayed.state(), self.world.state(), "{story}");
        told.join(" ")
    }
}

fn said(refusal: Refusal) -> String {
    assert_eq!(refusal.outcome, Outcome::Restricted);
    let why = refusal.why.unwrap();
    assert_eq!(why.key, RuleKey::Staff);
    assert!(Timestamp::default() < why.until && 0 < refusal.retry_after_millis);
    assert_eq!(why.fewer().is_some(), why.limit != 0);
    why.fewer().map_or_else(|| "no".to_owned(), |limit| format!("no:{}/{limit}", why.count))
}

#[track_caller]
fn check(stories: &[(&str, &str)]) {
    for (story, expected) in stories {
        assert_eq!(Patient::new().tell(story), *expected, "{story}");
    }
}

#[test]
fn so_many_at_a_time_and_one_more_when_one_is_given_up() {
    check(&[
        ("f1 3 4 -3 4", "ok no:1/1 ok"),
        ("f2 3 4 5 -4 5 6", "ok ok no:2/2 ok no:2/2"),
        // What is held and not booked is had too.
        ("f1 ~3 4 -3 4", "ok no:1/1 ok"),
        // Who has more keeps them.
        ("3 4 5 f2 6 -3 6 -4 6", "ok ok ok no:3/2 no:2/2 ok"),
        ("f1 3 +30 34", "ok ok"),
    ]);
}

#[test]
fn it_counts_where_it_holds() {
    check(&[
        ("f1o2 3 4 5o2 6o2", "ok ok ok no:1/1"),
        ("3o2 f1o2 4 5o2", "ok ok no:1/1"),
        ("3 3o2 f2 4o3", "ok ok no:2/2"),
    ]);
}

#[test]
fn whatever_would_be_one_more_is_refused() {
    check(&[
        ("f1 3 w4", "ok no:1/1"),
        ("f1 w4 3", "ok ok"),
        ("f1 3 a4", "ok no:1/1"),
        ("f1 a3 4", "ok no:1/1"),
        ("f1 3 e4", "ok no:1/1"),
        ("f1 e3 4 -3 4", "ok no:1/1 ok"),
    ]);
}

#[test]
fn a_move_within_adds_none_and_a_move_into_it_is_one_more() {
    check(&[
        ("3 4o2 f1o2 3>5o2 3>6", "ok ok no:1/1 ok"),
        ("3 4o2 5o2 f1o2 4o2>6o2 6o2>7 3>8o2", "ok ok ok ok ok no:1/1"),
        ("3 4 f1 3>5", "ok ok ok"),
        ("3 f1o2 3>5o2", "ok ok"),
    ]);
}

#[test]
fn of_several_the_strictest_tells() {
    check(&[
        ("3 f2 f1 4", "ok no:1/1"),
        ("3 4 f1 f2 5", "ok ok no:2/1"),
        ("3 f2 4 5", "ok ok no:2/2"),
        // Nothing before something, though it ends before: day 10, and day 20.
        ("f1 3 x 4", "ok no"),
        ("f1 3 x +10 14", "ok no:1/1"),
    ]);
}

#[test]
fn two_keys_of_one_person_have_what_both_had() {
    check(&[
        ("f1 3 k2 4 5 >1 6 -3 -4 6", "ok ok ok no:3/1 no:1/1"),
        ("k2 f1 k1 3 >2 4", "ok no:1/1"),
        ("k2 f1 3 k1 4 >2 5", "ok ok no:2/1"),
    ]);
}

#[test]
fn a_retry_is_answered_as_a_retry_though_it_would_be_one_more() {
    let mut patient = Patient::new();
    assert_eq!(patient.tell("f1 3 4"), "ok no:1/1");
    let id = patient.made["3"];
    let session = SessionId(u64::try_from(id).unwrap() - 1);
    let hold = build::hold(id, 1, [build::any(session.0)]);
    let again = Hold { book: Some(PaymentRef(1)), ..hold };
    assert!(patient.ask(&Command::Hold(again)).unwrap().retried);
}

#[test]
fn rules_say_how_many_and_of_patients_alone() {
    let rules = |of, most| {
        let consequence = Consequence::Fewer(most);
        let tier = Tier { count: 1, consequence, term: Term::Days(3) };
        let rule = NoShowRule {
            window: Window::Days(9),
            within: crate::model::ScopeKind::Region,
            begins: crate::model::Begins::AtOnce,
            is_used_up: false,
            is_once: false,
            mode: crate::model::RuleMode::Enforce,
            tiers: std::iter::once(tier).collect(),
        };
        let rule = ViolationRule { counts: ViolationSet::only(Violation::Cancel), of, rule };
        let layer = RuleLayer { violations: vec![rule], ..RuleLayer::default() };
        Rules { civil: CivilTime::default(), layers: vec![layer], ..Rules::default() }
    };
    for (of, most, is_sound) in [
        (CountedOf::Patient, 1, true),
        (CountedOf::Patient, 8, true),
        (CountedOf::Patient, 0, false),
        (CountedOf::Patient, 9, false),
        (CountedOf::Account, 1, false),
        (CountedOf::Phone, 1, false),
    ] {
        assert_eq!(rules(of, most).check().is_ok(), is_sound, "{of:?} {most}");
    }
}

//! Scripts: a line for each thing that happens, with what is expected behind the arrow.
//!
//! ```text
//! open S1 2,1                      a session with slots of 2 and 1 places; words: even many own
//! open S1 0:2,1 1/inpatient:1,1    read ttl=5m of=2 at=09:00; pools as channel/class:places
//! hold A1 P1 S1@0 S2@any*2         claims: S1@0, S1@2>0 (ranked), S1@any, *2 (a run of two)
//! book A1                          also release, cancel, arrive, check-in, fulfil, no-show, settle
//! move A1 S2@1 S3@any              takes these places instead of those that it has
//! block S1 0*2    unblock S1 0*2    substitute S1 77    add A1 P1 S1@0    displace S2 (offers there)
//! import A1 P1 S1@0    expire    forget    tick 15m    free S1    live P1
//! open S1 2,1~opens@08:15~floor@1~reclaim@08:30>1 0,1  ends=08:50 lead=10m hours=08:05-08:30
//! open S1 1,1 attend=30m,10m,20m[,pick@-5m] late=end|2     check-in from, grace, until; who is late
//! open S1 1 attend=1h,5m,20m windows=07:30-08:30,08:45-08:50              when numbers are picked up
//! call S1    queue S1            // calls the next one; `A3! A1 A2~`: called, waits, waits late
//! quotas S1 1,1 1,1    due       // shares the places out anew; does what time demands of sessions
//! rule until=-30m|-1d@15:00|half late=mark later=1    rule mode=self-pay order=30m*2 paid-late=refund
//! rule cool=30m@resource,1d@region after=cancel+release    open S1 1 back=10m    rule cool=back+5m@resource of=account
//! rule holder=1    order A1 until=08:40    pay A1 pay=7 kind=insurance    refund A1 pay=7 ref=9
//! name A1 P2 account=1    bills A1    late A1    hold A1 P1 S1@0 account=1 phone=1
//! rule patients=3 changes=1*5d phones=2/3 accounts=1 new=1*10m    has a1|t1|p1      // who is bound
//! ```
//!
//! Words that any request takes: `by=1` (channel), `as=inpatient`, `ttl=5m`, `pay=7`, `req=R1`,
//! `for=P2`, `who=practitioner`, `of=1,2` (organizations). An answer is a list of words, such as
//! `Done pending 08:15 S1@0#0`; each expected word must be among them.

#[path = "script_billing.rs"]
mod billing;

use super::build;
use super::world::World;
use crate::model::{
    Action, Actor, AddPlace, AppointmentId, AppointmentStatus, Attendance, BlockSession,
    BookingChannel, CallNext, Change, ChannelSet, Claim, ClaimRequest, ClassSet, Command, Delay,
    Hold, LateRule, OpenSession, OrganizationId, Organizations, PatientClass, PatientId,
    PaymentRef, Pick, PickUpWindow, Pool, PoolIndex, PoolTerms, Receipt, Reclaim, Refusal, Repeat,
    RequestId, Reschedule, ResourceId, ReturnRule, Role, ServiceHours, Session, SessionId,
    SetQuotas, Sharing, SlotChoice, SlotIndex, Substitute, Timestamp, Ttl,
};

/// Runs a script against an empty world.
#[track_caller]
pub(super) fn check(script: &str) {
    let mut world = World::remembering(build::DAY, build::MORNING);
    for (number, line) in (1_u128..).zip(script.lines()) {
        let line = line.split("//").next().unwrap().trim();
        if line.is_empty() {
            continue;
        }
        let (asked, expected) = line.split_once("->").unwrap_or((line, ""));
        let answer = Line::of(asked, number).run(&mut world);
        let said: Vec<&str> = answer.split_whitespace().collect();
        let fits = expected.split_whitespace().all(|word| said.contains(&word));
        assert!(fits, "\n  line: {line}\nanswer: {answer}\n");
    }
}

struct Line<'a> {
    verb: &'a str,
    words: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
    number: u128,
}

impl<'a> Line<'a> {
    fn of(asked: &'a str, number: u128) -> Self {
        let mut words = asked.split_whitespace();
        let verb = words.next().unwrap();
        let (options, words): (Vec<&str>, _) = words.partition(|word| word.contains('='));
        let options = options.iter().map(|option| option.split_once('=').unwrap()).collect();
        Self { verb, words, options, number }
    }

    fn run(&self, world: &mut World) -> String {
        match self.verb {
            "tick" => {
                world.now = world.now.plus_millis(millis(self.words[0]));
                String::new()
            }
            "open" => answer(world.run(&self.actor(), &Command::OpenSession(self.open().into()))),
            "hold" => answer(world.run(&self.actor(), &Command::Hold(self.hold()))),
            "import" => match world.import(&Hold { book: Some(PaymentRef(1)), ..self.hold() }) {
                Ok(Ok(receipt)) => answer(Ok(receipt)),
                Ok(Err(outcome)) => format!("Declined {}", outcome.name()),
                Err(refusal) => answer(Err(refusal)),
            },
            "quotas" => {
                let admin = Actor::unbounded(Role::Admin);
                answer(world.run(&admin, &Command::SetQuotas(self.set_quotas().into())))
            }
            "call" => {
                let (request, session) = (self.request(), SessionId(small(self.words[0])));
                answer(world.run(&self.actor(), &Command::CallNext(CallNext { request, session })))
            }
            "queue" => queue(world, SessionId(small(self.words[0]))),
            "due" => {
                world.step_sessions();
                String::new()
            }
            "move" => {
                answer(world.run(&self.actor(), &Command::Reschedule(self.reschedule().into())))
            }
            "block" | "unblock" => {
                answer(world.run(&self.actor(), &Command::BlockSession(self.block())))
            }
            "substitute" => {
                let ask = Substitute {
                    request: self.request(),
                    session: SessionId(small(self.words[0])),
                    resource: ResourceId(small(self.words[1])),
                    reason: 1,
                    by: None,
                };
                answer(world.run(&self.actor(), &Command::Substitute(ask)))
            }
            "add" => answer(world.run(&self.actor(), &Command::AddPlace(self.add()))),
            "displace" => {
                let reached = world.displace(SessionId(small(self.words[0])));
                let name = |(id, is_offer): &(AppointmentId, bool)| {
                    format!("{}A{}", if *is_offer { "offered-" } else { "" }, id.0 & 0xffff)
                };
                let words: Vec<_> = reached.iter().map(name).collect();
                if words.is_empty() { "none".to_owned() } else { words.join(" ") }
            }
            "displaced" => ids(&world.displaced()),
            "accept" => {
                let id = build::appointment(number(self.words[0]));
                let offer = world.appointment(id).offer_id().unwrap();
                let mut change = self.change();
                change.appointment = offer;
                answer(world.run(&self.actor(), &Command::Change(change)))
            }
            "resource" => {
                world.session(SessionId(small(self.words[0]))).spec().resource.0.to_string()
            }
            "rule" | "order" | "pay" | "refund" | "name" | "bills" | "late" | "has" => {
                self.run_billing(world)
            }
            "expire" => ids(&world.expire()),
            "forget" => ids(&world.forget()),
            "live" => ids(&world.live(PatientId(number(self.words[0])))),
            "free" => free(world, SessionId(small(self.words[0]))),
            _ => answer(world.run(&self.actor(), &Command::Change(self.change()))),
        }
    }

    fn option(&self, name: &str) -> Option<&'a str> {
        self.options.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    fn actor(&self) -> Actor {
        let role = self.option("who").map_or(Role::Gateway, |who| Role::from_name(who).unwrap());
        let organizations = match self.option("of") {
            Some(list) if self.verb != "open" => {
                Organizations::Only(list.split(',').map(|id| OrganizationId(small(id))).collect())
            }
            _ => Organizations::All,
        };
        Actor { organizations, ..Actor::unbounded(role) }
    }

    fn request(&self) -> RequestId {
        let fresh = build::request(1_000_000 + self.number);
        self.option("req").map_or(fresh, |word| {
            let kind = if word.starts_with('A') { 0 } else { 2_000_000 };
            build::request(kind + number(word))
        })
    }

    fn channel(&self) -> BookingChannel {
        build::channel(self.option("by").map_or(0, small))
    }

    fn open(&self) -> OpenSession {
        let is = |word: &str| self.words.contains(&word);
        let pools = self.words[1..].iter().filter(|word| word.contains(char::is_numeric));
        let mut session = Session {
            pools: pools.map(|word| pool(word)).collect(),
            ..build::session(small(self.words[0]), &[])
        };
        if is("even") {
            session.pick = Pick::Even;
        }
        if is("many") {
            session.repeat = Repeat::Unlimited;
        }
        if is("own") {
            session.sharing = Sharing::Own;
        }
        if is("read") {
            session.sharing = Sharing::Read;
        }
        if let Some(ttl) = self.option("ttl") {
            session.ttl_max = ttl_of(ttl);
        }
        if let Some(changes) = self.option("changes") {
            session.terms.changes_max = Some(small(changes));
        }
        if let Some(ttl) = self.option("offer") {
            session.terms.displaced_offer = Some(ttl_of(ttl));
        }
        if let Some(organization) = self.option("of") {
            session.organization = OrganizationId(small(organization));
        }
        let terms = &mut session.terms;
        terms.booking_ends = self.option("ends").map(time_of);
        terms.lead_millis = self.option("lead").map(|lead| u32::try_from(millis(lead)).unwrap());
        terms.hours = self.option("hours").map(hours);
        terms.attendance = self.option("attend").map(|word| self.attendance(word));
        terms.returns = match self.option("back") {
            None => ReturnRule::AtOnce,
            Some("never") => ReturnRule::Withheld,
            Some(delay) => {
                let millis = u32::try_from(millis(delay)).unwrap();
                ReturnRule::Delayed(Delay { min_millis: millis, max_millis: millis })
            }
        };
        terms.pick_up_windows = self.option("windows").map_or_else(Vec::new, windows);
        OpenSession { request: self.request(), session }
    }

    fn attendance(&self, word: &str) -> Attendance {
        let (bounds, pick) = word.split_once(",pick@").unwrap_or((word, ""));
        let bounds: Vec<_> =
            bounds.split(',').map(|bound| u32::try_from(millis(bound)).unwrap()).collect();
        let pick_up = |word: &str| i32::try_from(millis(word.trim_start_matches('-'))).unwrap();
        let sign = if pick.starts_with('-') { -1 } else { 1 };
        Attendance {
            check_in_from: bounds[0],
            pick_up_until: (!pick.is_empty()).then(|| sign * pick_up(pick)),
            grace: bounds[1],
            late_until: bounds[2],
            late: match self.option("late") {
                None | Some("end") => LateRule::EndOfSegment,
                Some(number) => LateRule::Every(small(number)),
            },
        }
    }

    fn set_quotas(&self) -> SetQuotas {
        let pools = self.words[1..].iter().map(|word| word.split(',').map(small).collect());
        SetQuotas {
            request: self.request(),
            session: SessionId(small(self.words[0])),
            quotas: pools.collect(),
        }
    }

    fn hold(&self) -> Hold {
        let claims = self.words[2..].iter().map(|word| wish(word));
        Hold {
            patient: (self.words[1] != "-").then(|| PatientId(number(self.words[1]))),
            keys: self.keys(),
            channel: self.channel(),
            class: self.option("as").map_or(PatientClass::Outpatient, class),
            ttl: self.option("ttl").map_or(Ttl::DEFAULT, ttl_of),
            book: self.option("pay").map(|payment| PaymentRef(number(payment))),
            ..build::hold(number(self.words[0]), 0, claims)
        }
    }

    fn reschedule(&self) -> Reschedule {
        Reschedule {
            request: self.request(),
            appointment: build::appointment(number(self.words[0])),
            patient: self.option("for").map(|patient| PatientId(number(patient))),
            channel: self.channel(),
            claims: self.words[1..].iter().map(|word| wish(word)).collect(),
        }
    }

    fn block(&self) -> BlockSession {
        let (first, count) = self.words[1].split_once('*').unwrap_or((self.words[1], "1"));
        BlockSession {
            request: self.request(),
            session: SessionId(small(self.words[0])),
            first: SlotIndex(small(first)),
            count: small(count),
            is_blocked: self.verb == "block",
            reason: 7,
            by: None,
        }
    }

    fn add(&self) -> AddPlace {
        let (session, slot) = self.words[2].split_once('@').unwrap();
        AddPlace {
            appointment: build::appointment(number(self.words[0])),
            patient: PatientId(number(self.words[1])),
            session: SessionId(small(session)),
            slot: SlotIndex(small(slot)),
            channel: self.channel(),
            class: PatientClass::Outpatient,
            payment: None,
            reason: 2,
            by: None,
        }
    }

    fn change(&self) -> Change {
        let payment = PaymentRef(self.option("pay").map_or(0, number));
        let action = match self.verb {
            "book" | "accept" => Action::Book { payment },
            "release" => Action::Release,
            "cancel" => Action::Cancel,
            "arrive" => Action::Arrive,
            "check-in" => Action::CheckIn,
            "fulfil" => Action::Fulfil,
            "no-show" => Action::NoShow,
            "settle" => Action::Settle,
            verb => panic!("unknown verb: {verb}"),
        };
        Change {
            request: self.request(),
            appointment: build::appointment(number(self.words[0])),
            patient: self.option("for").map(|patient| PatientId(number(patient))),
            channel: self.channel(),
            action,
        }
    }
}

/// `2,1`, `1:2,1`, `*/inpatient:2,1` or `1/inpatient:2,1`, and terms behind it.
fn pool(word: &str) -> Pool {
    let mut terms = PoolTerms::default();
    let mut parts = word.split('~');
    let word = parts.next().unwrap();
    for (name, value) in parts.map(|part| part.split_once('@').unwrap()) {
        match name {
            "opens" => terms.opens = time_of(value),
            "floor" => terms.floor = small(value),
            "reclaim" => {
                let (at, to) = value.split_once('>').unwrap();
                terms.reclaim = Some(Reclaim { at: time_of(at), to: PoolIndex(small(to)) });
            }
            other => panic!("unknown term: {other}"),
        }
    }
    let (who, quotas) = word.split_once(':').unwrap_or(("*", word));
    let (channel, patients) = who.split_once('/').unwrap_or((who, "*"));
    let channels = match channel {
        "*" => ChannelSet::ALL,
        number => ChannelSet(1 << small::<u8>(number)),
    };
    let classes = match patients {
        "*" => ClassSet::ALL,
        name => ClassSet(1 << class(name) as u8),
    };
    Pool { channels, classes, quotas: quotas.split(',').map(small).collect(), terms }
}

/// `07:30-10:30,12:30-15:30`.
fn windows(word: &str) -> Vec<PickUpWindow> {
    let window = |word: &str| {
        let (from, until) = word.split_once('-').unwrap();
        PickUpWindow { from: time_of(from), until: time_of(until) }
    };
    word.split(',').map(window).collect()
}

/// `08:05-08:30`, UTC, for every channel but 63.
fn hours(word: &str) -> ServiceHours {
    let (from, to) = word.split_once('-').unwrap();
    let minute = |word: &str| u16::try_from(minutes_of(word)).unwrap();
    let channels = ChannelSet(u64::MAX >> 1);
    let offsets = vec![(Timestamp::default(), 0)];
    ServiceHours { from: minute(from), to: minute(to), channels, offsets }
}

/// `08:15`, of the day on which tests begin.
fn time_of(word: &str) -> Timestamp {
    build::MORNING.plus_millis(minutes_of(word) * 60_000).minus_millis(8 * 3_600_000)
}

fn minutes_of(word: &str) -> u64 {
    let (hours, minutes) = word.split_once(':').unwrap();
    hours.parse::<u64>().unwrap() * 60 + minutes.parse::<u64>().unwrap()
}

/// `S1@any`, `S1@3`, `S1@3>1>2`, `S1@0*2`.
fn wish(word: &str) -> ClaimRequest {
    let (session, slots) = word.split_once('@').unwrap();
    let (slots, count) = slots.split_once('*').unwrap_or((slots, "1"));
    let slots = match slots {
        "any" => SlotChoice::Any,
        list => SlotChoice::Ranked(
            list.split('>').filter(|slot| !slot.is_empty()).map(|s| SlotIndex(small(s))).collect(),
        ),
    };
    ClaimRequest { session: SessionId(small(session)), count: small(count), slots }
}

fn class(name: &str) -> PatientClass {
    match name {
        "outpatient" => PatientClass::Outpatient,
        "inpatient" => PatientClass::Inpatient,
        "emergency" => PatientClass::Emergency,
        other => panic!("unknown class: {other}"),
    }
}

fn answer(result: Result<Receipt, Refusal>) -> String {
    match result {
        Ok(Receipt { status, until, claims, retried, appointment }) => {
            let done = if retried { "AlreadyDone" } else { "Done" };
            let status = status.map_or("-", AppointmentStatus::code);
            let mut claims: Vec<_> = claims.iter().map(claim_text).collect();
            claims.extend(appointment.map(|id| format!("A{}", id.0 & 0xffff)));
            format!("{done} {status} {} {}", clock(until), claims.join(" "))
        }
        Err(Refusal { outcome, status, retry_after_millis, .. }) => {
            let status = status.map_or("-", AppointmentStatus::code);
            format!("{} {status} {retry_after_millis}ms", outcome.name())
        }
    }
}

fn claim_text(claim: &Claim) -> String {
    let run = if claim.count == 1 { String::new() } else { format!("*{}", claim.count) };
    format!("S{}@{}{run}#{}", claim.session.0, claim.slot.0, claim.pool.0)
}

fn clock(time: Timestamp) -> String {
    let minutes = time.as_millis() / 60_000 % (24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `A1 A2`, or `none`.
fn ids(list: &[AppointmentId]) -> String {
    let names = list.iter().map(|id| format!("A{}", id.0 & 0xffff));
    let names: Vec<_> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

/// Free places slot by slot, pool behind pool: `2,1 0,0`, and their sum as `sum=3`.
fn free(world: &World, id: SessionId) -> String {
    let state = world.session(id);
    let mut pools = vec![Vec::new(); state.spec().pools.len()];
    let mut sum = 0;
    for (slot, pool, _) in state.cells() {
        let places = state.free(slot, pool);
        sum += places;
        pools[usize::from(pool.0)].push(places.to_string());
    }
    let pools: Vec<_> = pools.into_iter().map(|pool| pool.join(",")).collect();
    format!("{} sum={sum}", pools.join("|"))
}

/// Called ones, then waiting ones: `A3! A1 A2~`, as one word for each place: `1:A1`, with the wait in
/// minutes behind the slash.
fn queue(world: &World, id: SessionId) -> String {
    let state = world.session(id);
    let rule = state.spec().terms.attendance.unwrap().late;
    let Some(queue) = state.queue() else { return "none".to_owned() };
    let order = queue.page(rule, state.spec().slot_millis, 0);
    let lines = order.lines.iter().map(|line| {
        let called = if line.called.is_some() { "!" } else { "" };
        let late = if line.is_late { "~" } else { "" };
        let (id, minutes) = (line.appointment.0 & 0xffff, line.wait_millis / 60_000);
        format!("{}:A{id}{called}{late}/{minutes}m", line.position)
    });
    let lines: Vec<_> = lines.collect();
    format!("{} waiting={}", lines.join(" "), order.waiting)
}

fn ttl_of(word: &str) -> Ttl {
    Ttl::from_millis(u32::try_from(millis(word)).unwrap()).unwrap()
}

fn millis(word: &str) -> u64 {
    let unit = word.trim_start_matches(char::is_numeric);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        other => panic!("unknown unit: {other}"),
    };
    factor * word.trim_end_matches(char::is_alphabetic).parse::<u64>().unwrap()
}

/// The number in `S1` or `60000`.
fn number(word: &str) -> u128 {
    word.trim_start_matches(char::is_alphabetic).parse().unwrap()
}

fn small<T: TryFrom<u128>>(word: &str) -> T {
    T::try_from(number(word)).ok().unwrap()
}

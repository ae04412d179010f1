//! Nobody is given a place while a restriction keeps them from booking, and nobody is told so without
//! cause: one that was made, and not lifted before.

use std::collections::BTreeMap;

use haoyuan::model::{
    AccountId, AppealTerm, AppointmentId, BookingChannel, Claim, Claims, ClientKey, Consequence,
    DrawId, Fact, Outcome, PatientClass, PatientId, Place, Restriction, RestrictionId, RuleMode,
    Sequence, Session, SlotIndex, StepKind, Timestamp, Undecided,
};

use super::{History, Invariant, Sight, ensure};
use crate::ask::Body;
use haoyuan::model::Command;

/// What was ever made, by patient.
#[derive(Default)]
pub(super) struct RestrictionKept {
    made: BTreeMap<PatientId, Vec<Made>>,
    /// The telephone that each hold was asked for from, which a naming without one inherits.
    phones: BTreeMap<AppointmentId, ClientKey>,
    /// What patients have, with whether it is live.
    lines: BTreeMap<AppointmentId, (PatientId, Claims, bool)>,
}

/// A restriction, and what was done about it.
#[derive(Debug)]
struct Made {
    id: RestrictionId,
    restriction: Restriction,
    /// The record that lifted it.
    lifted: Option<Sequence>,
    /// Until when it was suspended.
    suspended: Timestamp,
    appeal: Option<AppealTerm>,
}

impl Invariant for RestrictionKept {
    fn name(&self) -> &'static str {
        "restriction_kept"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => {
                for fact in &record.facts {
                    self.note(fact, record.sequence)?;
                    self.check(fact, record.time, history)?;
                    self.follow(fact);
                }
                Ok(())
            }
            Sight::Told { ask, reply } if reply.outcome() == Outcome::Restricted => {
                let (patient, account, phone) = match &ask.body {
                    Body::Command(Command::Hold(hold)) | Body::Import(hold) => {
                        (hold.patient, hold.keys.account, hold.keys.phone)
                    }
                    Body::Command(Command::NamePatient(name)) => {
                        let known = self.phones.get(&name.appointment).copied();
                        (Some(name.patient), name.keys.account, name.keys.phone.or(known))
                    }
                    Body::Command(Command::JoinWaitlist(join)) => {
                        (Some(join.patient), join.account, None)
                    }
                    Body::Command(Command::Reschedule(ask)) => {
                        let life = self.lines.get(&ask.appointment);
                        (life.map(|line| line.0), None, None)
                    }
                    _ => (None, None, None),
                };
                let patient = patient.map(|patient| history.person(patient));
                let account = account.map(AccountId::holder);
                let who = [patient, account, phone.map(ClientKey::phone_holder)];
                let made = who.into_iter().flatten().filter_map(|key| self.made.get(&key));
                let is_known = made.flatten().any(|made| {
                    let is_lifted = made.lifted.is_some_and(|at| at <= reply.after);
                    made.restriction.consequence.most().is_some() && !is_lifted
                });
                ensure(is_known, || format!("{ask} was told of a restriction that is not there"))
            }
            _ => Ok(()),
        }
    }
}

impl Made {
    const fn new(id: RestrictionId, restriction: Restriction) -> Self {
        let suspended = Timestamp::from_millis(0);
        Self { id, restriction, lifted: None, suspended, appeal: None }
    }

    fn holds(&self, time: Timestamp) -> bool {
        let open = self.appeal.filter(|term| time < term.due);
        let lapsed = self.appeal.filter(|term| term.due <= time);
        let is_granted = lapsed.is_some_and(|term| term.undecided == Undecided::Lifted);
        let is_waiting = open.is_some_and(|term| term.is_suspending);
        let Restriction { from, until, .. } = self.restriction;
        let is_its_time = from <= time && time < until && self.suspended <= time;
        is_its_time && self.lifted.is_none() && !is_granted && !is_waiting
    }
}

impl RestrictionKept {
    fn note(&mut self, fact: &Fact, sequence: Sequence) -> Result<(), String> {
        if let Fact::Struck(struck) = fact {
            let made = self.made.entry(struck.patient).or_default();
            let id = RestrictionId(struck.appointment.0);
            made.extend(struck.restriction.map(|made| Made::new(id, made)));
        }
        if let Fact::Phoned(fact) = fact {
            self.phones.insert(fact.appointment, fact.phone);
        }
        if let Fact::Barred(fact) = fact {
            let made = self.made.entry(fact.patient).or_default();
            made.push(Made::new(fact.id, fact.restriction));
        }
        if let Fact::Restricted(fact) = fact {
            let made = self.made.entry(fact.patient).or_default();
            made.push(Made::new(RestrictionId(fact.request.0), fact.restriction));
        }
        if let Fact::PatientsMerged(fact) = fact {
            let made = self.made.remove(&fact.from).unwrap_or_default();
            self.made.entry(fact.into).or_default().extend(made);
        }
        let Fact::Amended(fact) = fact else { return Ok(()) };
        let mut all = self.made.get_mut(&fact.patient).into_iter().flatten();
        let made = all.find(|made| made.id == fact.restriction).ok_or("no such restriction")?;
        match fact.step.what {
            StepKind::Lifted | StepKind::Granted => made.lifted = Some(sequence),
            StepKind::Suspended(until) => made.suspended = made.suspended.max(until),
            StepKind::Resumed => made.suspended = Timestamp::default(),
            StepKind::Appealed(term) => made.appeal = Some(term),
            StepKind::Upheld => made.appeal = None,
        }
        Ok(())
    }

    fn check(&self, fact: &Fact, time: Timestamp, history: &History) -> Result<(), String> {
        if let Fact::Entered(entered) = fact {
            let session = history.sessions.get(&entered.draw.session).ok_or("no such session")?;
            let as_whom = (entered.channel, entered.entry.choice.class);
            let here = [whole(entered.draw)];
            self.look_at_more(entered.patient, entered.appointment, (&here, &[]), time, history)?;
            return self.look(entered.patient, as_whom, time, session);
        }
        if let Fact::PatientNamed(named) = fact {
            let life = history.lives.get(&named.appointment).ok_or("no such hold")?;
            for Claim { session, .. } in &named.claims {
                let session = history.sessions.get(session).ok_or("no such session")?;
                self.look(named.patient, (life.held.channel, named.class), time, session)?;
            }
            self.look_at_more(
                named.patient,
                named.appointment,
                (&named.claims, &[]),
                time,
                history,
            )?;
        }
        if let Fact::Rescheduled(moved) = fact {
            let of = (moved.to.as_slice(), moved.from.as_slice());
            // What was displaced has no places to leave.
            if !moved.from.is_empty() {
                self.look_at_more(moved.patient, moved.appointment, of, time, history)?;
            }
        }
        let (Fact::Held(_) | Fact::PlaceOffered(_)) = fact else { return Ok(()) };
        let Some(held) = fact.held() else { return Ok(()) };
        self.look_at_more(held.patient, held.appointment, (&held.claims, &[]), time, history)?;
        for Claim { session, .. } in &held.claims {
            let session = history.sessions.get(session).ok_or("no such session")?;
            self.look(held.patient, (held.channel, held.class), time, session)?;
        }
        Ok(())
    }

    fn look(
        &self,
        patient: PatientId,
        (channel, class): (BookingChannel, PatientClass),
        time: Timestamp,
        session: &Session,
    ) -> Result<(), String> {
        let place = Place::of(session);
        for known in self.made.get(&patient).into_iter().flatten() {
            let made = &known.restriction;
            let is_barred = match made.consequence {
                Consequence::Refuse { but } => !but.contains(channel),
                Consequence::RefuseBut { channels, classes } => {
                    !(channels.contains(channel) && classes.contains(class))
                }
                // Looked at with what they have.
                Consequence::Warn | Consequence::Lower(_) | Consequence::Fewer(_) => false,
            };
            let holds = known.holds(time) && made.within.contains(&place);
            ensure(!(is_barred && holds && made.mode == RuleMode::Enforce), || {
                format!("patient {:x} was given a place while {known:?}", patient.0)
            })?;
        }
        Ok(())
    }

    /// Nobody comes to more appointments than a restriction leaves: by `to`, where `from` is in its scope
    /// already.
    fn look_at_more(
        &self,
        patient: PatientId,
        id: AppointmentId,
        (to, from): (&[Claim], &[Claim]),
        time: Timestamp,
        history: &History,
    ) -> Result<(), String> {
        for known in self.made.get(&patient).into_iter().flatten() {
            let made = &known.restriction;
            let Consequence::Fewer(most) = made.consequence else { continue };
            let is_there = |claims: &[Claim]| {
                let sessions = claims.iter().filter_map(|it| history.sessions.get(&it.session));
                sessions.map(Place::of).any(|place| made.within.contains(&place))
            };
            let comes = is_there(to) && !is_there(from);
            if !comes || !known.holds(time) || made.mode != RuleMode::Enforce {
                continue;
            }
            let others = self.lines.iter().filter(|(other, line)| {
                **other != id && line.2 && line.0 == patient && is_there(&line.1)
            });
            let count = others.count();
            ensure(count < usize::from(most), || {
                format!("patient {:x} came to more than {count} while {known:?}", patient.0)
            })?;
        }
        Ok(())
    }

    /// Follows what patients have.
    fn follow(&mut self, fact: &Fact) {
        if let Some(held) = fact.held() {
            self.lines.insert(held.appointment, (held.patient, held.claims.clone(), true));
        }
        let over = match fact {
            Fact::PatientsMerged(merged) => {
                let own = self.lines.values_mut().filter(|line| line.0 == merged.from);
                own.for_each(|line| line.0 = merged.into);
                None
            }
            Fact::PatientNamed(named) => {
                if let Some(line) = self.lines.get_mut(&named.appointment) {
                    line.0 = named.patient;
                }
                None
            }
            Fact::PlaceAdded(added) => {
                let line = (added.patient, added.claims.clone(), true);
                self.lines.insert(added.appointment, line);
                None
            }
            Fact::Entered(entered) => {
                let here = whole(entered.draw);
                let line = (entered.patient, std::iter::once(here).collect(), true);
                self.lines.insert(entered.appointment, line);
                None
            }
            Fact::EntryEnded(ended) => Some(ended.appointment),
            Fact::Rescheduled(moved) => {
                if let Some(line) = self.lines.get_mut(&moved.appointment) {
                    line.1.clone_from(&moved.to);
                }
                None
            }
            Fact::Settled(settled) => Some(settled.appointment),
            Fact::Left(left) => Some(left.appointment),
            _ => fact.ended().map(|ended| ended.appointment),
        };
        if let Some(line) = over.and_then(|id| self.lines.get_mut(&id)) {
            line.2 = false;
        }
    }
}

/// Somewhere in a session.
const fn whole(draw: DrawId) -> Claim {
    Claim { session: draw.session, slot: SlotIndex(0), count: 1, pool: draw.pool }
}

//! Facts as lines for other programs: one line for each fact and claim, each complete in itself.
//!
//! A fact says only what changed, so a booking names no patient and no slot. [`Enricher`] remembers
//! what was said of an appointment before, and puts it on every later line about it.
//!
//! **Architecture invariant:** pure. The same facts give the same lines.

#[path = "lines_billing.rs"]
mod billing;
#[path = "lines/conduct.rs"]
mod conduct;
#[path = "lines/persons.rs"]
mod persons;
#[path = "lines/restrictions.rs"]
mod restrictions;

use hashbrown::HashMap;
use serde::Serialize;

use self::restrictions::{amended, merged, restricted};
use crate::model::{
    AppointmentId, AppointmentStatus, Claim, Claims, DrawId, Ended, Entered, Fact, Facts, Held,
    PatientId, RequestId, Sequence, Session, SessionId, SessionOpened, Timestamp,
};

/// One line. `null` where a key does not apply; keys since 0.2 are left out there, so that lines of old
/// facts stay as they were. The documentation has the same table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) seq: u64,
    pub(super) time_ms: u64,
    pub(super) fact: &'static str,
    pub(super) appointment: Option<String>,
    pub(super) patient: Option<String>,
    pub(super) session: Option<u64>,
    pub(super) slot: Option<u16>,
    pub(super) count: Option<u16>,
    pub(super) pool: Option<u8>,
    pub(super) places: Option<u16>,
    pub(super) status: Option<&'static str>,
    pub(super) until_ms: Option<u64>,
    pub(super) claim: Option<usize>,
    pub(super) claims: Option<usize>,
    pub(super) cause: Option<&'static str>,
    pub(super) outcome: Option<&'static str>,
    pub(super) channel: Option<u8>,
    pub(super) organization: Option<u32>,
    pub(super) request: Option<String>,
    /// The pool that got unused places.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_pool: Option<u8>,
    /// Why a session or an appointment was changed, a code of the hospital.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<u16>,
    /// Who changed it, as a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    /// Who or what took a session over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<u64>,
    /// The displaced appointment that places are offered to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) displaced: Option<String>,
    /// The version of the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rules: Option<u32>,
    /// The version of the rules that the record was decided under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) under: Option<u32>,
    /// The local day of a missed visit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) day: Option<String>,
    /// Since when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from_ms: Option<u64>,
    /// Whether a restriction is applied, or only counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<&'static str>,
    /// The reference of a payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payment: Option<String>,
    /// Who paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) paid_by: Option<&'static str>,
    /// The appointment that was booked with a payment that came too late for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rebooked: Option<String>,
    /// The restriction that was made, or about which something was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) restriction: Option<String>,
    /// As what somebody did it: the role of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    /// What it rests on, as a reference made outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<String>,
    /// The key under which both are kept from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) into: Option<String>,
    /// Who is bound to whom.
    #[serde(flatten)]
    pub(super) bound: persons::BoundKeys,
}

/// Remembers appointments from line to line.
#[derive(Debug, Default)]
pub(super) struct Enricher {
    known: HashMap<AppointmentId, Known, foldhash::fast::FixedState>,
}

#[derive(Debug)]
struct Known {
    patient: PatientId,
    channel: u8,
    organization: u32,
    claims: Claims,
}

impl Enricher {
    /// The lines of a record. Give it every record from the first one on.
    pub(super) fn lines(
        &mut self,
        sequence: Sequence,
        time: Timestamp,
        facts: &Facts,
    ) -> Vec<Line> {
        let mut lines = Vec::new();
        for fact in facts {
            let line = Line {
                seq: sequence.0,
                time_ms: time.as_millis(),
                fact: fact.name(),
                ..Line::default()
            };
            self.add(&mut lines, line, fact);
        }
        let under = facts.iter().find_map(Fact::under).filter(|under| under.0 != 0);
        for line in &mut lines {
            line.under = under.map(|under| under.0);
        }
        lines
    }

    fn add(&mut self, lines: &mut Vec<Line>, line: Line, fact: &Fact) {
        match fact {
            Fact::SessionOpened(fact) => add_session(lines, &line, fact),
            Fact::Held(fact) => self.add_held(lines, line, fact),
            Fact::PlaceOffered(fact) => self.add_held(lines, line, &fact.held),
            Fact::WaitJoined(fact) => {
                let (entry, patient) = (fact.entry.entry, fact.entry.patient);
                add_targets(lines, &line, entry, patient, &fact.targets);
            }
            Fact::WaitLeft(fact) => {
                let line = Line { cause: Some(fact.why.name()), ..line };
                add_targets(lines, &line, fact.entry, fact.patient, &fact.targets);
            }
            Fact::RulesApplied(fact) => lines.push(Line {
                request: Some(hex(fact.request.0)),
                rules: Some(fact.rules.version.0),
                from_ms: Some(fact.rules.from.as_millis()),
                ..line
            }),
            Fact::Struck(fact) => conduct::add_strike(lines, line, fact),
            Fact::Barred(fact) => lines.push(conduct::barred(line, fact)),
            Fact::Probed(fact) => lines.push(conduct::probed(line, fact)),
            Fact::Recorded(fact) => lines.push(conduct::recorded(line, fact)),
            Fact::Phoned(_) | Fact::Bound(_) => self.add_persons(lines, line, fact),
            Fact::LeftLate(_) | Fact::Billed(_) | Fact::Ordered(_) | Fact::PatientNamed(_) => {
                self.add_billing(lines, line, fact);
            }
            Fact::Cooled(fact) => lines.extend(conduct::cooled(&line, fact)),
            Fact::Restricted(fact) => lines.push(restricted(line, fact)),
            Fact::Amended(fact) => lines.push(amended(line, fact)),
            Fact::PatientsMerged(fact) => lines.push(merged(line, fact)),
            Fact::WaitDrawn(fact) => lines.push(Line { session: Some(fact.session.0), ..line }),
            Fact::Booked(fact) => {
                let line = of_request(line, fact.request, AppointmentStatus::Booked);
                self.add_known(lines, line, fact.appointment);
            }
            Fact::Ended(fact) => self.add_ended(lines, line, fact),
            Fact::Freed(fact) => self.add_ended(lines, line, &fact.ended),
            Fact::Returned(fact) => {
                let line = Line { session: Some(fact.session.0), ..line };
                lines.extend(fact.places.iter().map(|places| Line {
                    slot: Some(places.slot.0),
                    count: Some(1),
                    pool: Some(places.pool.0),
                    places: Some(places.count),
                    ..line.clone()
                }));
            }
            Fact::Progressed(fact) => {
                let line = of_request(line, fact.request, fact.status);
                self.add_known(lines, line, fact.appointment);
            }
            Fact::Settled(fact) => {
                let line = of_request(line, fact.request, fact.status);
                let line = Line { patient: Some(hex(fact.patient.0)), ..line };
                self.add_known(lines, line, fact.appointment);
            }
            Fact::Queued(fact) => {
                let line = of_request(line, fact.request, AppointmentStatus::CheckedIn);
                self.add_known(lines, line, fact.appointment);
            }
            Fact::Left(fact) => self.add(lines, line, &Fact::Settled(fact.settled())),
            Fact::Called(fact) => {
                let line = of_request(line, fact.request, AppointmentStatus::CheckedIn);
                self.add_known(lines, line, fact.appointment);
            }
            Fact::Declined(fact) => lines.push(Line {
                appointment: Some(hex(fact.appointment.0)),
                patient: Some(hex(fact.patient.0)),
                request: Some(hex(fact.appointment.0)),
                outcome: Some(fact.outcome.name()),
                ..line
            }),
            Fact::QuotasSet(fact) => {
                let request = Some(hex(fact.request.0));
                let line = Line { request, session: Some(fact.session.0), ..line };
                for (pool, quotas) in (0..).zip(&fact.quotas) {
                    add_quotas(lines, &line, pool, quotas);
                }
            }
            Fact::Reclaimed(fact) => {
                let to_pool = Some(fact.to.0);
                let line = Line { session: Some(fact.session.0), to_pool, ..line };
                add_quotas(lines, &line, fact.from.0, &fact.places);
            }
            // It stands on the lines of the others.
            Fact::DecidedUnder(_) => {}
            Fact::Swept(session) => lines.push(Line { session: Some(session.0), ..line }),
            Fact::SessionBlocked(fact) => {
                let block = &fact.block;
                lines.push(Line {
                    session: Some(block.session.0),
                    slot: Some(block.first.0),
                    count: Some(block.count),
                    request: Some(hex(block.request.0)),
                    reason: Some(block.reason),
                    by: block.by.map(|by| hex(by.0)),
                    ..line
                });
            }
            Fact::Substituted(fact) => {
                let ask = &fact.substitute;
                lines.push(Line {
                    session: Some(ask.session.0),
                    request: Some(hex(ask.request.0)),
                    resource: Some(ask.resource.0),
                    reason: Some(ask.reason),
                    by: ask.by.map(|by| hex(by.0)),
                    ..line
                });
            }
            Fact::Displaced(fact) => {
                let status = Some(AppointmentStatus::Booked.code());
                let line = Line {
                    status,
                    cause: Some(crate::model::Cause::Displaced.name()),
                    reason: Some(fact.reason),
                    ..line
                };
                self.add_known(lines, line, fact.appointment);
            }
            Fact::PlaceAdded(fact) => {
                let known = Known {
                    patient: fact.patient,
                    channel: fact.channel.number(),
                    organization: fact.organization.0,
                    claims: fact.claims.clone(),
                };
                self.known.insert(fact.appointment, known);
                let line = of_request(line, fact.appointment.request(), AppointmentStatus::Booked);
                let by = fact.by.map(|by| hex(by.0));
                self.add_known(
                    lines,
                    Line { reason: Some(fact.reason), by, ..line },
                    fact.appointment,
                );
            }
            Fact::Offered(fact) => {
                let line = Line { displaced: Some(hex(fact.displaced.0)), ..line };
                self.add_held(lines, line, &fact.held);
            }
            Fact::Rescheduled(fact) => {
                if let Some(known) = self.known.get_mut(&fact.appointment) {
                    known.organization = fact.organization.0;
                    known.claims.clone_from(&fact.to);
                }
                let request = Some(hex(fact.request.0));
                self.add_known(lines, Line { request, ..line }, fact.appointment);
            }
            Fact::Entered(fact) => self.add_entered(lines, line, fact),
            Fact::EntryEnded(fact) => {
                let line = Line {
                    status: Some(AppointmentStatus::Cancelled.code()),
                    cause: Some(fact.cause.name()),
                    request: fact.request.map(|(request, _)| hex(request.0)),
                    ..line
                };
                self.add_known(lines, line, fact.appointment);
            }
            Fact::DrawWon(fact) => {
                let line = Line {
                    status: Some(AppointmentStatus::Pending.code()),
                    until_ms: Some(fact.until.as_millis()),
                    ..line
                };
                if let Some(known) = self.known.get_mut(&fact.appointment) {
                    known.claims = std::iter::once(fact.claim).collect();
                }
                self.add_known(lines, line, fact.appointment);
            }
            Fact::BeaconGiven(fact) => {
                let request = Some(hex(fact.request.0));
                lines.push(Line { request, ..of_draw(line, fact.draw) });
            }
            Fact::DrawRevealed(fact) => {
                let line = of_draw(line, fact.draw);
                add_quotas(lines, &line, fact.draw.pool.0, &fact.places);
            }
            Fact::Forgotten(fact) => {
                for appointment in &fact.appointments {
                    self.known.remove(appointment);
                    lines.push(Line { appointment: Some(hex(appointment.0)), ..line.clone() });
                }
            }
        }
    }

    fn add_ended(&self, lines: &mut Vec<Line>, line: Line, fact: &Ended) {
        let known = self.known.get(&fact.appointment);
        let line = Line {
            status: Some(AppointmentStatus::Cancelled.code()),
            cause: Some(fact.cause.name()),
            request: fact.request.map(|(request, _)| hex(request.0)),
            patient: Some(hex(fact.patient.0)),
            appointment: Some(hex(fact.appointment.0)),
            channel: known.map(|known| known.channel),
            organization: known.map(|known| known.organization),
            ..line
        };
        add_claims(lines, &line, &fact.claims);
    }

    fn add_held(&mut self, lines: &mut Vec<Line>, line: Line, fact: &Held) {
        let line = Line {
            status: Some(AppointmentStatus::Pending.code()),
            until_ms: Some(fact.until.as_millis()),
            request: Some(hex(fact.appointment.0)),
            ..line
        };
        let known = Known {
            patient: fact.patient,
            channel: fact.channel.number(),
            organization: fact.organization.0,
            claims: fact.claims.clone(),
        };
        self.known.insert(fact.appointment, known);
        self.add_known(lines, line, fact.appointment);
    }

    fn add_entered(&mut self, lines: &mut Vec<Line>, line: Line, fact: &Entered) {
        let line = Line {
            status: Some(AppointmentStatus::Waitlist.code()),
            until_ms: Some(fact.until.as_millis()),
            request: Some(hex(fact.appointment.0)),
            ..line
        };
        let known = Known {
            patient: fact.patient,
            channel: fact.channel.number(),
            organization: fact.organization.0,
            claims: std::iter::once(fact.entry.choice.claim(fact.draw)).collect(),
        };
        self.known.insert(fact.appointment, known);
        self.add_known(lines, line, fact.appointment);
    }

    /// Adds what an earlier line said of the appointment. Without one, where the retention has
    /// dropped it, the line stands alone.
    fn add_known(&self, lines: &mut Vec<Line>, line: Line, appointment: AppointmentId) {
        let line = Line { appointment: Some(hex(appointment.0)), ..line };
        let Some(known) = self.known.get(&appointment) else { return lines.push(line) };
        let line = Line {
            patient: Some(hex(known.patient.0)),
            channel: Some(known.channel),
            organization: Some(known.organization),
            ..line
        };
        add_claims(lines, &line, &known.claims);
    }
}

fn of_draw(line: Line, draw: DrawId) -> Line {
    Line { session: Some(draw.session.0), pool: Some(draw.pool.0), ..line }
}

/// A line for each session that somebody waits for, or waits for no more.
fn add_targets(
    lines: &mut Vec<Line>,
    line: &Line,
    entry: RequestId,
    patient: PatientId,
    targets: &[SessionId],
) {
    lines.extend(targets.iter().map(|session| Line {
        request: Some(hex(entry.0)),
        patient: Some(hex(patient.0)),
        session: Some(session.0),
        ..line.clone()
    }));
}

fn add_claims(lines: &mut Vec<Line>, line: &Line, claims: &[Claim]) {
    lines.extend(claims.iter().enumerate().map(|(index, claim)| Line {
        session: Some(claim.session.0),
        slot: Some(claim.slot.0),
        count: Some(claim.count.into()),
        pool: Some(claim.pool.0),
        claim: Some(index + 1),
        claims: Some(claims.len()),
        ..line.clone()
    }));
}

fn add_session(lines: &mut Vec<Line>, line: &Line, fact: &SessionOpened) {
    let Session { id, organization, pools, .. } = &fact.session;
    let line = Line {
        session: Some(id.0),
        organization: Some(organization.0),
        request: Some(hex(fact.request.0)),
        ..line.clone()
    };
    for (pool, number) in pools.iter().zip(0_u8..) {
        add_quotas(lines, &line, number, &pool.quotas);
    }
}

/// A line for each run of slots with the same places.
fn add_quotas(lines: &mut Vec<Line>, line: &Line, pool: u8, quotas: &[u16]) {
    let mut slot = 0_u16;
    for run in quotas.chunk_by(|left, right| left == right) {
        let count = u16::try_from(run.len()).expect("a session has at most 288 slots");
        lines.push(Line {
            slot: Some(slot),
            count: Some(count),
            pool: Some(pool),
            places: run.first().copied(),
            ..line.clone()
        });
        slot += count;
    }
}

fn of_request(line: Line, request: RequestId, status: AppointmentStatus) -> Line {
    Line { request: Some(hex(request.0)), status: Some(status.code()), ..line }
}

fn hex(id: u128) -> String {
    format!("{id:032x}")
}

#[cfg(test)]
#[path = "lines/tests.rs"]
mod tests;

//! What the scene of the waitlist showed: each freed place, followed through the journal.
//!
//! ```text
//! freed --offered--> accepted
//!               `--> declined, or lapsed = freed --offered--> the next
//! ```
//!
//! **Architecture invariant:** who was offered what, and when, is read from the journal after the kill; it
//! has to agree with what the patients were told.

use std::collections::BTreeSet;

use serde::Serialize;

use super::table::{Table, count};
use super::waitlist::{OFFER_MILLIS, PLACES, Played, SESSION};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::model::{Cause, Claim, Ended, Fact, PatientId, RequestId, Timestamp, WaitEnd};

/// What the journal says of the session of the scene.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Slots whose only place is taken.
    taken: BTreeSet<u16>,
    freed: Vec<FreedPlace>,
    offers: Vec<OfferedPlace>,
    /// Entries that wait and have no offer.
    waiting: BTreeSet<RequestId>,
    /// Places that somebody else got while somebody waited.
    overtaken: u32,
    /// Places that were taken while they were taken.
    twice: u32,
    /// Places that nobody had, and that went back to everybody.
    returned: u32,
}

#[derive(Clone, Copy, Debug)]
struct FreedPlace {
    slot: u16,
    at: Timestamp,
    cause: Cause,
    /// Whether somebody was offered it, or it went back to everybody.
    is_settled: bool,
}

#[derive(Clone, Copy, Debug)]
struct OfferedPlace {
    slot: u16,
    entry: RequestId,
    patient: PatientId,
    /// What freed it, and how long before, in milliseconds.
    of: Option<(Cause, u64)>,
    end: Option<WaitEnd>,
}

impl Seen {
    /// Takes the next fact.
    pub(super) fn add(&mut self, time: Timestamp, fact: &Fact) {
        match fact {
            Fact::Held(held) => {
                let slots = slots(&held.claims);
                slots.for_each(|slot| {
                    self.overtaken += u32::from(!self.waiting.is_empty());
                    self.take(slot);
                });
            }
            Fact::PlaceOffered(offered) => {
                self.waiting.remove(&offered.entry);
                let (entry, patient) = (offered.entry, offered.held.patient);
                for slot in slots(&offered.held.claims) {
                    let of = self.settle(slot);
                    let of = of.map(|it| (it.cause, time.as_millis() - it.at.as_millis()));
                    self.offers.push(OfferedPlace { slot, entry, patient, of, end: None });
                    self.take(slot);
                }
            }
            Fact::Ended(ended) => self.free(time, ended),
            Fact::Freed(freed) => self.free(time, &freed.ended),
            Fact::Returned(fact) if fact.session == SESSION => {
                for place in &fact.places {
                    self.settle(place.slot.0);
                    self.returned += u32::from(place.count);
                }
            }
            Fact::WaitJoined(joined) if joined.targets.contains(&SESSION) => {
                self.waiting.insert(joined.entry.entry);
            }
            Fact::WaitLeft(left) if left.targets.contains(&SESSION) => {
                self.waiting.remove(&left.entry);
                let offer = self.offers.iter_mut().find(|offer| offer.entry == left.entry);
                if let Some(offer) = offer {
                    offer.end = Some(left.why);
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, slot: u16) {
        self.twice += u32::from(!self.taken.insert(slot));
    }

    fn free(&mut self, at: Timestamp, ended: &Ended) {
        for slot in slots(&ended.claims) {
            self.taken.remove(&slot);
            let cause = ended.cause;
            self.freed.push(FreedPlace { slot, at, cause, is_settled: false });
        }
    }

    /// The place that was freed last in a slot goes somewhere.
    fn settle(&mut self, slot: u16) -> Option<FreedPlace> {
        let mut open = self.freed.iter_mut().rev();
        let place = open.find(|place| place.slot == slot && !place.is_settled)?;
        place.is_settled = true;
        Some(*place)
    }
}

/// What the scene showed.
#[derive(Debug, Serialize)]
pub(super) struct WaitlistReport {
    places: u32,
    booked_first: u32,
    joined: u32,
    cancelled: u32,
    offers: Vec<OfferReport>,
    accepted: u32,
    declined: u32,
    lapsed: u32,
    still_waiting: u32,
    /// Booked at the end.
    taken: u32,
    /// Places that went back to everybody, or are on their way.
    given_back: u32,
    overtaken: u32,
    script_people: u32,
    script_tries: u32,
    script_refused: u32,
    script_got: u32,
    longest_until_offer_ms: u64,
    offer_lasts_ms: u32,
    /// Whether all of it is as it must be.
    holds: bool,
}

/// One offer.
#[derive(Debug, Serialize)]
struct OfferReport {
    place: u32,
    freed_by: &'static str,
    after_ms: u64,
    position: u32,
    answer: &'static str,
}

impl WaitlistReport {
    /// Follows each place, and compares with what people were told.
    pub(super) fn new(played: &Played, seen: &Seen) -> (Self, Vec<String>) {
        let ended = |why| count(seen.offers.iter().filter(|it| it.end == Some(why)).count());
        let offers: Vec<_> =
            seen.offers.iter().map(|offer| OfferReport::new(played, offer)).collect();
        let mut report = Self {
            places: u32::from(PLACES),
            booked_first: played.booked_first,
            joined: count(played.positions.len()),
            cancelled: count(seen.freed.iter().filter(|it| it.cause == Cause::Cancelled).count()),
            accepted: ended(WaitEnd::Accepted),
            declined: ended(WaitEnd::Declined),
            lapsed: ended(WaitEnd::Lapsed),
            still_waiting: count(seen.waiting.len()),
            taken: count(seen.taken.len()),
            given_back: count(seen.freed.iter().filter(|it| !it.is_settled).count())
                + seen.returned,
            overtaken: seen.overtaken,
            script_people: played.scripts.people,
            script_tries: played.scripts.tries,
            script_refused: played.scripts.refused,
            script_got: played.scripts.got,
            longest_until_offer_ms: offers.iter().map(|it| it.after_ms).max().unwrap_or_default(),
            offer_lasts_ms: OFFER_MILLIS,
            holds: false,
            offers,
        };
        let faults = report.faults(played, seen);
        report.holds = faults.is_empty();
        (report, faults)
    }

    fn faults(&self, played: &Played, seen: &Seen) -> Vec<String> {
        let offers = count(self.offers.len());
        let answers = self.accepted + self.declined + self.lapsed;
        let in_order = (1..).zip(&self.offers).all(|(next, offer)| offer.position == next);
        let kept = self.booked_first.saturating_sub(self.cancelled);
        let told = (played.cancelled, played.accepted, played.declined, played.lapsed);
        let rules = [
            (seen.twice == 0, "a place was given twice"),
            (self.booked_first == self.places, "the session was not full"),
            (seen.offers.iter().all(|it| it.of.is_some()), "a place was offered that nobody freed"),
            (in_order, "a place was not offered to the first who waited"),
            (answers == offers, "an offer has no end"),
            (self.overtaken == 0, "somebody who did not wait got a place before those who did"),
            (
                self.given_back == 0 || self.still_waiting == 0,
                "a freed place was offered to nobody although somebody waited",
            ),
            (
                self.cancelled + self.declined + self.lapsed == offers + self.given_back,
                "a freed place is not accounted for",
            ),
            (self.taken == kept + self.accepted + self.script_got, "the places do not add up"),
            (
                self.joined == offers + self.still_waiting,
                "somebody who waited is not accounted for",
            ),
            (
                told == (self.cancelled, self.accepted, self.declined, self.lapsed),
                "patients were told something else than what the journal says",
            ),
            (
                self.script_tries == self.script_refused + self.script_got,
                "a script got no clear answer",
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, what)| format!("the waitlist: {what}")).collect()
    }

    /// Tells it.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        output.line("2. A WAITLIST (候补)")?;
        output.line(format_args!(
            "   A session is full: {} of {} places are booked. {} more patients wait, in an order by lot.",
            self.booked_first, self.places, self.joined
        ))?;
        output.line(format_args!(
            "   {} of those who booked cancel. {} scripts ask for any place the whole time.",
            self.cancelled, self.script_people
        ))?;
        output.line("")?;
        let mut table = Table::new(&[true, false, true, true, false]);
        table.row(&["place", "freed because", "offered after", "to who waits as", "the patient"]);
        for OfferReport { place, freed_by, after_ms, position, answer } in &self.offers {
            let (after, position) = (format!("{after_ms} ms"), format!("no. {position}"));
            table.row(&[&place.to_string(), reason(freed_by), &after, &position, told(answer)]);
        }
        table.print(output)?;
        output.line("")?;
        self.print_sums(output)?;
        output.line("")?;
        if self.holds {
            output.line(format_args!(
                "   => Each freed place went to the first who waited, after {} ms at most. {} tries of scripts",
                self.longest_until_offer_ms, self.script_tries
            ))?;
            output.line(format_args!("      got {} places.", self.script_got))?;
        } else {
            output.line("   => This did not go as it must: see the faults below.")?;
        }
        output.line("")
    }

    fn print_sums(&self, output: &mut Output) -> Result<(), Failure> {
        let mut sums = Table::new(&[false, true]);
        let mut sum = |what: &str, value: u32| sums.row(&[what, &value.to_string()]);
        sum("appointments cancelled", self.cancelled);
        sum("offers made", count(self.offers.len()));
        sum("   accepted and booked", self.accepted);
        sum("   declined, so that the next was asked", self.declined);
        sum("   not answered in time, so that the next was asked", self.lapsed);
        sum("freed places for which nobody waited any more", self.given_back);
        sum("patients who still wait", self.still_waiting);
        sum("tries of scripts that were refused", self.script_refused);
        sum("places that somebody got past those who waited", self.overtaken);
        sum("places booked at the end", self.taken);
        sums.print(output)?;
        output.line(format_args!(
            "   Who is offered a place has {} ms to answer here; in a hospital minutes to a day.",
            self.offer_lasts_ms
        ))
    }
}

impl OfferReport {
    fn new(played: &Played, offer: &OfferedPlace) -> Self {
        Self {
            place: u32::from(offer.slot) + 1,
            freed_by: offer.of.map_or("nothing", |(cause, _)| match cause {
                Cause::Cancelled => "cancelled",
                Cause::Released => "declined",
                Cause::Expired => "lapsed",
                Cause::None | Cause::Displaced | Cause::NotDrawn => "other",
            }),
            after_ms: offer.of.map_or(0, |(_, millis)| millis),
            position: played.positions.get(&offer.patient).copied().unwrap_or_default(),
            answer: offer.end.map_or("none", WaitEnd::name),
        }
    }
}

/// Why a place was free, in words.
fn reason(freed_by: &str) -> &str {
    match freed_by {
        "cancelled" => "a patient cancelled",
        "declined" => "declined by the one before",
        "lapsed" => "not answered by the one before",
        other => other,
    }
}

/// What somebody did with an offer, in words.
fn told(answer: &str) -> &str {
    match answer {
        "accepted" => "accepted and booked",
        "lapsed" => "did not answer in time",
        other => other,
    }
}

/// The slots of the scene's session among claims.
fn slots(claims: &[Claim]) -> impl Iterator<Item = u16> {
    let here = claims.iter().filter(|claim| claim.session == SESSION);
    here.flat_map(|claim| (claim.slot.0..).take(claim.count.into()))
}

#[cfg(test)]
mod tests;

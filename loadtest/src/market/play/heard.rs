//! What the platform tells people by messages: won, offered, lapsed. It is in the node's feed.
//!
//! **Architecture invariant:** the feed brings what is durable, so what it tells is in the account as an answer
//! is.

use haoyuan::model::{AppointmentStatus as Status, Cause, Ended, Fact, PlaceOffered};

use super::Play;
use super::quest::State;
use crate::market::account::Told;
use crate::market::openings::of_session;

impl Play {
    /// The platform tells people what came of their entries, their waits and their holds.
    pub(crate) fn hear(&mut self, fact: &Fact, now: u64) {
        match fact {
            Fact::DrawWon(won) => {
                let Some(quest) = self.by_appointment.get(&won.appointment.0).copied() else {
                    return;
                };
                self.tell_place(quest, won.appointment.0, won.until.as_millis(), now);
            }
            Fact::PlaceOffered(offered) => {
                let Some(quest) = self.offered_to(offered) else { return };
                let id = offered.held.appointment.0;
                self.by_appointment.insert(id, quest);
                self.quests[quest as usize].appointment = id;
                self.tell_place(quest, id, offered.held.until.as_millis(), now);
            }
            Fact::EntryEnded(ended) => {
                let quest = self.by_appointment.get(&ended.appointment.0).copied();
                let is_own = |quest: &u32| self.quests[*quest as usize].state == State::Entered;
                if let Some(quest) = quest.filter(is_own) {
                    self.lapsed(quest, now);
                }
            }
            Fact::Ended(ended) => self.hear_end(ended, now),
            Fact::Freed(freed) => self.hear_end(&freed.ended, now),
            _ => {}
        }
    }

    fn hear_end(&mut self, ended: &Ended, now: u64) {
        let quest = self.by_appointment.get(&ended.appointment.0).copied();
        if let Some(quest) = quest.filter(|_| ended.cause == Cause::Expired)
            && self.quests[quest as usize].appointment == ended.appointment.0
            && self.quests[quest as usize].state == State::Held
        {
            self.lapsed(quest, now);
        }
    }

    fn offered_to(&self, offered: &PlaceOffered) -> Option<u32> {
        let person = self.minds.crowd.of_patient(offered.held.patient.0)?;
        let opening = of_session(offered.held.claims.first()?.session.0)?;
        self.by_wish.get(&(person, opening)).copied()
    }

    fn tell_place(&mut self, quest: u32, appointment: u128, until: u64, now: u64) {
        let wish = &self.quests[quest as usize];
        let told = Told {
            person: wish.past.person,
            opening: wish.opening,
            status: Status::Pending,
            until,
        };
        self.account.note(appointment, told);
        self.tally.told_places += 1;
        self.held(quest, until, false, now);
    }
}

//! What takes several steps: draws, waitlists, blocks, queues. Kills fall between the steps.
//!
//! ```text
//! act: open a session of its own --> enter | join, cancel | block | check in, call --> acknowledged
//! after the restart: everything acknowledged again --> a retry, or it was lost; draws come to an end
//! ```
//!
//! **Architecture invariant:** it judges by answers only. That the steps fit each other is for the audit
//! of the folder to say.

use haoyuan::client::{CallError, Client, ids};
use haoyuan::model::{
    Action, AddPlace, AppointmentId, Attendance, Attributes, BlockSession, BookingChannel,
    CallNext, Change, ClaimRequest, Command, Delay, Draw, DrawId, Hold, JoinWaitlist, LateRule,
    OpenSession, PatientClass, PatientId, PaymentRef, PoolIndex, RequestId, Reschedule, ResourceId,
    ReturnRule, Role, Session, SessionId, SessionTerms, SlotChoice, SlotIndex, Substitute,
    Timestamp, Ttl, WaitlistRule,
};
use haoyuan::protocol::{Reply, Request};
use tokio::sync::watch;

use super::session;
use crate::clock;
use crate::random::Random;

/// One client of each role that the acts need.
pub(super) struct Cast {
    pub(super) admin: Client,
    pub(super) gateway: Client,
    pub(super) practitioner: Client,
}

/// Everything that was acknowledged, and the draws that must come to an end.
#[derive(Debug)]
pub(super) struct Stage {
    random: Random,
    acknowledged: Vec<(Role, Command)>,
    /// Draws, and when their entries end.
    draws: Vec<(DrawId, Timestamp)>,
    pub(super) retried: u64,
}

/// The node died in the middle of an act.
struct Died;

type Fault = String;

impl Cast {
    const fn client(&self, role: Role) -> &Client {
        match role {
            Role::Admin => &self.admin,
            Role::Practitioner => &self.practitioner,
            _ => &self.gateway,
        }
    }
}

impl Stage {
    pub(super) const fn new(random: Random) -> Self {
        Self { random, acknowledged: Vec::new(), draws: Vec::new(), retried: 0 }
    }

    /// Plays one act after the other until the node is dead.
    pub(super) async fn play(&mut self, cast: &Cast, mut dead: watch::Receiver<bool>) {
        let acts = async {
            loop {
                let act = match self.random.below(4) {
                    0 => self.draw(cast).await,
                    1 => self.wait(cast).await,
                    2 => self.block(cast).await,
                    _ => self.queue(cast).await,
                };
                if act.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            _ = dead.changed() => {}
            () = acts => {}
        }
    }

    /// Asks everything again that was acknowledged, and waits for the draws that are due.
    ///
    /// # Errors
    ///
    /// In words, what was lost or never came to an end.
    pub(super) async fn verify(&mut self, cast: &Cast) -> Result<(), Fault> {
        for (role, command) in &self.acknowledged {
            let reply = cast.client(*role).call(&Request::from(command.clone())).await;
            match reply {
                Ok(Reply::Receipt(receipt)) if receipt.retried => self.retried += 1,
                other => return Err(format!("LOST: {command:?} was done, and is now {other:?}")),
            }
        }
        let now = clock::wall();
        let (due, later): (Vec<_>, Vec<_>) = self.draws.iter().partition(|draw| draw.1 < now);
        for (draw, _) in due {
            self.await_end(cast, draw).await?;
        }
        self.draws = later;
        Ok(())
    }

    async fn await_end(&self, cast: &Cast, draw: DrawId) -> Result<(), Fault> {
        for _ in 0..DRAW_LOOKS {
            match cast.admin.draw(draw, None, None, BookingChannel::default()).await {
                Ok(reading) if reading.revealed.is_some() && reading.waiting == 0 => return Ok(()),
                Ok(_) => clock::linger().await,
                Err(error) => return Err(format!("LOST: the draw {draw} cannot be read: {error}")),
            }
        }
        Err(format!("THE DRAW {draw} never came to an end"))
    }

    /// More people than places enter a draw; who is not drawn waits on.
    async fn draw(&mut self, cast: &Cast) -> Result<(), Died> {
        let now = clock::wall();
        let closes = now.plus_millis(150 + u64::from(self.random.below(300)));
        let draw =
            Draw { closes, preferences_max: 3, ttl: Ttl::DEFAULT, beacon: None, commitment: None };
        let id = self
            .open(cast, |session| {
                session.terms = waiting(now);
                session.pools[0].quotas = vec![1; 4];
                session.pools[0].terms.opens = now.plus_millis(40);
                session.pools[0].terms.draw = Some(draw);
            })
            .await?;
        self.draws.push((DrawId { session: id, pool: PoolIndex(0) }, closes));
        for _ in 0..12 {
            let hold = self.hold(id, None);
            let _done = self.ask(cast, Role::Gateway, Command::Hold(hold)).await?;
        }
        Ok(())
    }

    /// A full session, some who wait, and somebody who cancels.
    async fn wait(&mut self, cast: &Cast) -> Result<(), Died> {
        let now = clock::wall();
        let id = self
            .open(cast, |session| {
                session.terms = waiting(now);
                session.pools[0].quotas = vec![1; 3];
            })
            .await?;
        let mut booked = Vec::new();
        for _ in 0..3 {
            booked.extend(self.book(cast, id).await?);
        }
        for _ in 0..4 {
            let join = JoinWaitlist {
                request: new_request(),
                patient: self.patient(),
                account: None,
                channel: BookingChannel::default(),
                class: PatientClass::Outpatient,
                attributes: Attributes::default(),
                earliest: Timestamp::default(),
                latest: Timestamp::MAX,
                targets: std::iter::once(id).collect(),
            };
            let _done =
                self.ask(cast, Role::Gateway, Command::JoinWaitlist(Box::new(join))).await?;
        }
        for appointment in booked.into_iter().take(2) {
            self.change(cast, Role::Gateway, appointment, Action::Cancel).await?;
        }
        Ok(())
    }

    /// A booked session is blocked; one is moved, one added, and another resource comes.
    async fn block(&mut self, cast: &Cast) -> Result<(), Died> {
        let offer = Some(Ttl::DEFAULT);
        let id = self.open(cast, |session| session.terms.displaced_offer = offer).await?;
        let mut booked = Vec::new();
        for _ in 0..8 {
            booked.extend(self.book(cast, id).await?);
        }
        let substitute = Substitute {
            request: new_request(),
            session: id,
            resource: ResourceId(7),
            reason: 1,
            by: None,
        };
        let _done = self.ask(cast, Role::Admin, Command::Substitute(substitute)).await?;
        let add = AddPlace {
            appointment: ids::new_appointment_id(clock::wall()),
            patient: self.patient(),
            session: id,
            slot: SlotIndex(0),
            channel: BookingChannel::default(),
            class: PatientClass::Outpatient,
            payment: None,
            reason: 1,
            by: None,
        };
        let _done = self.ask(cast, Role::Practitioner, Command::AddPlace(add)).await?;
        let block = BlockSession {
            request: new_request(),
            session: id,
            first: SlotIndex(0),
            count: 2,
            is_blocked: true,
            reason: 1,
            by: None,
        };
        let _done = self.ask(cast, Role::Admin, Command::BlockSession(block)).await?;
        if let Some(appointment) = booked.first() {
            let away = Reschedule {
                request: new_request(),
                appointment: *appointment,
                patient: None,
                channel: BookingChannel::default(),
                claims: std::iter::once(wish(id)).collect(),
            };
            let _done = self.ask(cast, Role::Gateway, Command::Reschedule(Box::new(away))).await?;
        }
        Ok(())
    }

    /// Some check in and are called.
    async fn queue(&mut self, cast: &Cast) -> Result<(), Died> {
        let day = 24 * 3_600_000;
        let attendance = Attendance {
            check_in_from: day,
            pick_up_until: None,
            grace: day,
            late_until: day,
            late: LateRule::EndOfSegment,
        };
        let id = self.open(cast, |session| session.terms.attendance = Some(attendance)).await?;
        for _ in 0..4 {
            if let Some(appointment) = self.book(cast, id).await? {
                self.change(cast, Role::Practitioner, appointment, Action::CheckIn).await?;
            }
        }
        for _ in 0..3 {
            let call = CallNext { request: new_request(), session: id };
            let _done = self.ask(cast, Role::Practitioner, Command::CallNext(call)).await?;
        }
        Ok(())
    }

    async fn open(
        &mut self,
        cast: &Cast,
        adjust: impl FnOnce(&mut Session),
    ) -> Result<SessionId, Died> {
        let mut session = session(SessionId(self.random.next()));
        adjust(&mut session);
        let id = session.id;
        let open = OpenSession { request: new_request(), session };
        let _done = self.ask(cast, Role::Admin, Command::OpenSession(Box::new(open))).await?;
        Ok(id)
    }

    async fn book(&mut self, cast: &Cast, id: SessionId) -> Result<Option<AppointmentId>, Died> {
        let hold = self.hold(id, Some(PaymentRef(1)));
        let appointment = hold.appointment;
        let done = self.ask(cast, Role::Gateway, Command::Hold(hold)).await?;
        Ok(done.then_some(appointment))
    }

    async fn change(
        &mut self,
        cast: &Cast,
        role: Role,
        appointment: AppointmentId,
        action: Action,
    ) -> Result<(), Died> {
        let channel = BookingChannel::default();
        let change = Change { request: new_request(), appointment, patient: None, channel, action };
        let _done = self.ask(cast, role, Command::Change(change)).await?;
        Ok(())
    }

    /// Asks, and remembers what was acknowledged. Whether it was done.
    async fn ask(&mut self, cast: &Cast, role: Role, command: Command) -> Result<bool, Died> {
        match cast.client(role).call(&Request::from(command.clone())).await {
            Ok(Reply::Receipt(_)) => {
                self.acknowledged.push((role, command));
                Ok(true)
            }
            Err(CallError::Unavailable(_)) => Err(Died),
            Ok(_) | Err(_) => Ok(false),
        }
    }

    fn hold(&mut self, session: SessionId, book: Option<PaymentRef>) -> Hold {
        Hold {
            book,
            ..Hold::of(ids::new_appointment_id(clock::wall()), self.patient(), [wish(session)])
        }
    }

    fn patient(&mut self) -> PatientId {
        PatientId(u128::from(self.random.next()))
    }
}

fn wish(session: SessionId) -> ClaimRequest {
    ClaimRequest { session, count: 1, slots: SlotChoice::Any }
}

fn new_request() -> RequestId {
    ids::new_request_id(clock::wall())
}

/// Freed places go to who waits; offers outlive the run.
fn waiting(now: Timestamp) -> SessionTerms {
    let delay = Delay { min_millis: 50, max_millis: 500 };
    let rule = WaitlistRule {
        entries_max: 100,
        priority: [0; PatientClass::COUNT],
        draw_millis: 100,
        offer_millis: 3_600_000,
        near_offer_millis: 3_600_000,
        near_millis: 0,
        hours: None,
        closes_at: now.plus_millis(6 * 3_600_000),
    };
    let (returns, waitlist) = (ReturnRule::WaitlistFirst(delay), Some(Box::new(rule)));
    SessionTerms { returns, waitlist, ..SessionTerms::default() }
}

/// Looks at a draw that is due: a start has to find it, and a tick to make it.
const DRAW_LOOKS: u32 = 500;

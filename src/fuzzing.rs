//! Doors to what the command line reads and to the naive model, for the fuzz targets in `tests/fuzz`.
//!
//! The same source files as in `cli` and in the tests of the engine, built without the rest of the
//! node. Built under `--cfg fuzzing` only.

#[path = "cli/lines.rs"]
mod lines;
#[path = "engine/tests/naive.rs"]
mod naive;
#[path = "cli/replay/plan.rs"]
mod plan;
#[path = "cli/replay/rows.rs"]
mod rows;

use crate::model::{
    Actor, AppointmentId, Command, Facts, Hold, Outcome, PatientId, Receipt, Refusal, Sequence,
    SessionId, Timestamp,
};

/// What a table of appointments came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Lines that can be replayed.
    pub rows: usize,
    /// Lines that cannot.
    pub rejected: usize,
    /// Times of the steps, in their order; none, where a day has too many appointments.
    pub steps: Vec<Timestamp>,
    /// Sessions that are opened.
    pub sessions: usize,
}

/// Reads a table of appointments and plans its replay.
pub fn table(bytes: &[u8]) -> Option<Table> {
    let table = rows::read(bytes).ok()?;
    let (rows, rejected) = (table.rows.len(), table.rejected.len());
    let plan = plan::plan(table.rows).ok();
    let sessions = plan.as_ref().map_or(0, |plan| plan.sessions.len());
    if let Some(plan) = &plan {
        assert_eq!(plan.rows.len(), rows, "no row is lost");
        assert_eq!(plan.session_of.len(), rows, "every row has its session");
        assert!(plan.sessions.iter().all(|session| session.check().is_ok()), "sessions are sound");
    }
    let steps =
        plan.map_or_else(Vec::new, |plan| plan.steps.iter().map(|step| step.time).collect());
    Some(Table { rows, rejected, steps, sessions })
}

/// The lines of records, for people and for programs.
pub fn lines(records: &[(Sequence, Timestamp, Facts)]) -> Vec<String> {
    let mut enricher = lines::Enricher::default();
    let of = |(sequence, time, facts): &(Sequence, Timestamp, Facts)| {
        let lines = enricher.lines(*sequence, *time, facts);
        lines.iter().map(lines::Line::for_people).collect::<Vec<_>>()
    };
    records.iter().flat_map(of).collect()
}

/// The naive model of the rules.
#[derive(Default)]
pub struct Naive(naive::Naive);

impl std::fmt::Debug for Naive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Naive")
    }
}

impl Naive {
    /// A refusal as the model has it, which does not say why of every rule.
    pub fn in_its_words(refusal: Refusal) -> Refusal {
        naive::unexplained(refusal)
    }

    /// Carries a command out, or refuses it.
    pub fn run(
        &mut self,
        now: Timestamp,
        actor: &Actor,
        command: &Command,
    ) -> Result<Receipt, Refusal> {
        self.0.now = now;
        self.0.run(actor, command)
    }

    /// Books a row of history, or remembers its refusal.
    pub fn import(
        &mut self,
        now: Timestamp,
        hold: &Hold,
    ) -> Result<Result<Receipt, Outcome>, Refusal> {
        self.0.now = now;
        self.0.import(hold)
    }

    /// Ends the holds whose deadline has passed.
    pub fn expire(&mut self, now: Timestamp) -> Vec<AppointmentId> {
        self.0.now = now;
        self.0.expire()
    }

    /// Does what is due in sessions.
    pub fn step_sessions(&mut self, now: Timestamp) {
        self.0.now = now;
        self.0.step_sessions();
    }

    /// Taken places of a cell.
    pub fn taken(&self, session: SessionId, slot: u16, pool: u8) -> u16 {
        self.0.taken(session, slot, pool)
    }

    /// Every line of every ledger, sorted.
    pub fn ledger(&self) -> Vec<(PatientId, AppointmentId, SessionId)> {
        self.0.ledger()
    }
}

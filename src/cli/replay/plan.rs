//! The order of history: which step comes when, before anything is asked of the engine.
//!
//! ```text
//! rows by (ScheduledDay, line):      r1   r2   r3        r4 ...
//! settlement of day D at 00:00 D+1:            | s1 s2 |          before what is booked on D+1
//! a session opens right before its first row
//! ```
//!
//! **Architecture invariant:** pure. The same table gives the same steps, so that a run that was
//! broken off is continued where it stood.

use std::collections::BTreeMap;

use super::rows::{DAY_MILLIS, Row};
use crate::model::limits::QUOTA_MAX;
use crate::model::{
    ChannelSet, ClassSet, DepartmentId, OrganizationId, Pick, Pool, PoolTerms, Repeat, RequestId,
    ResourceId, Session, SessionId, SessionTerms, Sharing, SiteId, Timestamp, Ttl,
};

/// Something to do at a time of the virtual clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) time: Timestamp,
    pub(super) action: StepAction,
}

/// What to do. Numbers are positions in [`Plan::sessions`] and [`Plan::rows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepAction {
    /// Open the session.
    Open(usize),
    /// Hold and book the row.
    Book(usize),
    /// Close the row's appointment: it was kept, or not.
    Settle(usize),
}

/// A history, ready to be driven.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) sessions: Vec<Session>,
    pub(super) rows: Vec<Row>,
    /// For each row, the position of its session.
    pub(super) session_of: Vec<usize>,
    pub(super) steps: Vec<Step>,
}

/// A session that this engine cannot hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{neighbourhood} has {places} appointments on one day; a slot has at most {QUOTA_MAX} places"
)]
pub(super) struct TooManyPlaces {
    neighbourhood: String,
    places: usize,
}

/// Puts the rows of a table into the order in which they happened.
pub(super) fn plan(mut rows: Vec<Row>) -> Result<Plan, TooManyPlaces> {
    rows.sort_by_key(|row| (row.scheduled, row.line));
    let (sessions, session_of) = sessions_of(&rows)?;

    let mut settlements: Vec<(Timestamp, u64, usize)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.scheduled < day_end(row))
        .map(|(index, row)| (day_end(row), row.line, index))
        .collect();
    settlements.sort_unstable();
    let mut settlements = settlements.into_iter().peekable();

    let mut opened = vec![false; sessions.len()];
    let mut steps = Vec::with_capacity(2 * rows.len() + sessions.len());
    for (index, row) in rows.iter().enumerate() {
        while let Some((time, _, due)) = settlements.next_if(|(time, _, _)| *time <= row.scheduled)
        {
            steps.push(Step { time, action: StepAction::Settle(due) });
        }
        let time = row.scheduled;
        let session = session_of[index];
        if !std::mem::replace(&mut opened[session], true) {
            steps.push(Step { time, action: StepAction::Open(session) });
        }
        steps.push(Step { time, action: StepAction::Book(index) });
    }
    let rest = settlements.map(|(time, _, due)| Step { time, action: StepAction::Settle(due) });
    steps.extend(rest);
    Ok(Plan { sessions, rows, session_of, steps })
}

/// The request that opens a session: the same for the same session, whenever the run.
pub(super) fn opening_request(session: &Session) -> RequestId {
    // Far enough back that no clock of the run calls it a future id.
    let time = session.start.minus_millis(OPENED_AHEAD_MILLIS);
    RequestId::from_parts(time, session.id.0.into())
}

type Sessions = (Vec<Session>, Vec<usize>);

fn sessions_of(rows: &[Row]) -> Result<Sessions, TooManyPlaces> {
    let mut positions: BTreeMap<(Timestamp, &str), usize> = BTreeMap::new();
    let mut places: Vec<(usize, &Row)> = Vec::new();
    let mut session_of = Vec::with_capacity(rows.len());
    for row in rows {
        let next = places.len();
        let position = *positions.entry((row.day, &row.neighbourhood)).or_insert(next);
        if position == next {
            places.push((0, row));
        }
        places[position].0 += 1;
        session_of.push(position);
    }
    let sessions: Result<Vec<Session>, TooManyPlaces> =
        places.into_iter().map(|(places, row)| session(row, places)).collect();
    Ok((sessions?, session_of))
}

/// One slot of 24 hours for a neighbourhood and a day, with a place for every row.
fn session(row: &Row, places: usize) -> Result<Session, TooManyPlaces> {
    let quota = u16::try_from(places).ok().filter(|quota| *quota <= QUOTA_MAX);
    let neighbourhood = &row.neighbourhood;
    let quota =
        quota.ok_or_else(|| TooManyPlaces { neighbourhood: neighbourhood.clone(), places })?;
    let resource = hash_of(&format!("neighbourhood:{neighbourhood}"));
    Ok(Session {
        id: SessionId(hash_of(&format!("session:{}:{neighbourhood}", row.day.as_millis()))),
        organization: OrganizationId(1),
        site: SiteId(1),
        department: DepartmentId(1),
        resource: ResourceId(resource),
        appointment_type: 0,
        start: row.day,
        slot_millis: SLOT_MILLIS,
        pick: Pick::Earliest,
        repeat: Repeat::Unlimited,
        sharing: Sharing::Cancel,
        ttl_max: Ttl::DEFAULT,
        terms: SessionTerms::default(),
        pools: vec![Pool {
            channels: ChannelSet::ALL,
            classes: ClassSet::ALL,
            quotas: vec![quota],
            terms: PoolTerms::default(),
        }],
    })
}

const fn day_end(row: &Row) -> Timestamp {
    row.day.plus_millis(DAY_MILLIS)
}

fn hash_of(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    // 53 bits, so that every reader of JSON tells the ids apart.
    u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes")) >> 11
}

/// The day of [`DAY_MILLIS`], as a session says it.
const SLOT_MILLIS: u32 = 24 * 60 * 60 * 1_000;

const _: () = assert!(SLOT_MILLIS as u64 == DAY_MILLIS);

/// Ten years: nobody books further ahead.
const OPENED_AHEAD_MILLIS: u64 = 3_653 * DAY_MILLIS;

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::*;

    const HEADER: &str =
        "PatientId,AppointmentID,ScheduledDay,AppointmentDay,Neighbourhood,No-show";

    /// Rows of `id scheduled day neighbourhood`; steps as `time action`, days of April 2016.
    fn check(script: &str, expected: &str) {
        let mut text = vec![HEADER.to_owned()];
        for row in script.lines().map(str::trim).filter(|row| !row.is_empty()) {
            let cells: Vec<&str> = row.split_whitespace().collect();
            let (id, scheduled, day, place) = (cells[0], cells[1], cells[2], cells[3]);
            text.push(format!("p,{id},2016-04-{scheduled}Z,2016-04-{day},{place},No"));
        }
        let text = text.join("\n");
        let table = rows::read(text.as_bytes()).unwrap();
        assert_eq!(table.rejected, []);
        let plan = plan(table.rows).unwrap();
        let number = |row: usize| plan.rows[row].appointment.0 & 0xffff;
        let found: Vec<String> = plan
            .steps
            .iter()
            .map(|step| {
                let time =
                    jiff::Timestamp::from_millisecond(step.time.as_millis().cast_signed()).unwrap();
                let time = time.strftime("%dT%H:%M");
                match step.action {
                    StepAction::Open(session) => {
                        let places = plan.sessions[session].pools[0].quotas[0];
                        format!("{time} open {places}")
                    }
                    StepAction::Book(row) => format!("{time} book {}", number(row)),
                    StepAction::Settle(row) => format!("{time} settle {}", number(row)),
                }
            })
            .collect();
        let expected: Vec<&str> =
            expected.lines().map(str::trim).filter(|step| !step.is_empty()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_come_in_order_of_time_and_line() {
        check(
            "
            3 02T09:00 05 A
            1 01T09:00 05 A
            2 01T09:00 05 B
            ",
            "
            01T09:00 open 2
            01T09:00 book 1
            01T09:00 open 1
            01T09:00 book 2
            02T09:00 book 3
            06T00:00 settle 3
            06T00:00 settle 1
            06T00:00 settle 2
            ",
        );
    }

    #[test]
    fn a_day_is_settled_after_its_last_booking_and_before_the_next_days_first() {
        check(
            "
            1 01T23:59:59.999 01 A
            2 02T00:00 02 A
            3 01T10:00 03 A
            4 02T00:01 03 A
            ",
            "
            01T10:00 open 2
            01T10:00 book 3
            01T23:59 open 1
            01T23:59 book 1
            02T00:00 settle 1
            02T00:00 open 1
            02T00:00 book 2
            02T00:01 book 4
            03T00:00 settle 2
            04T00:00 settle 3
            04T00:00 settle 4
            ",
        );
    }

    #[test]
    fn a_row_that_was_scheduled_after_its_day_is_asked_for_and_never_settled() {
        check(
            "
            1 02T00:00 01 A
            2 01T12:00 01 A
            ",
            "
            01T12:00 open 2
            01T12:00 book 2
            02T00:00 settle 2
            02T00:00 book 1
            ",
        );
    }

    #[test]
    fn a_session_with_more_places_than_a_slot_has_is_an_error() {
        let row = Row {
            line: 2,
            appointment: crate::model::AppointmentId(1),
            patient: crate::model::PatientId(1),
            scheduled: Timestamp::from_millis(5),
            day: Timestamp::from_millis(0),
            neighbourhood: "A".to_owned(),
            came: true,
        };
        let error = plan(vec![row; 10_001]).unwrap_err();
        assert!(error.to_string().starts_with("A has 10001 appointments on one day"), "{error}");
    }
}

//! `haoyuan ctl quotas`: shows how the places of a session are shared, and shares them anew.
//!
//! **Architecture invariant:** what is asked for follows from what the node has just said, so that a
//! change of the same cell by somebody else in between is refused or seen, never overwritten unseen:
//! the node refuses what goes below what is taken or another sum in a slot.

use clap::Args;

use super::{Connection, Failure, Output, fresh_id, told};
use crate::client::Client;
use crate::model::{Role, SessionId, SessionReading, SetQuotas};

/// Show how the places of a session are shared among its pools, or move some
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  haoyuan ctl quotas 1001                       show them
  haoyuan ctl quotas 1001 --move 0:1=2          two places of every slot from pool 0 to pool 1
  haoyuan ctl quotas 1001 --move 0:1=2 --slot 3,4")]
pub(super) struct QuotasTask {
    /// The session
    #[arg(value_parser = super::ids::session)]
    session: SessionId,
    /// Move places: FROM:TO=PLACES, in every slot; again for more moves
    #[arg(long = "move", value_name = "FROM:TO=PLACES", value_parser = parse_move)]
    moves: Vec<Move>,
    /// Only in these slots
    #[arg(long, value_delimiter = ',', requires = "moves")]
    slot: Vec<u16>,
}

/// Places from one pool to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Move {
    from: usize,
    to: usize,
    places: u16,
}

fn parse_move(text: &str) -> Result<Move, String> {
    let parts = text.split_once('=').and_then(|(pools, places)| {
        let (from, to) = pools.split_once(':')?;
        Some(Move { from: from.parse().ok()?, to: to.parse().ok()?, places: places.parse().ok()? })
    });
    parts
        .filter(|it| it.from != it.to && it.places != 0)
        .ok_or_else(|| "a move is FROM:TO=PLACES, for example 0:1=2".to_owned())
}

/// Runs the command.
pub(super) fn run(connection: &Connection, task: &QuotasTask, json: bool) -> Result<(), Failure> {
    connection.run(Role::Admin, async |client| {
        let reading = told(client.session(task.session).await, json)?;
        let reading = if task.moves.is_empty() {
            reading
        } else {
            let quotas = moved(&reading, task)?;
            set(&client, task.session, quotas, json).await?
        };
        show(&reading, json)
    })
}

async fn set(
    client: &Client,
    session: SessionId,
    quotas: Vec<Vec<u16>>,
    json: bool,
) -> Result<SessionReading, Failure> {
    let set = SetQuotas { request: fresh_id(), session, quotas };
    told(client.set_quotas(set).await, json)?;
    told(client.session(session).await, json)
}

/// The quotas after the moves.
fn moved(reading: &SessionReading, task: &QuotasTask) -> Result<Vec<Vec<u16>>, Failure> {
    let pools = &reading.session.pools;
    let mut quotas: Vec<Vec<u16>> = pools.iter().map(|pool| pool.quotas.clone()).collect();
    let slots = reading.session.slot_count();
    let wanted: Vec<usize> = match task.slot.as_slice() {
        [] => (0..slots).collect(),
        some => some.iter().map(|slot| usize::from(*slot)).collect(),
    };
    let usage = |what: String| Failure::usage(what, "`haoyuan ctl quotas SESSION` shows them");
    for Move { from, to, places } in &task.moves {
        if quotas.len() <= *from.max(to) {
            return Err(usage(format!("the session has pools 0 to {}", quotas.len() - 1)));
        }
        for slot in &wanted {
            if slots <= *slot {
                return Err(usage(format!("the session has slots 0 to {}", slots - 1)));
            }
            let left = quotas[*from][*slot].checked_sub(*places);
            let left = left.ok_or_else(|| {
                usage(format!("pool {from} has fewer than {places} places in slot {slot}"))
            })?;
            quotas[*from][*slot] = left;
            quotas[*to][*slot] = quotas[*to][*slot].saturating_add(*places);
        }
    }
    Ok(quotas)
}

fn show(reading: &SessionReading, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    let pools = &reading.session.pools;
    let taken = |slot: usize, pool: usize| {
        reading.taken.get(slot * pools.len() + pool).copied().unwrap_or_default()
    };
    if json {
        let pools: Vec<_> = pools
            .iter()
            .enumerate()
            .map(|(index, pool)| {
                let taken: Vec<u16> =
                    (0..pool.quotas.len()).map(|slot| taken(slot, index)).collect();
                serde_json::json!({
                    "pool": index, "places": pool.quotas, "taken": taken, "floor": pool.terms.floor,
                })
            })
            .collect();
        let session = reading.session.id.0;
        return output
            .json(&serde_json::json!({ "session": session, "pools": pools }))
            .and_then(|()| output.flush());
    }
    let heads: Vec<String> =
        (0..pools.len()).map(|pool| format!("{:>12}", format!("pool {pool}"))).collect();
    output.line(format_args!("slot {}   (taken of places)", heads.concat()))?;
    for slot in 0..reading.session.slot_count() {
        let cells: Vec<String> = pools
            .iter()
            .enumerate()
            .map(|(index, pool)| {
                format!("{:>12}", format!("{} of {}", taken(slot, index), pool.quotas[slot]))
            })
            .collect();
        output.line(format_args!("{slot:>4} {}", cells.concat()))?;
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_names_two_pools_and_some_places() {
        assert_eq!(parse_move("0:1=2"), Ok(Move { from: 0, to: 1, places: 2 }));
        for wrong in ["0:0=1", "0:1=0", "0:1", "1=2", "a:b=c", "0:1=70000"] {
            assert!(parse_move(wrong).is_err(), "{wrong}");
        }
    }
}

//! Before a peer is measured it shows that it does what is measured: a small life of a few holds.
//!
//! **Architecture invariant:** a peer that answers one step otherwise is not measured. What a lean
//! script leaves out is not asked of it.

use super::drive::{Account, Ask, Client};
use crate::supply::Supply;
use crate::{Failure, clock};

/// Two slots of one place, in sessions that no run uses.
const FIRST: u64 = 1 << 40;

/// Who asks for what: an id, a patient, a slot.
type Who = (u128, u128, u16);

const A: Who = (101, 1, 0);
const A_OTHER: Who = (101, 2, 0);
const A_SECOND: Who = (102, 1, 1);
const B: Who = (103, 2, 0);
const DUE: Who = (104, 3, 1);
const AFTER: Who = (105, 4, 1);
const RESTRICTED: Who = (106, 5, 1);
const LIMITED: Who = (107, 6, 1);
const NOWHERE: Who = (108, 7, 9);

enum Step {
    Hold,
    /// A hold that is due already.
    HoldDue,
    /// A hold by somebody who may have none.
    HoldLimited,
    Book,
    Cancel,
}

/// What is asked, by whom, what is answered, and whether a lean script knows it.
#[rustfmt::skip]
const LIFE: [(Step, Who, u16, bool); 19] = [
    (Step::Hold,        A,          0,   true),
    (Step::Hold,        A,          1,   false),
    (Step::Hold,        A_OTHER,    400, false),
    (Step::Hold,        B,          405, true),
    (Step::Hold,        A_SECOND,   500, false),
    (Step::Hold,        RESTRICTED, 510, false),
    (Step::HoldLimited, LIMITED,    511, false),
    (Step::Hold,        NOWHERE,    403, false),
    (Step::Book,        A,          0,   true),
    (Step::Book,        A,          1,   true),
    (Step::Book,        B,          600, true),
    (Step::Cancel,      A,          0,   true),
    (Step::Cancel,      A,          1,   true),
    (Step::Hold,        B,          0,   true),
    (Step::HoldDue,     DUE,        0,   true),
    (Step::Book,        DUE,        602, true),
    (Step::Cancel,      NOWHERE,    600, true),
    (Step::Book,        B,          0,   true),
    (Step::Cancel,      B,          0,   true),
];

/// Goes through the life, lets what is due expire, and counts the places.
pub(super) async fn prove<C: Client>(client: &mut C, is_lean: bool) -> Result<(), Failure> {
    let supply = Supply { first: FIRST, ..Supply::new(1, 2, 1) };
    client.open(&supply).await?;
    client.restrict(RESTRICTED.1).await?;
    let now = clock::wall().as_millis();
    for (number, (step, who, expected, is_for_lean)) in LIFE.iter().enumerate() {
        if is_lean && !is_for_lean {
            continue;
        }
        let (id, patient, slot) = *who;
        let mut ask = Ask {
            id,
            patient,
            account: patient,
            session: FIRST,
            slot,
            deadline: now + 60_000,
            most: 5,
        };
        let code = match step {
            Step::Hold => client.hold(&ask).await?,
            Step::HoldDue => {
                ask.deadline = now;
                client.hold(&ask).await?
            }
            Step::HoldLimited => {
                ask.most = 0;
                client.hold(&ask).await?
            }
            Step::Book => client.book(&ask, now).await?,
            Step::Cancel => client.cancel(&ask).await?,
        };
        if code != *expected {
            return Err(format!("step {number} was answered {code}, not {expected}").into());
        }
    }
    let (id, patient, slot) = AFTER;
    let last = Ask {
        id,
        patient,
        account: patient,
        session: FIRST,
        slot,
        deadline: now + 60_000,
        most: 5,
    };
    let before = client.hold(&last).await?;
    let ended = client.expire(now).await?;
    let after = client.hold(&last).await?;
    let ends = client.cancel(&last).await?;
    let account = client.account(&supply).await?;
    let found = (before, ended, after, ends, account);
    if found == (405, 1, 0, 0, Account { free: 2, live: 0 }) {
        Ok(())
    } else {
        Err(format!("expiry gave no place back: {found:?}").into())
    }
}

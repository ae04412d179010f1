//! A rule for a run: how many live appointments one patient may have.
//!
//! **Architecture invariant:** it is applied as an administrator would, and in force before anything
//! is measured.

use haoyuan::client::Lane;
use haoyuan::model::{
    ApplyRules, BookingLimit, CivilTime, Command, LimitKey, RequestId, RuleLayer, RuleMode, Rules,
    Timestamp,
};
use haoyuan::protocol::{Reply, Request};

use crate::pipeline::pipeline;
use crate::random::mix;
use crate::{Failure, clock};

/// Rules are announced so long before they are in force: a node asks for two seconds.
const LEAD_MILLIS: u64 = 3_000;

/// Puts the rule in force, in the role of an admin. Says from when on it is.
pub(super) async fn apply(lane: &mut Lane, most: u16) -> Result<Timestamp, Failure> {
    let now = clock::wall();
    let from = now.plus_millis(LEAD_MILLIS);
    let limit = BookingLimit { key: LimitKey::default(), most, mode: RuleMode::Enforce };
    let layer = RuleLayer { limits: vec![limit], ..RuleLayer::default() };
    let rules =
        Rules { from, civil: CivilTime::default(), layers: vec![layer], ..Rules::default() };
    let make = |_| {
        let request = RequestId::from_parts(now, u128::from(mix(now.as_millis())));
        let rules = rules.clone();
        Request::from(Command::ApplyRules(Box::new(ApplyRules { request, rules })))
    };
    let take = |_, reply| match reply {
        Reply::Receipt(_) => Ok(()),
        other => Err(format!("the limit was not applied: {other:?}").into()),
    };
    pipeline(lane, 1, make, take).await?;
    Ok(from)
}

//! Rules for a run: of a document, or how many live appointments one patient may have.
//!
//! **Architecture invariant:** they are applied as an administrator would, and in force before anything
//! is measured.

use std::path::Path;

use haoyuan::client::Lane;
use haoyuan::model::{
    ApplyRules, BookingLimit, CivilTime, Command, LimitKey, RequestId, RuleLayer, RuleMode, Rules,
    Timestamp,
};
use haoyuan::ops::rules;
use haoyuan::ops::sessions::{DocumentDefaults, DocumentFormat};
use haoyuan::protocol::{Reply, Request};

use super::Options;
use crate::pipeline::pipeline;
use crate::random::mix;
use crate::{Failure, clock};

/// Rules are announced so long before they are in force: a node asks for two seconds.
const LEAD_MILLIS: u64 = 3_000;

/// What the options ask for.
pub(super) fn asked_for(options: &Options) -> Result<Option<Rules>, Failure> {
    if let Some(file) = &options.rules {
        return Ok(Some(read(file)?));
    }
    Ok(options.limit.map(|most| {
        let limit = BookingLimit { key: LimitKey::default(), most, mode: RuleMode::Enforce };
        let layer = RuleLayer { limits: vec![limit], ..RuleLayer::default() };
        Rules { civil: CivilTime::default(), layers: vec![layer], ..Rules::default() }
    }))
}

/// The same from an instant soon on.
pub(super) fn soon(rules: Rules) -> Rules {
    Rules { from: clock::wall().plus_millis(LEAD_MILLIS), ..rules }
}

/// Of rules, what they say of whom an account may have, and nothing else: under them nobody has a past.
pub(super) fn of_persons(rules: &Rules) -> Rules {
    let layers = rules.layers.iter().map(|layer| RuleLayer {
        scope: layer.scope,
        when: layer.when,
        persons: layer.persons.clone(),
        ..RuleLayer::default()
    });
    Rules { layers: layers.collect(), ..rules.clone() }
}

fn read(file: &Path) -> Result<Rules, Failure> {
    let name = file.to_string_lossy();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let format = DocumentFormat::of(&name)
        .ok_or_else(|| format!("{name}: a document of rules ends with .toml or .json"))?;
    let document = rules::read(&name, &text, format, &DocumentDefaults::default())?;
    // A new node has nobody who would have to hear of it before.
    Ok(Rules { notice_days: 0, ..document.rules(Timestamp::default()) })
}

/// Puts rules in force, in the role of an admin.
pub(super) async fn apply(lane: &mut Lane, rules: &Rules) -> Result<(), Failure> {
    let now = clock::wall();
    let make = |_| {
        let request = RequestId::from_parts(now, u128::from(mix(now.as_millis())));
        let rules = rules.clone();
        Request::from(Command::ApplyRules(Box::new(ApplyRules { request, rules })))
    };
    let take = |_, reply| match reply {
        Reply::Receipt(_) => Ok(()),
        other => Err(format!("the rules were not applied: {other:?}").into()),
    };
    pipeline(lane, 1, make, take).await
}

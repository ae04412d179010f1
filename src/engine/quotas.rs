//! Decides how the places of a session are shared out among its pools.
//!
//! ```text
//! set      every cell anew: taken <= quota, floor <= pool, sum of each slot not less than before
//! reclaim  the unused places of a pool to another one, at the time that the session says
//! ```

use super::drawing::pending;
use super::session::SessionState;
use super::view::{Context, Decision, View};
use crate::model::limits::QUOTA_MAX;
use crate::model::{
    Fact, Facts, Outcome, PoolIndex, QuotasSet, Reclaimed, Refusal, Session, SetQuotas, SlotIndex,
    Timestamp,
};

/// Decides new quotas of a session (调整配额).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_quotas(
    view: &View<'_>,
    context: &Context<'_>,
    set: &SetQuotas,
) -> Result<Decision, Refusal> {
    let fingerprint = set.fingerprint();
    if let Some(retry) = view.repeated(context.now, set.request, fingerprint)? {
        return Ok(retry);
    }
    let session = view.permitted(context, set.session)?;
    if !fits(session, &set.quotas) {
        return Err(Outcome::QuotasInvalid.into());
    }
    // Its places were counted when it was revealed.
    if let Some(state) = session.draws().iter().find(|state| state.is_drawing()) {
        return Err(pending(state, context));
    }

    let SetQuotas { request, session, quotas } = set.clone();
    let fact = QuotasSet { request, fingerprint, session, quotas };
    Ok(Decision::done(context.now, Fact::QuotasSet(Box::new(fact))))
}

/// Decides what time does to a session: which unused places go back to another pool (回收).
/// `None` where nothing is due.
pub(super) fn decide_reclaim(session: &SessionState, now: Timestamp) -> Option<Facts> {
    let spec = session.spec();
    let due = |(index, pool): (u8, &crate::model::Pool)| {
        let from = PoolIndex(index);
        let reclaim = pool.terms.reclaim.filter(|reclaim| reclaim.at <= now)?;
        let all = pool.quotas.iter().map(|quota| u32::from(*quota)).sum::<u32>();
        let most = all.saturating_sub(pool.terms.floor);
        (!session.is_undrawn(from)).then_some((from, reclaim.to, most))
    };
    let (from, to, mut most) = (0..).zip(&spec.pools).find_map(due)?;
    // The earliest go first: what the floor keeps can then be used the longest.
    let unused = session.slots().map(|slot| session.free(slot, from));
    let places = unused.map(|free| {
        let goes = free.min(u16::try_from(most).unwrap_or(u16::MAX));
        most = most.saturating_sub(goes.into());
        goes
    });
    let places = places.collect();
    let reclaimed = Reclaimed { session: spec.id, from, to, places };
    Some(std::iter::once(Fact::Reclaimed(Box::new(reclaimed))).collect())
}

/// Whether quotas fit a session as it stands.
fn fits(session: &SessionState, quotas: &[Vec<u16>]) -> bool {
    let spec = session.spec();
    let shape = quotas.len() == spec.pools.len()
        && quotas.iter().all(|pool| pool.len() == spec.slot_count());
    if !shape || quotas.iter().flatten().any(|quota| QUOTA_MAX < *quota) {
        return false;
    }
    let floors = quotas.iter().zip(&spec.pools).all(|(pool, old)| {
        old.terms.floor <= pool.iter().map(|quota| u32::from(*quota)).sum::<u32>()
    });
    let taken = session.cells().all(|(SlotIndex(slot), PoolIndex(pool), taken)| {
        let quota = quotas.get(usize::from(pool)).and_then(|pool| pool.get(usize::from(slot)));
        quota.is_some_and(|quota| taken <= *quota)
    });
    floors && taken && keeps_sums(spec, quotas)
}

/// Whether every slot has as many places under new quotas, over all pools, as it has now.
pub(super) fn keeps_sums(spec: &Session, quotas: &[Vec<u16>]) -> bool {
    (0..spec.slot_count()).all(|slot| {
        let of = |quotas: &[u16]| quotas.get(slot).map_or(0, |quota| u32::from(*quota));
        let before: u32 = spec.pools.iter().map(|pool| of(&pool.quotas)).sum();
        let after: u32 = quotas.iter().map(|quotas| of(quotas)).sum();
        before == after
    })
}

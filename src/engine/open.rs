//! Decides the opening of a session.

use super::view::{Context, Decision, View};
use crate::model::{
    DrawId, Fact, OpenSession, Outcome, PoolIndex, Refusal, Session, SessionOpened,
};

/// Decides the opening of a session (放号).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_open(
    view: &View<'_>,
    context: &Context<'_>,
    open: &OpenSession,
) -> Result<Decision, Refusal> {
    let fingerprint = open.fingerprint();
    if let Some(retry) = view.repeated(context.now, open.request, fingerprint)? {
        return Ok(retry);
    }
    if !context.actor.may_touch(open.session.organization) {
        return Err(Outcome::OrganizationNotPermitted.into());
    }
    if view.session(open.session.id).is_some() {
        return Err(Outcome::SessionExists.into());
    }
    if open.session.check().is_err() {
        return Err(Outcome::SessionInvalid.into());
    }

    let (request, mut session) = (open.request, open.session.clone());
    bind(context, &mut session)?;
    let opened = SessionOpened { request, fingerprint, session };
    Ok(Decision::done(context.now, Fact::SessionOpened(Box::new(opened))))
}

/// Binds the node to the seeds of the session's draws. That is published before entries begin, so
/// they cannot begin now.
fn bind(context: &Context<'_>, session: &mut Session) -> Result<(), Refusal> {
    let id = session.id;
    for (index, pool) in (0..).map(PoolIndex).zip(&mut session.pools) {
        let opens = pool.terms.opens;
        let Some(draw) = &mut pool.terms.draw else { continue };
        if opens <= context.openings || draw.commitment.is_some() {
            return Err(Outcome::SessionInvalid.into());
        }
        let key = context.key.ok_or(Outcome::DrawKeyMissing)?;
        draw.commitment = Some(key.commitment(DrawId { session: id, pool: index }));
    }
    Ok(())
}

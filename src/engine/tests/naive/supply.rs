//! What is offered: sessions that are opened.

use super::Naive;
use super::draws::bound;
use super::words::lowest;
use crate::model::{Actor, Claims, OpenSession, Outcome, Receipt, Refusal};

impl Naive {
    pub(super) fn open(&mut self, actor: &Actor, open: &OpenSession) -> Result<Receipt, Refusal> {
        let receipt = |retried| Receipt {
            status: None,
            until: self.now,
            claims: Claims::new(),
            retried,
            appointment: None,
        };
        if self.opened.contains(open) {
            return Ok(receipt(true));
        }
        let mut refusals = Vec::new();
        if self.is_used(open.request) {
            refusals.push(Outcome::IdReused);
        }
        if !actor.may_touch(open.session.organization) {
            refusals.push(Outcome::OrganizationNotPermitted);
        }
        if self.session(open.session.id).is_some() {
            refusals.push(Outcome::SessionExists);
        }
        if open.session.check().is_err() || !self.can_draw(&open.session) {
            refusals.push(Outcome::SessionInvalid);
        }
        lowest(&refusals)?;
        let receipt = receipt(false);
        self.sessions.push(bound(open.session.clone()));
        self.opened.push(open.clone());
        Ok(receipt)
    }
}

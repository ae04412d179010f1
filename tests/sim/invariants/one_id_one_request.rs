//! An id stands for one request: no other one succeeds under it.

use std::collections::BTreeMap;

use haoyuan::model::RequestId;

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct OneIdOneRequest {
    did: BTreeMap<RequestId, u64>,
}

impl Invariant for OneIdOneRequest {
    fn name(&self) -> &'static str {
        "one_id_one_request"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        let Sight::Told { ask, reply } = sight else { return Ok(()) };
        let (Some((id, content)), Some(_)) = (ask.identity(), reply.receipt()) else {
            return Ok(());
        };
        let first = *self.did.entry(id).or_insert(content);
        ensure(first == content, || format!("{ask} used the id of another request: {reply}"))
    }
}

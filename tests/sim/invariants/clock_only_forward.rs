//! Records are numbered without a gap, and no record is earlier than the one before it, whatever the
//! machine's clock does, over restarts too.

use haoyuan::model::Timestamp;

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct ClockOnlyForward {
    sequence: u64,
    time: Timestamp,
}

impl Invariant for ClockOnlyForward {
    fn name(&self) -> &'static str {
        "clock_only_forward"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        ensure(record.sequence.0 == self.sequence + 1, || {
            format!("record {} follows {}", record.sequence.0, self.sequence)
        })?;
        ensure(self.time <= record.time, || {
            format!("{} comes after {}", record.time.as_millis(), self.time.as_millis())
        })?;
        (self.sequence, self.time) = (record.sequence.0, record.time);
        Ok(())
    }
}

//! The layout of a set of rules, with the notice that stricter ones need.
//!
//! ```text
//! rules   version u32, from u64, u8 n, n (u64 since, i16 minutes), u8 n, n entries
//! entry   a layer, whose first byte is the kind of its scope | 10, u16 days of notice, last
//! ```
//!
//! Rules without a notice have the layout of the first release that had rules.

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::model::limits::RULE_LAYERS_MAX;
use crate::model::{RuleKey, RuleLayer, Rules};

/// In the place of a kind of scope: no layer.
const NOTICE: u8 = RuleKey::Notice as u8;

impl Encode for Rules {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.version.encode(encoder)?;
        self.from.encode(encoder)?;
        self.civil.encode(encoder)?;
        let has_notice = self.notice_days != 0;
        let entries = self.layers.len().saturating_add(has_notice.into());
        let entries = u8::try_from(entries).map_err(|_| EncodeError::Other(TOO_MANY))?;
        entries.encode(encoder)?;
        self.layers.iter().try_for_each(|layer| layer.encode(encoder))?;
        if has_notice {
            NOTICE.encode(encoder)?;
            self.notice_days.encode(encoder)?;
        }
        Ok(())
    }
}

impl<Context> Decode<Context> for Rules {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (version, from) = (Decode::decode(decoder)?, Decode::decode(decoder)?);
        let civil = Decode::decode(decoder)?;
        let mut rules = Self { version, from, civil, notice_days: 0, layers: Vec::new() };
        let entries = u8::decode(decoder)?;
        if RULE_LAYERS_MAX < entries.into() {
            return Err(DecodeError::Other(TOO_MANY));
        }
        for _ in 0..entries {
            let first = decoder.reader().peek_read(1).and_then(|bytes| bytes.first());
            if first != Some(&NOTICE) {
                // A layer is large in memory and may be eleven bytes here: room is not doubled.
                if rules.layers.len() == rules.layers.capacity() {
                    rules.layers.reserve_exact(LAYERS_AT_ONCE);
                }
                rules.layers.push(RuleLayer::decode(decoder)?);
                continue;
            }
            let (_, days) = <(u8, u16)>::decode(decoder)?;
            if days == 0 || rules.notice_days != 0 {
                return Err(DecodeError::Other("a notice of no days, or twice"));
            }
            rules.notice_days = days;
        }
        Ok(rules)
    }
}

/// For how many layers more room is made at a time.
const LAYERS_AT_ONCE: usize = 8;

const TOO_MANY: &str = "more layers than rules have";

//! What tells two requests to put rules in force apart: a hash of everything that rules say.
//!
//! **Architecture invariant:** rules that say nothing about a key have the hash that they had before
//! there was that key, and those of every version repeat as they were asked for.

use super::{ApplyRules, RuleCondition, violations};
use crate::model::fingerprint::Fingerprint;
use crate::model::id::RulesVersion;
use crate::model::operation::Operation;

impl ApplyRules {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        let rules = &self.rules;
        let mut print = Fingerprint::new(Operation::ApplyRules as u64);
        print.add(rules.from.as_millis());
        // A request with a version is refused, and no repetition of one without.
        if rules.version != RulesVersion(0) {
            print.add(1 << 62 | u64::from(rules.version.0));
        }
        if rules.notice_days != 0 {
            print.add(u64::from(rules.notice_days));
        }
        for (since, minutes) in &rules.civil.0 {
            print.add(since.as_millis()).add(u64::from(minutes.cast_unsigned()));
        }
        for layer in &rules.layers {
            layer.scope.words().iter().for_each(|word| {
                print.add(*word);
            });
            let RuleCondition { classes, ages, on_file, first_visit, id_kinds } = layer.when;
            let bit = |said: Option<bool>| said.map_or(2, u64::from);
            print.add(u64::from(classes.0) | u64::from(ages.0) << 8 | u64::from(ages.1) << 16);
            print.add(bit(on_file) | bit(first_visit) << 2 | u64::from(id_kinds) << 4);
            if let Some(rule) = &layer.no_show {
                rule.fingerprint(&mut print);
            }
            layer.limits.iter().for_each(|limit| limit.fingerprint(&mut print));
            violations::fingerprint(&layer.violations, &mut print);
            if let Some(rule) = &layer.admission {
                rule.fingerprint(print.add(5));
            }
            if let Some(rule) = &layer.cancel {
                rule.fingerprint(&mut print);
            }
            if let Some(rule) = layer.payment {
                rule.fingerprint(&mut print);
            }
            if let Some(rule) = layer.holder {
                rule.fingerprint(&mut print);
            }
            if let Some(rule) = &layer.appeal {
                rule.fingerprint(&mut print);
            }
            layer.waitlist.iter().for_each(|limit| limit.fingerprint(&mut print));
            layer.cooldown.iter().for_each(|rule| rule.fingerprint(&mut print));
            if let Some(rule) = &layer.persons {
                rule.fingerprint(&mut print);
            }
            if let Some(rule) = &layer.probing {
                rule.fingerprint(&mut print);
            }
        }
        print.finish()
    }
}

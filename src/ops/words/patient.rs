//! What is kept of a patient, and what is allowed nevertheless.

use super::{Language, Words};
use crate::model::{
    Consequence, CountedStrike, Counter, ExplainedPatient, Restriction, RuleKey, RuleMode,
    Timestamp,
};

impl Words<'_> {
    /// What holds for a patient, what counts, and how near to a limit they are.
    pub fn patient(&self, told: &ExplainedPatient) -> Vec<String> {
        let mut applied = told.restrictions.iter().filter(|made| made.mode == RuleMode::Enforce);
        let mut lines: Vec<String> =
            applied.clone().flat_map(|made| self.restriction(made)).collect();
        let state = if applied.any(|made| made.consequence.refuses()) {
            ["You can still cancel appointments that you have.", "已有的预约仍然可以取消。"]
        } else {
            ["Nothing keeps you from booking.", "您可以正常预约。"]
        };
        lines.push(self.language.pick(state).to_owned());
        lines.extend(told.strikes.iter().filter(|it| it.counts).map(|it| self.strike(it)));
        lines.extend(told.counters.iter().filter_map(|counter| self.counter(counter)));
        lines
    }

    fn restriction(&self, made: &Restriction) -> Vec<String> {
        let what = match made.consequence {
            Consequence::Warn => ["You are warned until {until}.", "您已被提醒，有效期到{until}。"],
            Consequence::Lower(_) => [
                "On waitlists you come after others until {until}.",
                "候补排位靠后，到{until}为止。",
            ],
            Consequence::Refuse { .. } => {
                ["You cannot book until {until}.", "您在{until}之前不能预约。"]
            }
        };
        let since = self.time(self.civil.start_of(made.since));
        let count = made.count;
        let reason = match self.language {
            Language::English => {
                let visits = if count == 1 { "visit" } else { "visits" };
                format!("The reason: {count} missed {visits} since {since}.")
            }
            Language::Chinese => format!("原因：自{since}起爽约{count}次。"),
        };
        let mut lines = vec![self.of(what, made.until), reason];
        lines.push(self.language.pick(super::within(made.within.kind())).to_owned());
        if let Consequence::Refuse { but } = made.consequence {
            lines.extend(self.through(but));
        }
        lines
    }

    fn strike(&self, counted: &CountedStrike) -> String {
        let day = self.time(self.civil.start_of(counted.strike.day));
        match (self.language, counted.until == Timestamp::default()) {
            (Language::English, true) => format!("The visit missed on {day} counts."),
            (Language::Chinese, true) => format!("{day}的爽约计入次数。"),
            (Language::English, false) => {
                format!("The visit missed on {day} counts until {}.", self.time(counted.until))
            }
            (Language::Chinese, false) => {
                format!("{day}的爽约计入次数，到{}为止。", self.time(counted.until))
            }
        }
    }

    /// How near to a limit: only where one more, or one that is there, reaches it.
    fn counter(&self, counter: &Counter) -> Option<String> {
        let (count, limit) = (counter.why.count, counter.why.limit);
        if counter.why.key != RuleKey::NoShow || limit == 0 {
            return None;
        }
        Some(match self.language {
            Language::English => {
                format!("Missed visits that count now: {count}. At {limit} something follows.")
            }
            Language::Chinese => format!("目前计入的爽约：{count}次。满{limit}次会有处理。"),
        })
    }
}

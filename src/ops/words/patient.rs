//! What is kept of a patient, and what is allowed nevertheless.

use super::{Language, Words};
use crate::model::{
    ChannelSet, ClassSet, Consequence, CountedStrike, Counter, ExplainedPatient, KeptRestriction,
    Restriction, RestrictionCause, RestrictionState, RuleKey, RuleMode, Timestamp, Violation,
};

const APPEALED: [&str; 2] = [
    "You object to a restriction. It does not hold until that is decided, by {until} at the latest.",
    "您对一项限制提出了申诉。在有结果之前（最迟{until}）暂不执行。",
];
const SUSPENDED: [&str; 2] = [
    "A restriction is suspended: it does not hold until {until}.",
    "一项限制已暂停，到{until}为止不执行。",
];
const LIFTED: [&str; 2] = [
    "A restriction that would have lasted until {until} was lifted.",
    "原定到{until}的一项限制已解除。",
];

/// What was counted, and how often.
const fn violated(violation: Violation) -> [&'static str; 2] {
    match violation {
        Violation::Unpaid => [
            "The reason: places that were held and not paid for in time, counted {count} times since {since}.",
            "原因：自{since}起计{count}次，最后一次为占号后未按时支付。",
        ],
        Violation::Release => [
            "The reason: places that were held and given up, counted {count} times since {since}.",
            "原因：自{since}起计{count}次，最后一次为占号后放弃。",
        ],
        Violation::Cancel => [
            "The reason: appointments that were cancelled, counted {count} times since {since}.",
            "原因：自{since}起计{count}次，最后一次为取消预约。",
        ],
        Violation::SameDayCancel => [
            "The reason: appointments that were cancelled on their day, counted {count} times since {since}.",
            "原因：自{since}起计{count}次，最后一次为当日退号。",
        ],
        Violation::Booking => [
            "The reason: bookings, counted {count} times since {since}.",
            "原因：自{since}起计{count}次，最后一次为预约。",
        ],
        Violation::Probing => [
            "The reason: places that were not there were asked for again and again, counted {count} times since {since}.",
            "原因：自{since}起计{count}次，最后一次为频繁刷号。",
        ],
        Violation::Late => [
            "The reason: late visits, and what counts with them, {count} times since {since}.",
            "原因：自{since}起计{count}次，最后一次为迟到。",
        ],
        Violation::Missed => [
            "The reason: missed visits, and what counts with them, {count} times since {since}.",
            "原因：自{since}起计{count}次，最后一次为爽约。",
        ],
    }
}

const FEWER: [&str; 2] = [
    "Until {until} you may have no more appointments at a time than: {most}.",
    "在{until}之前，您同时持有的预约不能超过{most}个。",
];

impl Words<'_> {
    /// What holds for a patient, what counts, and how near to a limit they are.
    pub fn patient(&self, told: &ExplainedPatient) -> Vec<String> {
        let applied = || {
            let all = told.restrictions.iter();
            all.filter(|(_, kept)| kept.restriction.mode == RuleMode::Enforce)
        };
        let mut lines: Vec<String> =
            applied().flat_map(|(state, kept)| self.standing(*state, kept, told.at)).collect();
        let holds = |state: RestrictionState| state == RestrictionState::Holds;
        let limits = |kept: &KeptRestriction| kept.restriction.consequence.most().is_some();
        let waits = |counter: &Counter| counter.why.key == RuleKey::Cooldown;
        let state = if applied().any(|(state, kept)| holds(*state) && limits(kept)) {
            ["You can still cancel appointments that you have.", "已有的预约仍然可以取消。"]
        } else if told.counters.iter().any(waits) {
            ["Some places you cannot book yet:", "有些号您暂时不能预约："]
        } else {
            ["Nothing keeps you from booking.", "您可以正常预约。"]
        };
        lines.push(self.language.pick(state).to_owned());
        lines.extend(told.strikes.iter().filter(|it| it.counts).map(|it| self.strike(it)));
        lines.extend(told.counters.iter().filter_map(|counter| self.counter(counter)));
        lines
    }

    /// A restriction as it stands at an instant.
    fn standing(
        &self,
        state: RestrictionState,
        kept: &KeptRestriction,
        at: Timestamp,
    ) -> Vec<String> {
        let appeal = kept.open_appeal(at);
        let by = match state {
            RestrictionState::Holds => {
                let mut lines = self.restriction(&kept.restriction);
                lines.extend(appeal.map(|term| {
                    let texts = [
                        "Your objection is being looked at. It is decided by {until}.",
                        "您的申诉正在处理，最迟{until}有结果。",
                    ];
                    self.of(texts, term.due)
                }));
                return lines;
            }
            RestrictionState::Suspended => match appeal.filter(|term| term.is_suspending) {
                Some(term) => (APPEALED, term.due),
                None => (SUSPENDED, kept.suspended_until()),
            },
            RestrictionState::Lifted => (LIFTED, kept.restriction.until),
            RestrictionState::Ahead | RestrictionState::Over => return Vec::new(),
        };
        vec![self.of(by.0, by.1), self.reason(&kept.restriction)]
    }

    fn restriction(&self, made: &Restriction) -> Vec<String> {
        let what = match made.consequence {
            Consequence::Warn => ["You are warned until {until}.", "您已被提醒，有效期到{until}。"],
            Consequence::Lower(_) => [
                "On waitlists you come after others until {until}.",
                "候补排位靠后，到{until}为止。",
            ],
            Consequence::Refuse { .. } | Consequence::RefuseBut { .. } => {
                ["You cannot book until {until}.", "您在{until}之前不能预约。"]
            }
            Consequence::Fewer(_) => FEWER,
        };
        let first = self.of(what, made.until);
        let most = made.consequence.most().unwrap_or_default().to_string();
        let mut lines = vec![first.replace("{most}", &most), self.reason(made)];
        lines.push(self.language.pick(super::within(made.within.kind())).to_owned());
        match made.consequence {
            Consequence::Refuse { but } => lines.extend(self.through(but, true)),
            Consequence::RefuseBut { channels, classes } => {
                let but = [
                    "This does not hold for every kind of visit: ask the hospital.",
                    "部分类别的就诊不受限制，请询问医院。",
                ];
                if classes != ClassSet(0) && channels != ChannelSet(0) {
                    lines.push(self.language.pick(but).to_owned());
                }
            }
            Consequence::Warn | Consequence::Lower(_) | Consequence::Fewer(_) => {}
        }
        lines
    }

    fn reason(&self, made: &Restriction) -> String {
        if made.cause == RestrictionCause::Staff {
            let texts = [
                "The reason: staff of the hospital restricted you. They can tell you why.",
                "原因：由工作人员限制。可以向他们询问。",
            ];
            return self.language.pick(texts).to_owned();
        }
        let since = self.time(self.civil.start_of(made.since));
        let count = made.count;
        if let Some(violation) = made.cause.violation() {
            let texts = violated(violation);
            let text = self.language.pick(texts).replace("{count}", &count.to_string());
            return text.replace("{since}", &since);
        }
        match self.language {
            Language::English => {
                let visits = if count == 1 { "visit" } else { "visits" };
                format!("The reason: {count} missed {visits} since {since}.")
            }
            Language::Chinese => format!("原因：自{since}起爽约{count}次。"),
        }
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
        if counter.why.key == RuleKey::Cooldown {
            let gap = if self.language == Language::English { " " } else { "" };
            return Some(self.why(&counter.why).join(gap));
        }
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

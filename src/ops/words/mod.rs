//! What happened, in words for a patient, English and Chinese.
//!
//! ```text
//! outcome -> what was not done, what can be done     why -> what was counted, until when, where else
//! ```
//!
//! Short sentences in plain words: who reads them may be ill, old, or reading them to somebody.
//!
//! **Architecture invariant:** every figure in a sentence is one of the refusal's. Nothing is computed
//! here but local time.

mod patient;
mod refusals;
mod state;

use self::refusals::{COUNTED, FEWER, FEWER_NOW, PERSONS, REFUSALS};
use crate::model::{
    ChannelSet, CivilTime, Explained, ExplainedRequest, Outcome, RefusedRequest, RuleKey, RuleWhy,
    ScopeKind, Timestamp,
};

/// In which language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese (中文).
    Chinese,
}

/// In which words: the language, local time, and what channels are called.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    /// The language.
    pub language: Language,
    /// What a day is.
    pub civil: &'a CivilTime,
    /// The name of a booking channel, by number.
    pub channel: &'a dyn Fn(u8) -> String,
}

impl std::fmt::Debug for Words<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}", self.language)
    }
}

impl Language {
    /// The language with that code.
    pub fn of_code(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }

    fn pick(self, texts: [&'static str; 2]) -> &'static str {
        texts.get(self.index()).copied().unwrap_or_default()
    }
}

/// What a patient is told of an outcome. `None` where it refuses nothing.
pub fn sentence(language: Language, outcome: Outcome) -> Option<&'static str> {
    let (_, texts) = REFUSALS.iter().find(|(known, _)| *known == outcome)?;
    Some(language.pick(*texts))
}

impl Words<'_> {
    /// What a node knows of what was asked about.
    pub fn explained(&self, about: &Explained) -> Vec<String> {
        match about {
            Explained::Request(request) => self.request(request),
            Explained::Appointment(appointment) => self.appointment(appointment),
            Explained::Patient(patient) => self.patient(patient),
        }
    }

    fn request(&self, request: &ExplainedRequest) -> Vec<String> {
        let mut lines = request.refused.as_ref().map_or_else(Vec::new, |it| self.refused(it));
        lines
            .extend(request.declined.and_then(|it| sentence(self.language, it)).map(str::to_owned));
        if let Some(made) = &request.made {
            if !lines.is_empty() {
                let later = [
                    "It was asked again, and an appointment was made.",
                    "后来再次请求，已生成预约。",
                ];
                lines.push(self.language.pick(later).to_owned());
            }
            lines.extend(self.appointment(made));
        } else if request.is_done {
            let done = ["The request was carried out.", "请求已办理。"];
            lines.push(self.language.pick(done).to_owned());
        }
        if request.is_unknown() {
            let kept = request.kept;
            lines.push(match self.language {
                Language::English => format!(
                    "Nothing is known of it here: it never came, or its refusal is older than the last {kept}."
                ),
                Language::Chinese => {
                    format!("这里没有记录：请求没有到达，或早于最近{kept}次拒绝。")
                }
            });
        }
        lines
    }

    /// What came of a request that was refused.
    pub fn refused(&self, refused: &RefusedRequest) -> Vec<String> {
        let mut lines = vec![self.when(refused.at)];
        let told = sentence(self.language, refused.outcome);
        let fewer = refused.why.and_then(|why| why.fewer()).map(|_| self.language.pick(FEWER));
        lines.extend(fewer.or(told).map(str::to_owned));
        match &refused.why {
            Some(why) => lines.extend(self.why(why)),
            None if 0 < refused.retry_after_millis => {
                let until = refused.at.plus_millis(refused.retry_after_millis.into());
                lines.push(self.of(["Ask again from {until}.", "{until}起可以再试。"], until));
            }
            None => {}
        }
        lines
    }

    /// What a rule counted, until when it refuses, and through which channels it does not.
    pub fn why(&self, why: &RuleWhy) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((_, texts)) = COUNTED.iter().find(|(key, _)| *key == why.key) {
            let texts = if why.fewer().is_some() { &FEWER_NOW } else { texts };
            let [mut with, without] = *texts;
            if why.key == RuleKey::Persons {
                with = PERSONS.get(usize::from(why.rule.tier)).copied().unwrap_or(with);
            }
            let text = self.language.pick(if why.limit == 0 { without } else { with });
            lines.push(self.fill(text, why));
        }
        lines.push(self.language.pick(within(why.within)).to_owned());
        if why.until != Timestamp::default() {
            lines.push(self.of(
                [
                    "This ends on {until}. From then on you can ask again.",
                    "限制到{until}结束。从那时起可以再次办理。",
                ],
                why.until,
            ));
        }
        lines.extend(self.through(why.through, why.until != Timestamp::default()));
        lines
    }

    fn through(&self, channels: ChannelSet, ends: bool) -> Option<String> {
        if channels == ChannelSet::ALL || channels.0 == 0 {
            return None;
        }
        if CHANNELS_NAMED < channels.0.count_ones() {
            let text = [
                "It can be done in another way: ask at the hospital.",
                "可以换一种方式办理，请询问医院。",
            ];
            return Some(self.language.pick(text).to_owned());
        }
        let numbers = (0..64_u8).filter(|number| channels.0 >> number & 1 == 1);
        let names: Vec<String> = numbers.map(|number| (self.channel)(number)).collect();
        Some(match self.language {
            Language::English if ends => {
                format!("Until then you can book through: {}.", names.join(", "))
            }
            Language::Chinese if ends => {
                format!("在此之前可以通过以下渠道预约：{}。", names.join("、"))
            }
            Language::English => format!("It can be done through: {}.", names.join(", ")),
            Language::Chinese => format!("可以通过以下渠道办理：{}。", names.join("、")),
        })
    }

    fn when(&self, at: Timestamp) -> String {
        self.of(["Your request of {until} was refused.", "您{until}的请求没有办理。"], at)
    }

    fn fill(&self, text: &str, why: &RuleWhy) -> String {
        let one = self.language == Language::English && why.count == 1;
        let ones = |text: &str| {
            let plural = ["visit", "patient", "account"];
            plural.iter().fold(text.to_owned(), |text, word| {
                text.replace(&format!("{{count}} {word}s"), &format!("1 {word}"))
            })
        };
        let text = if one { ones(text) } else { text.to_owned() };
        text.replace("{count}", &why.count.to_string())
            .replace("{limit}", &why.limit.to_string())
            .replace("{since}", &self.time(why.since))
    }

    /// A text with one instant in it.
    fn of(&self, texts: [&'static str; 2], until: Timestamp) -> String {
        self.language.pick(texts).replace("{until}", &self.time(until))
    }

    /// An instant as people say it: a day, and the time where it is not the beginning of the day.
    pub fn time(&self, at: Timestamp) -> String {
        let (day, minute) = self.civil.clock_of(at);
        let date = day.date();
        let (hours, minutes) = (minute / 60, minute % 60);
        let clock = match (self.language, minute) {
            (_, 0) => String::new(),
            (Language::English, _) => format!(" at {hours:02}:{minutes:02}"),
            (Language::Chinese, _) => format!("{hours}:{minutes:02}"),
        };
        match self.language {
            Language::English => {
                let month =
                    usize::try_from(date.month() - 1).ok().and_then(|month| MONTHS.get(month));
                format!("{} {} {}{clock}", date.day(), month.unwrap_or(&""), date.year())
            }
            Language::Chinese => {
                format!("{}年{}月{}日{clock}", date.year(), date.month(), date.day())
            }
        }
    }
}

/// Where a rule holds.
const fn within(kind: ScopeKind) -> [&'static str; 2] {
    match kind {
        ScopeKind::Region => {
            ["This holds in all hospitals of the platform.", "适用于平台所有医院。"]
        }
        ScopeKind::Organization => ["This holds in this hospital.", "适用于这家医院。"],
        ScopeKind::Department => ["This holds in this department.", "适用于这个科室。"],
        ScopeKind::Schedule => ["This holds for this doctor.", "适用于这位医生。"],
        ScopeKind::Service => ["This holds for this service.", "适用于这个项目。"],
    }
}

/// More ways of booking are not told one by one.
const CHANNELS_NAMED: u32 = 8;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

#[cfg(test)]
mod tests;

//! Where an appointment stands, and who may do what next.

use super::{Language, Words};
use crate::model::{
    AppointmentStatus, Cause, ExplainedAppointment, NextStep, RulesVersion, Step, StepBy, Timestamp,
};

impl Words<'_> {
    /// Where an appointment stands, and what may be done next until when.
    pub fn appointment(&self, told: &ExplainedAppointment) -> Vec<String> {
        let ExplainedAppointment { appointment, start, steps } = told;
        let mut lines = Vec::new();
        if *start != Timestamp::default() {
            lines.push(self.of(["Your visit is on {until}.", "您的就诊时间是{until}。"], *start));
        }
        let state = if appointment.is_displaced() {
            ["The clinic was suspended, and you have no place now.", "门诊已停诊，您现在没有号。"]
        } else {
            stands(appointment.status, appointment.cause)
        };
        lines.push(self.language.pick(state).to_owned());
        lines.extend(steps.iter().filter(|step| step.by != StepBy::Staff).map(|it| self.step(it)));
        if appointment.rules != RulesVersion::default() {
            let version = appointment.rules.0;
            lines.push(match self.language {
                Language::English => format!("It was made under version {version} of the rules."),
                Language::Chinese => format!("预约时适用第{version}版规则。"),
            });
        }
        lines
    }

    fn step(&self, step: &NextStep) -> String {
        let what = self.language.pick(can(step.what));
        let none = Timestamp::default();
        let bound = match (step.from == none, step.until == none) {
            (true, true) => return format!("{what}{}", self.language.pick([".", "。"])),
            (true, false) => self.of([" until {until}.", "，截止到{until}。"], step.until),
            (false, true) => self.of([" from {until} on.", "，从{until}起。"], step.from),
            (false, false) => {
                let from = self.of([" from {until}", "，从{until}"], step.from);
                format!("{from}{}", self.of([" until {until}.", "到{until}。"], step.until))
            }
        };
        format!("{what}{bound}")
    }
}

const fn stands(status: AppointmentStatus, cause: Cause) -> [&'static str; 2] {
    use AppointmentStatus as S;
    match (status, cause) {
        (S::Waitlist, _) => {
            ["You take part in a draw. No place is yours yet.", "您已参加摇号，还没有得到号。"]
        }
        (S::Pending, _) => {
            ["A place is kept for you. It is not booked yet.", "号已为您锁定，还没有预约成功。"]
        }
        (S::Booked, _) => ["Your appointment is booked.", "您的预约已成功。"],
        (S::Arrived, _) => ["You have arrived and have your number.", "您已到院并取号。"],
        (S::CheckedIn, _) => ["You are in the queue.", "您已签到，正在候诊。"],
        (S::Fulfilled, _) => ["The visit took place.", "已就诊。"],
        (S::NoShow, _) => ["You did not come, and it was noted.", "您没有来就诊，已记爽约。"],
        (S::Cancelled, Cause::Released) => ["The place was given up.", "号已放弃。"],
        (S::Cancelled, Cause::Expired) => [
            "It was not confirmed in time, and the place was given back.",
            "没有按时确认，号已放回。",
        ],
        (S::Cancelled, Cause::Displaced) => {
            ["The clinic was suspended, and the place is gone.", "门诊已停诊，号已取消。"]
        }
        (S::Cancelled, Cause::NotDrawn) => ["You had no luck in the draw.", "这次摇号没有中签。"],
        (S::Cancelled, Cause::None | Cause::Cancelled) => ["It was cancelled.", "预约已取消。"],
    }
}

const fn can(step: Step) -> [&'static str; 2] {
    match step {
        Step::Book => ["You can confirm it", "您可以确认预约"],
        Step::Release => ["You can give it up", "您可以放弃"],
        Step::Cancel => ["You can cancel it", "您可以取消预约"],
        Step::Move => ["You can move it to another time", "您可以改期"],
        Step::Arrive => ["You can pick up your number", "您可以取号"],
        Step::CheckIn => ["You can check in", "您可以签到"],
        Step::Fulfil => ["The visit can take place", "可以就诊"],
        Step::NoShow => ["A missed visit can be noted", "可以记爽约"],
        Step::Expire => ["The place goes back by itself", "号会自动放回"],
        Step::Draw => ["The draw is still to be made", "等待摇号"],
    }
}

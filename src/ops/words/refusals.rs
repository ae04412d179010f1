//! What a patient is told of each refusal: what was not done, and what can be done now.

use crate::model::{Outcome, RuleKey};

/// Sentences for every outcome that refuses, in English and in Chinese. Where a rule refuses, what it
/// counted and until when is told behind them.
pub(super) const REFUSALS: &[(Outcome, [&str; 2])] = &[
    (Outcome::Malformed, APP),
    (Outcome::UnknownOperation, APP),
    (Outcome::RoleNotPermitted, DESK),
    (Outcome::ChannelNotPermitted, DESK),
    (Outcome::ClaimsInvalid, APP),
    (Outcome::ClaimsOverlap, APP),
    (
        Outcome::PatientMissing,
        [
            "The request did not say who the patient is. Choose the patient, and ask again.",
            "请求没有说明就诊人。请选择就诊人后再试。",
        ],
    ),
    (Outcome::Gone, APP),
    (Outcome::IdMalformed, APP),
    (
        Outcome::IdTooOld,
        [
            "The request came too late and was not carried out. Ask again.",
            "请求到得太晚，没有办理。请重新提交。",
        ],
    ),
    (
        Outcome::IdInFuture,
        [
            "The clock of the telephone or the app is wrong. Correct it, and ask again.",
            "手机或应用的时间不对。请校正时间后再试。",
        ],
    ),
    (
        Outcome::Overloaded,
        [
            "Too many people ask at this moment. Nothing was taken from you. Ask again a little later.",
            "此刻预约的人太多。您没有损失。请稍后再试。",
        ],
    ),
    (
        Outcome::NotReady,
        [
            "The booking system is just starting or stopping. Ask again in a minute.",
            "预约系统正在启动或停止。请一分钟后再试。",
        ],
    ),
    (
        Outcome::RateLimited,
        [
            "You asked too often in a short time. Wait a little, then ask again.",
            "您在短时间内操作太频繁。请稍等再试。",
        ],
    ),
    (Outcome::IdReused, APP),
    (
        Outcome::SessionNotFound,
        [
            "This clinic is not in the system, or no longer. Choose another one.",
            "系统里没有这次门诊，或已撤销。请另选一次门诊。",
        ],
    ),
    (Outcome::OrganizationNotPermitted, DESK),
    (
        Outcome::SlotNotFound,
        [
            "There is no such time in this clinic. Choose another time.",
            "这次门诊没有这个时段。请另选时段。",
        ],
    ),
    (
        Outcome::PoolNotFound,
        [
            "No places of this clinic are given out this way. Try another way of booking, or ask the hospital.",
            "这次门诊没有号源放在这个预约渠道。请换一个渠道，或询问医院。",
        ],
    ),
    (
        Outcome::SoldOut,
        [
            "No place is free. Choose another time, or join the waitlist if there is one.",
            "号已约满。请另选时间；有候补的可以加入候补。",
        ],
    ),
    (
        Outcome::SlotInPast,
        ["This time is over. Choose a later one.", "这个时段已经过去。请选更晚的时段。"],
    ),
    (
        Outcome::BookingClosed,
        [
            "Booking for this time has ended. Choose another time, or ask at the hospital.",
            "这个时段已停止预约。请另选时间，或到医院询问。",
        ],
    ),
    (
        Outcome::NotOpenYet,
        [
            "These places cannot be booked yet. Come back when they open.",
            "这些号还没有放出。请在放号后再来预约。",
        ],
    ),
    (
        Outcome::OutsideServiceHours,
        [
            "This way of booking is closed at this hour. Come back when it opens.",
            "这个渠道现在不在服务时间。请在开放时间再来。",
        ],
    ),
    (
        Outcome::SessionBlocked,
        ["This clinic is suspended. Choose another one.", "这次门诊已停诊。请另选一次门诊。"],
    ),
    (
        Outcome::AlreadyHasAppointment,
        [
            "You already have an appointment in this clinic. Keep it, or cancel it before you book another.",
            "您在这次门诊已经有预约。请保留它，或先取消再另约。",
        ],
    ),
    (
        Outcome::Restricted,
        [
            "You cannot book here for a time. You can still cancel appointments that you have.",
            "您暂时不能在这里预约。已有的预约仍然可以取消。",
        ],
    ),
    (
        Outcome::LimitReached,
        [
            "You may have no more appointments there and then. Keep those that you have, or choose another day or department.",
            "您在那个时间和地点的预约已达上限。请保留已有的预约，或另选日期或科室。",
        ],
    ),
    (
        Outcome::WaitLimit,
        [
            "You wait for as much as you may. Leave another waitlist first, or choose another time.",
            "您的候补数量已达上限。请先退出别的候补，或另选时间。",
        ],
    ),
    (
        Outcome::CoolingDown,
        [
            "A place was given up here not long ago. Wait until the time named below, then book again.",
            "不久前在这里放弃过一个号。请等到下面说明的时间再预约。",
        ],
    ),
    (
        Outcome::PersonLimit,
        [
            "This account or telephone cannot be used for one more person now. Use your own account, or ask at the hospital.",
            "此账号或手机号目前不能再为更多人办理。请使用本人的账号，或到医院询问。",
        ],
    ),
    (
        Outcome::AccountLimit,
        [
            "This account holds as many places for patients who are not named as it may. Name the patients, or give a place up.",
            "此账号未指定就诊人的锁号已达上限。请先指定就诊人，或放弃一个号。",
        ],
    ),
    (
        Outcome::AppointmentNotFound,
        [
            "There is no such appointment, or it is another person's. Look at the list of your appointments.",
            "没有这个预约，或不是您本人的。请查看您的预约列表。",
        ],
    ),
    (
        Outcome::ChannelNotShared,
        [
            "This appointment was made another way and can only be changed there.",
            "这个预约是从别的渠道办理的，只能在那里更改。",
        ],
    ),
    (
        Outcome::HoldExpired,
        [
            "The time to confirm is over, and the place was given back. You can book again.",
            "确认的时间已过，号已放回。您可以重新预约。",
        ],
    ),
    (
        Outcome::WrongStatus,
        [
            "This cannot be done with the appointment as it stands now. Look where it stands.",
            "预约现在的状态不能这样办理。请先查看预约状态。",
        ],
    ),
    (
        Outcome::TooEarly,
        ["It is too early for this. Come back later.", "现在还早。请晚一些再来办理。"],
    ),
    (
        Outcome::CancelTooLate,
        [
            "It is too late to cancel or move this visit here. Ask at the counter of the hospital.",
            "已过退号或改约的时限。请到医院窗口询问。",
        ],
    ),
    (
        Outcome::PaymentMissing,
        [
            "This visit is booked by paying for it. Pay, and it is booked.",
            "这次就诊需要先付费才能预约成功。请先付费。",
        ],
    ),
    (
        Outcome::PaymentKindRefused,
        [
            "This visit cannot be paid for in that way. Choose another way to pay.",
            "这次就诊不能用这种方式付费。请换一种付费方式。",
        ],
    ),
    (
        Outcome::PaymentRefundable,
        [
            "The payment came too late, and no place was booked. The money is owed back to you. You can book again.",
            "付费太晚，没有约到号。款项将退还给您。您可以重新预约。",
        ],
    ),
    (
        Outcome::PaymentKnown,
        [
            "This payment was taken before. Look at the list of your appointments.",
            "这笔付费已经办理过。请查看您的预约列表。",
        ],
    ),
    (
        Outcome::PatientNotNamed,
        [
            "The patient is not named yet. Choose the patient first.",
            "还没有指定就诊人。请先选择就诊人。",
        ],
    ),
    (
        Outcome::PatientNamed,
        [
            "The patient of this place is named already. To see somebody else, book another place.",
            "这个号已经指定了就诊人。为他人就诊请另约。",
        ],
    ),
    (
        Outcome::OrderRefused,
        [
            "The time to pay cannot be made longer. Pay now, or give the place up.",
            "付费时间不能再延长。请现在付费，或放弃这个号。",
        ],
    ),
    (Outcome::RefundNotDue, ["No such payment is owed back.", "没有这样一笔待退的款项。"]),
    (
        Outcome::TooManyPayments,
        [
            "This appointment has too many payments already. Ask at the hospital.",
            "这个预约的付费次数过多。请到医院询问。",
        ],
    ),
    (
        Outcome::TooManyChanges,
        [
            "This appointment was moved as often as it may be. Keep it, or cancel it and book again.",
            "这个预约改期的次数已用完。请保留它，或取消后重新预约。",
        ],
    ),
    (
        Outcome::TooLate,
        [
            "It is too late for this. Ask at the hospital's desk.",
            "已经太晚，不能办理。请到医院服务台询问。",
        ],
    ),
    (Outcome::NobodyWaiting, ["Nobody waits to be called.", "现在没有人候诊。"]),
    (Outcome::SessionExists, STAFF),
    (Outcome::SessionInvalid, STAFF),
    (Outcome::QuotasInvalid, STAFF),
    (
        Outcome::AppointmentDisplaced,
        [
            "The clinic of this appointment was suspended. Move the appointment to another time, or cancel it.",
            "这个预约的门诊已停诊。请改到别的时间，或取消预约。",
        ],
    ),
    (Outcome::TooManyAdded, STAFF),
    (
        Outcome::NotFull,
        [
            "A place is free that you can have now. Book it instead of waiting for one.",
            "现在还有号可约。请直接预约，不必候补。",
        ],
    ),
    (Outcome::AlreadyWaiting, ["You are on this waitlist already.", "您已经在候补名单里。"]),
    (
        Outcome::WaitlistClosed,
        [
            "This clinic has no waitlist, or it is closed. Choose another time.",
            "这次门诊没有候补，或候补已截止。请另选时间。",
        ],
    ),
    (
        Outcome::NotWaiting,
        [
            "You do not wait for this clinic; or a place was offered to you: accept it or give it up.",
            "您没有在候补；或者已有号留给您：请接受或放弃。",
        ],
    ),
    (
        Outcome::WaitlistFull,
        [
            "The waitlist is full, or you wait for as much as you may. Leave another waitlist, or come back later.",
            "候补已满，或您候补的数量已到上限。请先退出别的候补，或稍后再来。",
        ],
    ),
    (
        Outcome::DrawPending,
        [
            "Entries have ended, and the places are being drawn. Come back in a little while.",
            "登记已结束，正在摇号。请过一会儿再来。",
        ],
    ),
    (
        Outcome::EntryInvalid,
        [
            "These places are given out by a draw. Choose one clinic and a few times in it.",
            "这些号通过摇号发放。请只选一次门诊，并选少量时段。",
        ],
    ),
    (
        Outcome::DrawFull,
        ["The draw takes no more entries. Choose another time.", "摇号登记已满。请另选时间。"],
    ),
    (Outcome::DrawNotFound, ["There is no such draw.", "没有这次摇号。"]),
    (Outcome::BeaconNotAwaited, STAFF),
    (Outcome::BeaconInvalid, STAFF),
    (Outcome::DrawKeyMissing, STAFF),
    (Outcome::RulesInvalid, STAFF),
    (Outcome::RulesTooSoon, STAFF),
    (Outcome::RulesNeedNotice, STAFF),
    (Outcome::RestrictionInvalid, KEPT),
    (
        Outcome::RestrictionNotFound,
        [
            "There is no such restriction, or it is another person's. Look at the list of yours.",
            "没有这项限制，或不是您本人的。请查看您的限制记录。",
        ],
    ),
    (
        Outcome::RestrictionOver,
        [
            "The restriction is over, or it was lifted. Nothing needs to be done.",
            "这项限制已结束或已解除。不需要再办理。",
        ],
    ),
    (Outcome::AmendmentInvalid, KEPT),
    (
        Outcome::NoAppeal,
        [
            "This restriction cannot be objected to here. Ask at the hospital's desk.",
            "这项限制不能在这里申诉。请到医院服务台询问。",
        ],
    ),
    (
        Outcome::AppealedAlready,
        [
            "You have objected already, as often as can be. Wait for the answer, or ask at the hospital.",
            "您已提出过申诉，次数已用完。请等待结果，或到医院询问。",
        ],
    ),
    (Outcome::AlreadyMerged, KEPT),
    (Outcome::MergeTooLarge, KEPT),
];

/// What a rule has counted, by what it is about: with the number that it names, and without.
/// `{count}`, `{limit}` and `{since}` are its figures.
pub(super) const COUNTED: &[(RuleKey, [[&str; 2]; 2])] = &[
    (
        RuleKey::NoShow,
        [
            [
                "You missed {count} visits since {since}. From {limit} on, booking stops for a time.",
                "自{since}起，您已爽约{count}次。满{limit}次即暂停预约。",
            ],
            ["You missed {count} visits since {since}.", "自{since}起，您已爽约{count}次。"],
        ],
    ),
    (
        RuleKey::Limits,
        [
            [
                "You have {count} appointments that count here. The limit is {limit}.",
                "您在此范围内已有{count}个预约。上限是{limit}个。",
            ],
            ["You have {count} appointments that count here.", "您在此范围内已有{count}个预约。"],
        ],
    ),
    (
        RuleKey::Violations,
        [
            [
                "Since {since}, {count} holds, cancellations or bookings counted against you. From {limit} on, booking stops for a time.",
                "自{since}起，占号、退号或预约已计{count}次。满{limit}次即暂停预约。",
            ],
            [
                "Since {since}, {count} holds, cancellations or bookings counted against you.",
                "自{since}起，占号、退号或预约已计{count}次。",
            ],
        ],
    ),
    (RuleKey::Cooldown, [COOLDOWN, COOLDOWN]),
    (
        RuleKey::Rates,
        [
            [
                "There were {count} requests. The limit is {limit}.",
                "已操作{count}次。上限是{limit}次。",
            ],
            ["There were {count} requests.", "已操作{count}次。"],
        ],
    ),
    (RuleKey::Cancel, [CANCEL, CANCEL]),
    (
        RuleKey::Payment,
        [
            [
                "The time to pay was moved {count} times. The limit is {limit}.",
                "付款时间已延长{count}次。上限是{limit}次。",
            ],
            PAYMENT,
        ],
    ),
    (
        RuleKey::Holder,
        [
            [
                "This account has {count} of {limit} patients or places that it may have.",
                "此账号名下已有{count}个，上限是{limit}个。",
            ],
            ["This account may not do this for this patient.", "此账号不能为该就诊人办理。"],
        ],
    ),
    (RuleKey::Appeal, [APPEAL, APPEAL]),
    (RuleKey::Notice, [NOTICE, NOTICE]),
    (RuleKey::Staff, [BY_STAFF, BY_STAFF]),
    (
        RuleKey::Waitlist,
        [
            [
                "You wait for {count} that count here. The limit is {limit}.",
                "您在此范围内已候补{count}个。上限是{limit}个。",
            ],
            ["Nobody may wait here.", "这里不接受候补。"],
        ],
    ),
    (RuleKey::Persons, [PERSONS_DEFAULT, NO_PERSONS]),
    (RuleKey::Probing, [PROBING, PROBING]),
];

/// The same of persons, by the tier that the refusal names: who has too many of whom.
pub(super) const PERSONS: [[&str; 2]; 5] = [
    PERSONS_DEFAULT,
    [
        "This telephone already stands for {count} patients. The limit is {limit}.",
        "此手机号名下已有{count}位就诊人。上限是{limit}位。",
    ],
    [
        "This telephone already has {count} accounts. The limit is {limit}.",
        "此手机号已有{count}个账号。上限是{limit}个。",
    ],
    [
        "You already have {count} accounts. The limit is {limit}.",
        "您已有{count}个账号。上限是{limit}个。",
    ],
    [
        "Patients new to this account since the places opened: {count}. The limit is {limit}.",
        "放号以来，此账号新增{count}位就诊人。上限是{limit}位。",
    ],
];

/// Instead of the sentence of the outcome where a restriction leaves some appointments.
pub(super) const FEWER: [&str; 2] = [
    "For a time you may have fewer appointments here. Give one up that you do not need, then ask again.",
    "您在这里同时持有的预约数暂时减少。请先退掉不需要的预约，再来预约。",
];

/// The same of what was counted.
pub(super) const FEWER_NOW: [[&str; 2]; 2] = [[
    "You have {count} appointments that count here. For now the limit is {limit}.",
    "您在此范围内已有{count}个预约。目前上限是{limit}个。",
]; 2];

const PERSONS_DEFAULT: [&str; 2] = [
    "This account already has {count} patients. The limit is {limit}.",
    "此账号名下已有{count}位就诊人。上限是{limit}位。",
];
const NO_PERSONS: [&str; 2] = [
    "Patients who are new to this account have to wait after places open.",
    "新添加的就诊人在放号后需要等待一段时间。",
];

const PROBING: [&str; 2] = [
    "Who asks again and again for places that are not there may be restricted.",
    "反复刷新抢号的，可能被限制预约。",
];
const COOLDOWN: [&str; 2] = [
    "A place was given up on {since}. One has to wait before the next.",
    "{since}放弃过一个号。需要等待一段时间才能再约。",
];
const CANCEL: [&str; 2] = ["It could be cancelled until {since}.", "取消的截止时间是{since}。"];
const PAYMENT: [&str; 2] =
    ["It has to be paid for as this clinic asks.", "需要按这次门诊规定的方式付费。"];
const APPEAL: [&str; 2] =
    ["An objection is looked at once, within its term.", "申诉在规定期限内受理一次。"];

const NOTICE: [&str; 2] =
    ["Stricter rules are told of before they hold.", "更严的规则须提前公布。"];

const BY_STAFF: [&str; 2] = [
    "Staff of the hospital restricted you. They can tell you why.",
    "由工作人员限制。可以向他们询问原因。",
];

const APP: [&str; 2] = [
    "The app sent a request that the booking system does not take. It is not your fault. Try again, or ask at the hospital.",
    "应用发出的请求无法办理。这不是您的问题。请重试，或到医院询问。",
];
const DESK: [&str; 2] = [
    "This cannot be done here. Ask at the hospital's desk.",
    "这里不能办理这项业务。请到医院服务台办理。",
];
const KEPT: [&str; 2] = [
    "What is kept of this patient could not be changed this way. Nothing was changed.",
    "患者的记录没有这样更改。一切照旧。",
];
const STAFF: [&str; 2] = [
    "The clinic could not be set up this way. Patients lose nothing.",
    "门诊设置没有成功。患者没有损失。",
];

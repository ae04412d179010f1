//! Every refusal has its sentence, and every figure in one is the refusal's.

use super::*;
use crate::model::{
    AppealTerm, BookingChannel, Consequence, Day, EvidenceRef, ExplainedPatient, Ground,
    KeptRestriction, Operation, RequestId, Restriction, RestrictionCause, RestrictionId,
    RestrictionStep, Role, RuleKey, RuleMode, RuleRef, RuleScope, RulesVersion, StepKind,
    Undecided,
};

const AT: Timestamp = Timestamp::from_millis(1_798_848_000_000);
const DAY: u64 = 86_400_000;
const LANGUAGES: [Language; 2] = [Language::English, Language::Chinese];

fn beijing() -> CivilTime {
    CivilTime(vec![(Timestamp::default(), 480)])
}

fn channel(number: u8) -> String {
    ["app", "counter", "telephone"].get(usize::from(number)).copied().unwrap_or("other").to_owned()
}

fn with<T>(language: Language, tell: impl FnOnce(&Words<'_>) -> T) -> T {
    let civil = beijing();
    tell(&Words { language, civil: &civil, channel: &channel })
}

fn why(key: RuleKey) -> RuleWhy {
    RuleWhy {
        rule: RuleRef { version: RulesVersion(3), layer: 1, tier: 0 },
        key,
        within: ScopeKind::Organization,
        count: 17,
        limit: 16,
        since: AT.minus_millis(40 * DAY),
        until: AT.plus_millis(90 * DAY + 3_600_000 * 5),
        through: ChannelSet(2),
    }
}

fn refused(outcome: Outcome, why: Option<RuleWhy>) -> RefusedRequest {
    RefusedRequest {
        at: AT,
        operation: Operation::Hold,
        outcome,
        retry_after_millis: 0,
        why,
        patient: None,
        appointment: None,
        session: None,
        channel: BookingChannel::default(),
    }
}

#[test]
fn a_refusal_about_persons_says_who_has_too_many_of_whom() {
    for (tier, count, english, chinese) in [
        (
            0,
            17,
            "This account already has 17 patients. The limit is 16.",
            "此账号名下已有17位就诊人。",
        ),
        (1, 1, "This telephone already stands for 1 patient.", "此手机号名下已有1位就诊人。"),
        (2, 3, "This telephone already has 3 accounts.", "此手机号已有3个账号。"),
        (3, 1, "You already have 1 account.", "您已有1个账号。"),
        (4, 2, "Patients new to this account since the places opened: 2.", "此账号新增2位就诊人。"),
        (9, 2, "This account already has 2 patients.", "此账号名下已有2位就诊人。"),
    ] {
        for (language, expected) in LANGUAGES.into_iter().zip([english, chinese]) {
            let why = why(RuleKey::Persons);
            let why = RuleWhy { rule: RuleRef { tier, ..why.rule }, count, ..why };
            let told = with(language, |words| words.why(&why));
            assert!(told[0].contains(expected), "{told:?}");
        }
    }
}

/// Every run of digits in a text.
fn figures(text: &str) -> Vec<String> {
    let digits = |letter: char| !letter.is_ascii_digit();
    text.split(digits).filter(|run| !run.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_refusal_has_a_sentence_in_both_languages_and_a_success_has_none() {
    for outcome in Outcome::ALL {
        for language in LANGUAGES {
            let sentence = sentence(language, *outcome);
            assert_eq!(sentence.is_some(), !outcome.is_success(), "{outcome:?} {language:?}");
            let Some(sentence) = sentence else { continue };
            let ends = [".", "。"][language.index()];
            let is_chinese = sentence.chars().any(|letter| '\u{4e00}' <= letter);
            assert!(sentence.ends_with(ends), "{sentence}");
            assert_eq!(is_chinese, language == Language::Chinese, "{sentence}");
        }
    }
}

#[test]
fn sentences_are_short() {
    for (outcome, [english, chinese]) in REFUSALS {
        let words = english.split(". ").map(|part| part.split_whitespace().count());
        assert!(words.max() <= Some(20), "{outcome:?}: {english}");
        assert!(
            chinese.split('。').all(|part| part.chars().count() <= 32),
            "{outcome:?}: {chinese}"
        );
    }
}

#[test]
fn every_key_of_rules_has_its_words_and_their_figures_are_the_refusals() {
    for key in RuleKey::ALL {
        for language in LANGUAGES {
            for limit in [0, 16] {
                let why = RuleWhy { limit, ..why(key) };
                let lines = with(language, |words| words.why(&why));
                let (since, until) = with(language, |it| (it.time(why.since), it.time(why.until)));
                let allowed: Vec<String> =
                    [figures(&since), figures(&until), vec!["17".to_owned(), limit.to_string()]]
                        .concat();
                let said: Vec<String> = lines.iter().flat_map(|line| figures(line)).collect();
                for figure in &said {
                    assert!(allowed.contains(figure), "{key:?}: {figure} in {lines:?}");
                }
                assert!(lines.iter().any(|line| line.contains(&until)), "{key:?} {lines:?}");
                assert!(lines.iter().any(|line| line.contains("counter")), "{key:?} {lines:?}");
                assert!(lines.iter().all(|line| !line.contains('{')), "{lines:?}");
            }
        }
    }
}

#[test]
fn a_restricted_patient_is_told_what_was_counted_until_when_and_where_else() {
    let refused = refused(Outcome::Restricted, Some(why(RuleKey::NoShow)));
    let english = with(Language::English, |words| words.refused(&refused)).join("\n");
    assert_eq!(
        english,
        "Your request of 2 January 2027 at 08:00 was refused.\n\
         You cannot book here for a time. You can still cancel appointments that you have.\n\
         You missed 17 visits since 23 November 2026 at 08:00. From 16 on, booking stops for a time.\n\
         This holds in this hospital.\n\
         This ends on 2 April 2027 at 13:00. From then on you can ask again.\n\
         Until then you can book through: counter."
    );
    let chinese = with(Language::Chinese, |words| words.refused(&refused)).join("\n");
    assert_eq!(
        chinese,
        "您2027年1月2日8:00的请求没有办理。\n\
         您暂时不能在这里预约。已有的预约仍然可以取消。\n\
         自2026年11月23日8:00起，您已爽约17次。满16次即暂停预约。\n\
         适用于这家医院。\n\
         限制到2027年4月2日13:00结束。从那时起可以再次办理。\n\
         在此之前可以通过以下渠道预约：counter。"
    );
}

#[test]
fn where_no_rule_refuses_the_hint_is_told() {
    let hinted =
        RefusedRequest { retry_after_millis: 60_000, ..refused(Outcome::NotOpenYet, None) };
    let lines = with(Language::English, |words| words.refused(&hinted));
    assert_eq!(lines.last().unwrap(), "Ask again from 2 January 2027 at 08:01.");
}

/// A patient with one restriction by staff, and what was done about it.
fn restricted_by_staff(what: Option<StepKind>) -> ExplainedPatient {
    let ground = Ground { by: Role::Admin, reason: 4, evidence: EvidenceRef(0) };
    let restriction = Restriction {
        within: RuleScope::Region,
        cause: RestrictionCause::Staff,
        consequence: Consequence::Refuse { but: ChannelSet(2) },
        mode: RuleMode::Enforce,
        from: AT.minus_millis(DAY),
        until: AT.plus_millis(10 * DAY),
        rule: RuleRef::default(),
        count: 0,
        since: Day(0),
    };
    let at = AT.minus_millis(1_000);
    let request = RequestId::from_parts(at, 1);
    let steps = what.map(|what| RestrictionStep { request, at, ground, what });
    let (id, ground) = (RestrictionId(1), Some(ground));
    let kept = KeptRestriction { id, restriction, ground, steps: steps.into_iter().collect() };
    let restrictions = vec![(kept.state(AT), kept)];
    ExplainedPatient { at: AT, restrictions, ..ExplainedPatient::default() }
}

#[test]
fn a_restriction_by_staff_is_told_as_it_stands() {
    let term = AppealTerm {
        due: AT.plus_millis(3 * DAY),
        is_suspending: true,
        undecided: Undecided::Stands,
        rules: RulesVersion(1),
    };
    let reason = "The reason: staff of the hospital restricted you. They can tell you why.";
    let free = "Nothing keeps you from booking.";
    let (held, appealed, suspended, lifted) = (
        "You cannot book until 12 January 2027 at 08:00.",
        "You object to a restriction. It does not hold until that is decided, by 5 January 2027 at 08:00 at the latest.",
        "A restriction is suspended: it does not hold until 3 January 2027 at 08:00.",
        "A restriction that would have lasted until 12 January 2027 at 08:00 was lifted.",
    );
    let (everywhere, through, cancel) = (
        "This holds in all hospitals of the platform.",
        "Until then you can book through: counter.",
        "You can still cancel appointments that you have.",
    );
    let looked_at = "Your objection is being looked at. It is decided by 5 January 2027 at 08:00.";
    let waits = StepKind::Appealed(AppealTerm { is_suspending: false, ..term });
    let next_day = StepKind::Suspended(AT.plus_millis(DAY));
    for (what, expected) in [
        (None, vec![held, reason, everywhere, through, cancel]),
        (Some(waits), vec![held, reason, everywhere, through, looked_at, cancel]),
        (Some(StepKind::Appealed(term)), vec![appealed, reason, free]),
        (Some(next_day), vec![suspended, reason, free]),
        (Some(StepKind::Lifted), vec![lifted, reason, free]),
    ] {
        let told = restricted_by_staff(what);
        assert_eq!(with(Language::English, |words| words.patient(&told)), expected, "{what:?}");
        let chinese = with(Language::Chinese, |words| words.patient(&told));
        assert!(chinese.iter().all(|line| line.ends_with('。') && !line.contains('{')));
        assert_eq!(chinese.len(), expected.len(), "{chinese:?}");
    }
}

#[test]
fn who_may_have_fewer_is_told_how_many_and_what_to_do() {
    let fewer = |key, count| {
        let (since, through) = (Timestamp::default(), ChannelSet::ALL);
        RuleWhy { count, limit: 2, since, through, ..why(key) }
    };
    for (key, count, english, chinese) in [
        (RuleKey::NoShow, 2, "You have 2 appointments", "您在此范围内已有2个预约。目前上限是2个。"),
        (RuleKey::Violations, 3, "You have 3 appointments", "您在此范围内已有3个预约。"),
        (RuleKey::Staff, 2, "You have 2 appointments", "您在此范围内已有2个预约。"),
    ] {
        let refused = refused(Outcome::Restricted, Some(fewer(key, count)));
        let told = with(Language::English, |words| words.refused(&refused));
        assert_eq!(told[1], FEWER[0]);
        assert!(told[2].starts_with(english) && told[2].ends_with("the limit is 2."), "{told:?}");
        assert!(told[4].starts_with("This ends on 2 April 2027 at 13:00."), "{told:?}");
        assert_eq!(told.len(), 5);
        let told = with(Language::Chinese, |words| words.refused(&refused));
        assert_eq!(told[1], FEWER[1]);
        assert!(told[2].starts_with(chinese), "{told:?}");
    }
    let mut told = restricted_by_staff(None);
    told.restrictions[0].1.restriction.consequence = Consequence::Fewer(2);
    assert_eq!(
        with(Language::English, |words| words.patient(&told))[0],
        "Until 12 January 2027 at 08:00 you may have no more appointments at a time than: 2."
    );
    let chinese = with(Language::Chinese, |words| words.patient(&told));
    assert_eq!(chinese[0], "在2027年1月12日8:00之前，您同时持有的预约不能超过2个。");
}

//! The rules of a run: soon reached, soon over, and now and then wrong.

use haoyuan::model::{
    Begins, BookingLimit, ChannelSet, CivilTime, Consequence, Counts, DayOf, DepartmentId,
    LimitKey, LimitScope, NoShowRule, OrganizationId, Period, RuleLayer, RuleMode, RuleScope,
    Rules, RulesVersion, ScopeKind, Term, Tier, Timestamp, Window,
};

use crate::random::Random;
use crate::sessions::MINUTE;

/// Rules for everybody, and sometimes others for a hospital or a department.
pub(crate) fn rules(random: &mut Random, now: Timestamp) -> Rules {
    let scopes = [
        RuleScope::Region,
        RuleScope::Organization(OrganizationId(1)),
        RuleScope::Department(OrganizationId(1), DepartmentId(1)),
    ];
    let count = usize::try_from(random.between(1, 3)).unwrap();
    let layers = scopes.into_iter().take(count).map(|scope| RuleLayer {
        scope,
        no_show: random.chance(900).then(|| no_show(random)),
        limits: if random.chance(300) { vec![limit(random)] } else { Vec::new() },
        ..RuleLayer::default()
    });
    Rules {
        version: RulesVersion::default(),
        notice_days: 0,
        layers: layers.collect(),
        civil: CivilTime(vec![(Timestamp::default(), random.pick(&[0, 480, -300]))]),
        from: now.plus_millis(random.below(2 * MINUTE)),
    }
}

/// How many appointments somebody may have: few.
fn limit(random: &mut Random) -> BookingLimit {
    let key = LimitKey {
        within: random.pick(&[LimitScope::Region, LimitScope::Department, LimitScope::Session]),
        period: random.pick(&[Period::Day, Period::Week, Period::Days(3), Period::Year]),
        by: random.pick(&[DayOf::Visit, DayOf::Booking]),
        counts: random.pick(&[Counts::Live, Counts::All, Counts::All, Counts::Operations]),
    };
    let most = u16::try_from(random.between(1, 4)).unwrap();
    let mode = random.pick(&[RuleMode::Enforce, RuleMode::Enforce, RuleMode::Shadow]);
    BookingLimit { key, most, mode }
}

fn no_show(random: &mut Random) -> NoShowRule {
    let refuse = |but| Consequence::Refuse { but: ChannelSet(but) };
    let most = random.between(1, 2);
    let tiers = (0..most).map(|more| Tier {
        count: u16::try_from(1 + more).unwrap(),
        consequence: random.pick(&[
            refuse(0),
            refuse(0),
            refuse(0b0011),
            Consequence::Warn,
            Consequence::Lower(1),
        ]),
        term: random.pick(&[Term::Days(1), Term::Days(2), Term::Months(1), Term::MonthEnd]),
    });
    NoShowRule {
        tiers: tiers.collect(),
        within: random.pick(&[ScopeKind::Region, ScopeKind::Region, ScopeKind::Schedule]),
        window: random.pick(&[Window::Days(2), Window::Month, Window::InARow, Window::Ever]),
        begins: random.pick(&[
            Begins::AtOnce,
            Begins::AtOnce,
            Begins::FirstStrike,
            Begins::NextDay,
        ]),
        is_used_up: random.chance(300),
        mode: random.pick(&[RuleMode::Enforce, RuleMode::Enforce, RuleMode::Shadow]),
    }
}

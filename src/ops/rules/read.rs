//! From the values of a document to rules.

use arrayvec::ArrayVec;
use serde_json::Value;

use super::{
    RuleDocument, cancel, cooldown, holder, limits, payment, persons, probing, rates, violations,
    waits,
};
use crate::model::limits::{FEWER_MAX, NOTICE_DAYS_MAX, RULE_LAYERS_MAX};
use crate::model::{
    Begins, ChannelSet, ClassSet, Consequence, DepartmentId, NoShowRule, OrganizationId,
    ResourceId, RuleCondition, RuleLayer, RuleMode, RuleScope, ScopeKind, ServiceId, Term, Tier,
    Window,
};
use crate::ops::civil::Zone;
use crate::ops::document::entry::{Entry, Fault, Field, fault};
use crate::ops::document::words::{read_channels, read_classes, read_zone};
use crate::ops::document::{DocumentDefaults, MAX_8, MAX_16, MAX_32, narrow};

pub(super) const SCOPES: [(&str, ScopeKind); 5] = [
    ("region", ScopeKind::Region),
    ("organization", ScopeKind::Organization),
    ("department", ScopeKind::Department),
    ("resource", ScopeKind::Schedule),
    ("service", ScopeKind::Service),
];
pub(super) const BEGINS: [(&str, Begins); 3] = [
    ("next-day", Begins::NextDay),
    ("at-once", Begins::AtOnce),
    ("first-strike", Begins::FirstStrike),
];
pub(super) const MODES: [(&str, RuleMode); 2] =
    [("enforce", RuleMode::Enforce), ("shadow", RuleMode::Shadow)];
pub(super) const WINDOWS: [(&str, Window); 5] = [
    ("month", Window::Month),
    ("quarter", Window::Quarter),
    ("year", Window::Year),
    ("in-a-row", Window::InARow),
    ("ever", Window::Ever),
];

pub(super) const TERMS: [(&str, Term); 4] = [
    ("day-end", Term::DayEnd),
    ("month-end", Term::MonthEnd),
    ("quarter-end", Term::QuarterEnd),
    ("year-end", Term::YearEnd),
];

pub(super) fn document(value: Value, defaults: &DocumentDefaults) -> Result<RuleDocument, Fault> {
    let mut document = Entry::new(String::new(), value)?;
    let zone = document.may("zone").map(|field| read_zone(&field)).transpose()?;
    let from = document.may("from").map(|field| field.time()).transpose()?;
    let notice_days = document.may("notice").map_or(Ok(0), notice)?;
    let field = document.need("rules")?;
    let place = field.place.clone();
    let layers = field.list()?;
    document.finish()?;
    if RULE_LAYERS_MAX < layers.len() {
        let reason = format!("has {} entries; {RULE_LAYERS_MAX} at most", layers.len());
        return Err(fault(&place, &reason));
    }
    let layers =
        layers.into_iter().map(|field| layer(field, defaults)).collect::<Result<_, _>>()?;
    Ok(RuleDocument { from, zone: zone.unwrap_or(Zone::utc()), notice_days, layers })
}

/// `{ days = 7 }`.
fn notice(field: Field) -> Result<u16, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let days = narrow(entry.need("days")?.number(0, NOTICE_DAYS_MAX.into())?);
    entry.finish()?;
    Ok(days)
}

fn layer(field: Field, defaults: &DocumentDefaults) -> Result<RuleLayer, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let scope = entry.may("scope").map_or(Ok(RuleScope::Region), scope)?;
    let when = entry.may("when").map_or_else(|| Ok(RuleCondition::default()), condition)?;
    let no_show = entry.may("no_show").map(|field| no_show(field, defaults)).transpose()?;
    let limits = entry.may("limits").map_or(Ok(Vec::new()), limits::read)?;
    let violations = entry.may("violations");
    let violations =
        violations.map_or(Ok(Vec::new()), |field| violations::read(field, defaults))?;
    let admission = rates::admission(&mut entry, (scope, &when), defaults)?;
    let cancel = entry.may("cancel").map(|field| cancel::read(field, defaults)).transpose()?;
    let payment = entry.may("payment").map(|field| payment::read(field, defaults)).transpose()?;
    let holder = entry.may("holder").map(holder::read).transpose()?;
    let appeal = entry.may("appeal").map(super::appeal::read).transpose()?;
    let waitlist = entry.may("waitlist").map_or_else(|| Ok(Box::default()), waits::read)?;
    let cooldown = entry.may("cooldown").map_or(Ok(Vec::new()), cooldown::read)?;
    let persons =
        entry.may("persons").map(|field| persons::read(field).map(Box::new)).transpose()?;
    let probing = entry.may("probing").map(probing::read).transpose()?;
    let layer = RuleLayer {
        scope,
        when,
        no_show,
        violations,
        limits,
        admission,
        cancel,
        payment,
        holder,
        appeal,
        waitlist,
        cooldown,
        persons,
        probing,
    };
    if layer.says_nothing() {
        let keys = "no_show, limits, violations, rates, shares, cancel, payment, holder, appeal, \
                    cooldown, persons, probing and waitlist";
        return Err(entry.fault(&format!("says nothing; a rule has one of {keys}")));
    }
    entry.finish()?;
    Ok(layer)
}

fn scope(field: Field) -> Result<RuleScope, Fault> {
    if field.value == "region" {
        return Ok(RuleScope::Region);
    }
    if field.value.is_string() {
        let reason = format!("is {}; use \"region\" or a table with organization", field.value);
        return Err(fault(&field.place, &reason));
    }
    let mut entry = Entry::new(field.place, field.value)?;
    let organization = OrganizationId(narrow(entry.need("organization")?.number(0, MAX_32)?));
    let department = entry.may("department").map(|field| field.number(0, MAX_32)).transpose()?;
    let resource = entry.may("resource").map(|field| field.number(0, u64::MAX)).transpose()?;
    let service = entry.may("service").map(|field| field.number(0, MAX_32)).transpose()?;
    let found = match (department, resource, service) {
        (None, None, None) => RuleScope::Organization(organization),
        (Some(department), None, None) => {
            RuleScope::Department(organization, DepartmentId(narrow(department)))
        }
        (None, Some(resource), None) => RuleScope::Schedule(organization, ResourceId(resource)),
        (None, None, Some(service)) => RuleScope::Service(organization, ServiceId(narrow(service))),
        _ => return Err(entry.fault("names more than one of department, resource and service")),
    };
    entry.finish()?;
    Ok(found)
}

fn condition(field: Field) -> Result<RuleCondition, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let classes = entry.may("classes").map_or(Ok(ClassSet::ALL), read_classes)?;
    let ages = entry.may("ages").map_or(Ok((0, u8::MAX)), ages)?;
    let on_file = entry.may("on_file").map(|field| truth(&field)).transpose()?;
    let first_visit = entry.may("first_visit").map(|field| truth(&field)).transpose()?;
    let id_kinds = entry.may("id_kinds").map_or(Ok(u16::MAX), |field| {
        field.list()?.iter().try_fold(0, |kinds, kind| {
            let number: u32 = narrow(kind.number(0, 15)?);
            Ok(kinds | 1_u16 << number)
        })
    })?;
    entry.finish()?;
    Ok(RuleCondition { classes, ages, on_file, first_visit, id_kinds })
}

fn ages(field: Field) -> Result<(u8, u8), Fault> {
    let place = field.place.clone();
    match field.list()?.as_slice() {
        [youngest, oldest] => {
            let youngest = narrow(youngest.number(0, AGE_MAX)?);
            let oldest = narrow(oldest.number(0, AGE_MAX)?);
            if oldest < youngest {
                return Err(fault(&place, "are the wrong way round; give the youngest first"));
            }
            Ok((youngest, oldest))
        }
        _ => Err(fault(&place, "are two numbers, the youngest and the oldest")),
    }
}

pub(super) fn truth(field: &Field) -> Result<bool, Fault> {
    field
        .value
        .as_bool()
        .ok_or_else(|| fault(&field.place, &format!("is {}; it takes true or false", field.value)))
}

fn no_show(field: Field, defaults: &DocumentDefaults) -> Result<NoShowRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let rule = counted(&mut entry, defaults)?;
    entry.finish()?;
    Ok(rule)
}

/// How something is counted, and what follows.
pub(super) fn counted(entry: &mut Entry, defaults: &DocumentDefaults) -> Result<NoShowRule, Fault> {
    let window = window(&entry.need("window")?)?;
    let within = entry.choice("within", &SCOPES)?;
    let begins = entry.choice("begins", &BEGINS)?;
    let mode = entry.choice("mode", &MODES)?;
    let is_used_up = entry.may("used_up").map_or(Ok(false), |field| truth(&field))?;
    let is_once = entry.may("once").map_or(Ok(false), |field| truth(&field))?;
    let field = entry.need("tiers")?;
    let place = field.place.clone();
    let mut tiers = ArrayVec::new();
    for field in field.list()? {
        let tier = tier(field, defaults)?;
        if tiers.last().is_some_and(|before: &Tier| tier.count <= before.count) {
            return Err(fault(
                &place,
                "are out of order; each has a larger count than the one before",
            ));
        }
        tiers.try_push(tier).map_err(|_| fault(&place, "are too many; 4 at most"))?;
    }
    if tiers.is_empty() {
        return Err(fault(&place, "is empty; say what follows after how many"));
    }
    Ok(NoShowRule { within, window, begins, is_used_up, is_once, mode, tiers })
}

fn window(field: &Field) -> Result<Window, Fault> {
    if let Some((_, window)) = WINDOWS.iter().find(|(name, _)| field.value == *name) {
        return Ok(*window);
    }
    if !field.value.is_object() {
        let names = WINDOWS.map(|(name, _)| name).join(", ");
        let reason = format!("is {}; use {{ days }}, {{ months }}, {names}", field.value);
        return Err(fault(&field.place, &reason));
    }
    Ok(match length(field)? {
        Length::Days(days) => Window::Days(days),
        Length::Months(months) => Window::Months(months),
    })
}

fn tier(field: Field, defaults: &DocumentDefaults) -> Result<Tier, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let count = narrow(entry.need("count")?.number(1, MAX_16)?);
    let kind =
        entry.choice("consequence", &[("refuse", 0), ("warn", 1), ("lower", 2), ("fewer", 3)])?;
    let but = entry.may("but").map(|field| read_channels(field, defaults)).transpose()?;
    let classes = entry.may("but_classes").map(read_classes).transpose()?;
    let by = entry.may("by").map(|field| field.number(1, MAX_8)).transpose()?;
    let most = entry.may("most").map(|field| field.number(1, FEWER_MAX.into())).transpose()?;
    let consequence = match (kind, but, classes, by.or(most)) {
        (3, None, None, _) if by.is_none() => {
            let most =
                most.ok_or_else(|| entry.fault("needs most, which says how many fewer are"))?;
            Consequence::Fewer(narrow(most))
        }
        _ if most.is_some() => return Err(entry.fault("has most, which goes with fewer")),
        (0, but, None, None) => Consequence::Refuse { but: but.unwrap_or(ChannelSet(0)) },
        (0, but, Some(classes), None) => {
            Consequence::RefuseBut { channels: but.unwrap_or(ChannelSet::ALL), classes }
        }
        (1, None, None, None) => Consequence::Warn,
        (2, None, None, by) => Consequence::Lower(narrow(by.unwrap_or(1))),
        _ => {
            return Err(
                entry.fault("has but, which goes with refuse, or by, which goes with lower")
            );
        }
    };
    let term = term(&entry.need("for")?)?;
    entry.finish()?;
    Ok(Tier { count, consequence, term })
}

/// The end of some time, or a length.
pub(super) fn term(field: &Field) -> Result<Term, Fault> {
    if let Some((_, term)) = TERMS.iter().find(|(name, _)| field.value == *name) {
        return Ok(*term);
    }
    if !field.value.is_object() {
        let names = TERMS.map(|(name, _)| name).join(", ");
        let reason = format!("is {}; use {{ days }}, {{ months }}, {names}", field.value);
        return Err(fault(&field.place, &reason));
    }
    Ok(match length(field)? {
        Length::Days(days) => Term::Days(days),
        Length::Months(months) => Term::Months(months),
    })
}

/// So much time.
pub(super) enum Length {
    Days(u16),
    Months(u8),
}

/// `{ days = 30 }` or `{ months = 3 }`.
pub(super) fn length(field: &Field) -> Result<Length, Fault> {
    let mut entry = Entry::new(field.place.clone(), field.value.clone())?;
    let days = entry.may("days").map(|field| field.number(1, MAX_16)).transpose()?;
    let months = entry.may("months").map(|field| field.number(1, MAX_8)).transpose()?;
    let length = match (days, months) {
        (Some(days), None) => Length::Days(narrow(days)),
        (None, Some(months)) => Length::Months(narrow(months)),
        _ => return Err(entry.fault("needs days or months, one of the two")),
    };
    entry.finish()?;
    Ok(length)
}

/// Nobody is older.
const AGE_MAX: u64 = 254;

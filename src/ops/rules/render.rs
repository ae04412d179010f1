//! Rules as a document that reads back as they are.

use serde_json::{Map, Value, json};

use super::read::{BEGINS, MODES, SCOPES, TERMS, WINDOWS};
use super::{cancel, cooldown, holder, limits, payment, rates, violations, waits};
use crate::model::{
    ChannelSet, ClassSet, Consequence, NoShowRule, RuleCondition, RuleLayer, RuleScope, Rules,
    Term, Window,
};
use crate::ops::document::words::CLASSES;

/// The layers of rules as a document has them. Local time is shown as offsets, which a document names
/// by a zone.
pub fn render(rules: &Rules) -> Value {
    let layers: Vec<Value> = rules.layers.iter().map(layer).collect();
    if rules.notice_days == 0 {
        return json!({ "rules": layers });
    }
    json!({ "notice": { "days": rules.notice_days }, "rules": layers })
}

fn layer(layer: &RuleLayer) -> Value {
    let mut object = Map::new();
    if layer.scope != RuleScope::Region {
        object.insert("scope".to_owned(), scope(layer.scope));
    }
    if layer.when != RuleCondition::default() {
        object.insert("when".to_owned(), condition(layer.when));
    }
    if let Some(rule) = &layer.no_show {
        object.insert("no_show".to_owned(), no_show(rule));
    }
    if !layer.limits.is_empty() {
        object.insert("limits".to_owned(), limits::render(&layer.limits));
    }
    if !layer.violations.is_empty() {
        object.insert("violations".to_owned(), violations::render(&layer.violations));
    }
    if let Some(rule) = &layer.admission {
        rates::render(rule, &mut object);
    }
    if let Some(rule) = &layer.cancel {
        object.insert("cancel".to_owned(), cancel::render(rule));
    }
    if let Some(rule) = &layer.payment {
        object.insert("payment".to_owned(), payment::render(rule));
    }
    if let Some(rule) = &layer.holder {
        object.insert("holder".to_owned(), holder::render(*rule));
    }
    if let Some(rule) = layer.appeal {
        object.insert("appeal".to_owned(), super::appeal::render(rule));
    }
    if !layer.waitlist.is_empty() {
        object.insert("waitlist".to_owned(), waits::render(&layer.waitlist));
    }
    if !layer.cooldown.is_empty() {
        object.insert("cooldown".to_owned(), cooldown::render(&layer.cooldown));
    }
    if let Some(rule) = &layer.persons {
        object.insert("persons".to_owned(), super::persons::render(rule));
    }
    if let Some(rule) = layer.probing {
        object.insert("probing".to_owned(), super::probing::render(rule));
    }
    Value::Object(object)
}

fn scope(scope: RuleScope) -> Value {
    match scope {
        RuleScope::Region => json!("region"),
        RuleScope::Organization(organization) => json!({ "organization": organization.0 }),
        RuleScope::Department(organization, department) => {
            json!({ "organization": organization.0, "department": department.0 })
        }
        RuleScope::Schedule(organization, resource) => {
            json!({ "organization": organization.0, "resource": resource.0 })
        }
        RuleScope::Service(organization, service) => {
            json!({ "organization": organization.0, "service": service.0 })
        }
    }
}

fn condition(when: RuleCondition) -> Value {
    let mut object = Map::new();
    if when.classes != ClassSet::ALL {
        object.insert("classes".to_owned(), classes(when.classes));
    }
    if when.ages != (0, u8::MAX) {
        object.insert("ages".to_owned(), json!([when.ages.0, when.ages.1]));
    }
    for (key, said) in [("on_file", when.on_file), ("first_visit", when.first_visit)] {
        if let Some(said) = said {
            object.insert(key.to_owned(), json!(said));
        }
    }
    if when.id_kinds != u16::MAX {
        let kinds: Vec<u32> = (0..16).filter(|kind| when.id_kinds >> kind & 1 == 1).collect();
        object.insert("id_kinds".to_owned(), json!(kinds));
    }
    Value::Object(object)
}

fn no_show(rule: &NoShowRule) -> Value {
    let mut object = Map::new();
    counted_into(rule, &mut object);
    Value::Object(object)
}

/// How something is counted, and what follows.
pub(super) fn counted_into(rule: &NoShowRule, object: &mut Map<String, Value>) {
    object.insert("window".to_owned(), window(rule.window));
    let name = |names: &[(&'static str, _)], value| named(names, value);
    if rule.within != crate::model::ScopeKind::default() {
        object.insert("within".to_owned(), name(&SCOPES, rule.within));
    }
    if rule.begins != crate::model::Begins::default() {
        object.insert("begins".to_owned(), named(&BEGINS, rule.begins));
    }
    if rule.is_used_up {
        object.insert("used_up".to_owned(), json!(true));
    }
    if rule.is_once {
        object.insert("once".to_owned(), json!(true));
    }
    if rule.mode != crate::model::RuleMode::default() {
        object.insert("mode".to_owned(), named(&MODES, rule.mode));
    }
    let tiers = rule.tiers.iter().map(|tier| {
        let mut object = Map::new();
        object.insert("count".to_owned(), json!(tier.count));
        match tier.consequence {
            Consequence::Refuse { but: ChannelSet(0) } => {}
            Consequence::Refuse { but } => {
                object.insert("but".to_owned(), channels(but));
            }
            Consequence::RefuseBut { channels: but, classes: passing } => {
                if but != ChannelSet::ALL {
                    object.insert("but".to_owned(), channels(but));
                }
                object.insert("but_classes".to_owned(), classes(passing));
            }
            Consequence::Warn => {
                object.insert("consequence".to_owned(), json!("warn"));
            }
            Consequence::Lower(by) => {
                object.insert("consequence".to_owned(), json!("lower"));
                object.insert("by".to_owned(), json!(by));
            }
            Consequence::Fewer(most) => {
                object.insert("consequence".to_owned(), json!("fewer"));
                object.insert("most".to_owned(), json!(most));
            }
        }
        object.insert("for".to_owned(), term(tier.term));
        Value::Object(object)
    });
    object.insert("tiers".to_owned(), tiers.collect());
}

pub(super) fn channels(set: ChannelSet) -> Value {
    let channels: Vec<u8> = (0..64).filter(|bit| set.0 >> bit & 1 == 1).collect();
    json!(channels)
}

fn classes(set: ClassSet) -> Value {
    let names = CLASSES.iter().filter(|(_, class)| set.contains(*class));
    names.map(|(name, _)| *name).collect()
}

pub(super) fn named<T: Copy + PartialEq>(names: &[(&'static str, T)], value: T) -> Value {
    let found = names.iter().find(|(_, known)| *known == value);
    json!(found.map_or("", |(name, _)| name))
}

fn window(window: Window) -> Value {
    match window {
        Window::Days(days) => json!({ "days": days }),
        Window::Months(months) => json!({ "months": months }),
        other => named(&WINDOWS, other),
    }
}

pub(super) fn term(term: Term) -> Value {
    match term {
        Term::Days(days) => json!({ "days": days }),
        Term::Months(months) => json!({ "months": months }),
        other => named(&TERMS, other),
    }
}

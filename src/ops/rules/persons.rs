//! The key `persons`: of how many others accounts, telephones and patients are.

use serde_json::{Map, Value, json};

use super::limits::{period, render_period};
use super::read::MODES;
use super::render::named;
use crate::model::limits::{CHANGES_MAX, PERSONS_MAX};
use crate::model::{Changes, NewPatients, Period, PersonsRule, RuleMode, Tie, TieRule};
use crate::ops::document::entry::{Entry, Fault, Field, fault};
use crate::ops::document::narrow;

pub(super) fn read(field: Field) -> Result<PersonsRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let account = entry.may("account").map(|field| ties(field, &["patients"])).transpose()?;
    let phone =
        entry.may("phone").map(|field| ties(field, &["patients", "accounts"])).transpose()?;
    let patient = entry.may("patient").map(|field| ties(field, &["accounts"])).transpose()?;
    let new_patients = entry.may("new_patients").map(new_patients).transpose()?;
    let mode = entry.choice("mode", &MODES)?;
    let rule = PersonsRule { account, phone, patient, new_patients, mode };
    if rule.new_patients.is_some() && rule.limit(Tie::AccountPatient).is_none() {
        let reason = "has new_patients, which needs account.patients: that says who is new";
        return Err(entry.fault(reason));
    }
    if account.or(phone).or(patient).is_none() {
        return Err(entry.fault("says nothing; say account, phone or patient"));
    }
    entry.finish()?;
    Ok(rule)
}

/// `{ patients = 3, changes = { most = 2, period = { days = 365 } } }`, with the numbers that there are.
fn ties(field: Field, numbers: &[&'static str]) -> Result<TieRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let mut number = |key: &'static str| {
        let is_there = numbers.contains(&key);
        let said = is_there.then(|| entry.number_or(key, 1, PERSONS_MAX.into(), 0));
        Ok(said.transpose()?.map_or(0, narrow))
    };
    let (patients, accounts) = (number("patients")?, number("accounts")?);
    let changes = entry.may("changes").map(changes).transpose()?;
    if patients == 0 && accounts == 0 {
        return Err(entry.fault(&format!("says no number; say {}", numbers.join(" or "))));
    }
    entry.finish()?;
    Ok(TieRule { patients, accounts, changes })
}

fn changes(field: Field) -> Result<Changes, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let most = narrow(entry.need("most")?.number(1, CHANGES_MAX.into())?);
    let field = entry.need("period")?;
    let period = period(&field)?;
    if period == Period::HalfDay {
        return Err(fault(&field.place, "is a half-day; changes are counted by days, or longer"));
    }
    entry.finish()?;
    Ok(Changes { most, period })
}

fn new_patients(field: Field) -> Result<NewPatients, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let most = narrow(entry.need("most")?.number(0, PERSONS_MAX.into())?);
    let minutes = narrow(entry.need("within_minutes")?.number(1, 1_440)?);
    entry.finish()?;
    Ok(NewPatients { most, minutes })
}

pub(super) fn render(rule: &PersonsRule) -> Value {
    let mut object = Map::new();
    let ties = [("account", rule.account), ("phone", rule.phone), ("patient", rule.patient)];
    for (key, said) in ties {
        if let Some(said) = said {
            object.insert(key.to_owned(), render_ties(said));
        }
    }
    if let Some(NewPatients { most, minutes }) = rule.new_patients {
        object
            .insert("new_patients".to_owned(), json!({ "most": most, "within_minutes": minutes }));
    }
    if rule.mode != RuleMode::default() {
        object.insert("mode".to_owned(), named(&MODES, rule.mode));
    }
    Value::Object(object)
}

fn render_ties(said: TieRule) -> Value {
    let mut object = Map::new();
    for (key, number) in [("patients", said.patients), ("accounts", said.accounts)] {
        if number != 0 {
            object.insert(key.to_owned(), json!(number));
        }
    }
    if let Some(Changes { most, period }) = said.changes {
        let changes = json!({ "most": most, "period": render_period(period) });
        object.insert("changes".to_owned(), changes);
    }
    Value::Object(object)
}

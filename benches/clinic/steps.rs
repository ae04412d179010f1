//! The hot paths as steps that can be repeated: what `codec` measures in nanoseconds, and
//! `instructions` counts.
//!
//! **Architecture invariant:** what a step needs is made before its first turn; a turn does nothing but
//! what its name says.

use std::hint::black_box;

use haoyuan::codec::{blank_hold, decode_facts, encode_facts};
use haoyuan::model::{Action, BookingChannel, Command, Facts, Hold, PatientClass, SessionId};
use haoyuan::protocol::{
    Assembler, FrameKind, Packer, Request, append_item, decode_reply, split_request, write_receipt,
    write_request,
};

use super::{BOOK, Clinic, change};

/// A step: its name, and one turn of it. A turn is told its number.
pub(crate) type Step = (&'static str, Box<dyn FnMut(usize)>);

/// Requests, answers, facts and frames.
pub(crate) fn codec() -> Vec<Step> {
    let clinic = Clinic::new(1, 1).keeping();
    let hold = clinic.request(&mut 1, Some(0));
    let append = |facts: &Facts| clinic.append(facts);
    let granted = clinic.inventory.hold(&clinic.context(), &hold, append).result;
    let facts = clinic.kept().pop().expect("a hold is a fact");
    let none = Clinic::new(1, 0);
    let refused = none.inventory.refuse_at_once(&none.context(), &none.request(&mut 1, None));
    let refused = Err(refused.expect("there are no places"));
    let request = Request::from(Command::Hold(hold));
    let mut item = Vec::new();
    write_request(7, &request, &mut item);
    let mut answer = Vec::new();
    write_receipt(7, &granted, &mut answer);
    let mut record = Vec::new();
    encode_facts(&facts, &mut record);
    let frame = frame_of(&item);
    let [mut a, mut b, mut c, mut d] = std::array::from_fn(|_| Vec::with_capacity(4_096));
    let (item_to_read, item_to_pack) = (item.clone(), item);
    let mut read = Command::Hold(blank_hold());
    let (mut packer, mut assembler) = (Packer::default(), Assembler::default());
    vec![
        ("write a hold", Box::new(move |_| write(&mut a, |to| write_request(7, &request, to)))),
        (
            "read a hold",
            Box::new(move |_| {
                let parts = split_request(black_box(&item_to_read)).expect("it was written");
                black_box(parts.hold_into(&mut read)).expect("it is a hold");
            }),
        ),
        ("write a receipt", Box::new(move |_| write(&mut b, |to| write_receipt(7, &granted, to)))),
        ("read a receipt", Box::new(move |_| assert!(decode_reply(black_box(&answer)).is_ok()))),
        ("write a refusal", Box::new(move |_| write(&mut c, |to| write_receipt(7, &refused, to)))),
        ("write facts", Box::new(move |_| write(&mut d, |to| encode_facts(&facts, to)))),
        ("read facts", Box::new(move |_| assert!(decode_facts(black_box(&record)).is_ok()))),
        (
            "pack 16 items",
            Box::new(move |_| {
                for _ in 0..16 {
                    packer.item(FrameKind::Requests, |to| to.extend_from_slice(&item_to_pack));
                }
                black_box(packer.take());
            }),
        ),
        (
            "take 16 items apart",
            Box::new(move |_| {
                assembler.push(black_box(&frame));
                while let Some(unit) = assembler.next_unit().expect("it is whole") {
                    black_box(unit);
                }
            }),
        ),
    ]
}

/// Commands, a request for each turn.
pub(crate) fn engine(turns: usize) -> Vec<Step> {
    let clinic = || Clinic::new(500, 200);
    vec![
        ("hold", holds(clinic(), turns)),
        ("hold, under rules", holds(clinic().under_rules(), turns)),
        ("book", changes(clinic(), turns, false, BOOK)),
        ("release", changes(clinic(), turns, false, Action::Release)),
        ("cancel a booking", changes(clinic(), turns, true, Action::Cancel)),
        ("refuse: sold out", sold_out(turns)),
        ("availability, 40 slots", {
            let clinic = clinic();
            Box::new(move |turn| {
                let session = SessionId(turn as u64 % clinic.sessions);
                let (channel, class) = (BookingChannel::default(), PatientClass::Outpatient);
                let answer =
                    clinic.inventory.availability(&clinic.context(), session, channel, class);
                black_box(answer.result.is_ok());
            })
        }),
    ]
}

fn requests(clinic: &Clinic, turns: usize) -> Vec<Hold> {
    let mut random = 1;
    (0..turns).map(|_| clinic.request(&mut random, None)).collect()
}

fn holds(clinic: Clinic, turns: usize) -> Box<dyn FnMut(usize)> {
    let wishes = requests(&clinic, turns);
    Box::new(move |turn| {
        let append = |facts: &Facts| clinic.append(facts);
        black_box(clinic.inventory.hold(&clinic.context(), &wishes[turn], append).after);
    })
}

fn changes(clinic: Clinic, turns: usize, is_booked: bool, action: Action) -> Box<dyn FnMut(usize)> {
    let mut random = 1;
    let mut held = Vec::new();
    while held.len() < turns {
        held.extend(clinic.hold(&mut random, None));
    }
    if is_booked {
        for hold in &held {
            clinic.act(hold, 1, BOOK);
        }
    }
    let changes: Vec<_> = held.iter().map(|hold| change(hold, 2, action)).collect();
    Box::new(move |turn| {
        let append = |facts: &Facts| clinic.append(facts);
        let answer = clinic.inventory.change(&clinic.context(), &changes[turn], append);
        assert!(answer.result.is_ok());
    })
}

fn sold_out(turns: usize) -> Box<dyn FnMut(usize)> {
    let clinic = Clinic::new(500, 0);
    let wishes = requests(&clinic, turns);
    Box::new(move |turn| {
        let refusal = clinic.inventory.refuse_at_once(&clinic.context(), &wishes[turn]);
        assert!(refusal.is_some());
    })
}

fn frame_of(item: &[u8]) -> Vec<u8> {
    let mut packer = Packer::default();
    for _ in 0..16 {
        packer.item(FrameKind::Requests, |to| to.extend_from_slice(item));
    }
    packer.take()
}

fn write(buffer: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    buffer.clear();
    append_item(buffer, write);
    black_box(buffer.len());
}

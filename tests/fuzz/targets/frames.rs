//! Frames and all that they carry: requests, replies, records, hellos, heartbeats.
//!
//! The first byte says what the rest is; a stream also says in pieces of which length it comes.

#![no_main]

use haoyuan::codec::{blank_hold, decode_facts, encode_facts};
use haoyuan::model::{ClaimRequest, Command, Operation, Outcome, SessionId, SlotChoice, Timestamp};
use haoyuan::protocol::{
    Assembler, ClientHello, FRAME_BYTES_MAX, FrameFault, FrameKind, Heartbeat, Hello, Packer,
    REPLY_BYTES_MAX, Reply, ServerHello, decode_fact_item, decode_reply, decode_request,
    reply_head, split_request, write_fact_item, write_receipt, write_reply, write_request,
};
use haoyuan_fuzz::{TIMES, bounded};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 8 {
        0 => request(data),
        1 => reply(data),
        2 => fact(data),
        3 => hello::<ClientHello>(data),
        4 => hello::<ServerHello>(data),
        5 => heartbeat(data),
        _ => stream(data),
    }
});

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes
}

fn request(item: &[u8]) {
    match bounded(item, TIMES, || decode_request(item)) {
        Ok((correlation, request)) => {
            let again = written(|buffer| write_request(correlation, &request, buffer));
            assert_eq!(again, item, "{request:?}");
        }
        Err(None) => assert!(item.len() < 5, "only what has no operation cannot be answered"),
        Err(Some(fault)) => {
            assert_eq!(fault.correlation.to_le_bytes(), item[..4]);
            let known = Operation::from_code(item[4]).is_some();
            assert!(known || fault.outcome != Outcome::Malformed || 4_096 < item.len());
        }
    }
    hold_in_place(item);
}

/// The fast way to read a hold comes to the same as the plain one, whatever was there before.
fn hold_in_place(item: &[u8]) {
    let Ok(parts) = split_request(item) else { return };
    let mut hold = blank_hold();
    hold.claims.push(ClaimRequest { session: SessionId(1), count: 9, slots: SlotChoice::Any });
    let mut place = Command::Hold(hold);
    let fast = parts.hold_into(&mut place).map(|()| place);
    if parts.operation == Operation::Hold {
        assert_eq!(fast, parts.command());
    } else {
        assert_eq!(fast, None);
    }
}

fn reply(item: &[u8]) {
    match bounded(item, TIMES, || decode_reply(item)) {
        Ok((correlation, reply)) => {
            let again = written(|buffer| write_reply(correlation, &reply, buffer));
            assert_eq!(again, item, "{reply:?}");
            let result = match reply {
                Reply::Receipt(receipt) => Ok(receipt),
                Reply::Refused(refusal) => Err(refusal),
                _ => return,
            };
            let short = written(|buffer| write_receipt(correlation, &result, buffer));
            assert_eq!(short, item, "{result:?}");
        }
        Err((correlation, _)) => assert_eq!(correlation, reply_head(item).map(|(id, _)| id)),
    }
}

fn fact(item: &[u8]) {
    let Ok(record) = bounded(item, TIMES, || decode_fact_item(item)) else { return };
    assert_eq!(written(|buffer| write_fact_item(&record, buffer)), item);
    if let Ok(facts) = bounded(item, TIMES, || decode_facts(&record.facts)) {
        assert_eq!(written(|buffer| encode_facts(&facts, buffer)), record.facts);
    }
}

fn hello<T: Hello + std::fmt::Debug + 'static>(body: &[u8]) {
    let Ok(hello) = bounded(body, 1, || T::read(body)) else { return };
    assert_eq!(written(|buffer| hello.write(buffer)), body);
    let any: &dyn std::any::Any = &hello;
    if let Some(client) = any.downcast_ref::<ClientHello>()
        && let Ok(answer) = client.answer(Timestamp::from_millis(5))
    {
        let bytes = written(|buffer| answer.write(buffer));
        assert_eq!(ServerHello::read(&bytes), Ok(answer));
    }
}

fn heartbeat(body: &[u8]) {
    if let Ok(heartbeat) = Heartbeat::read(body) {
        assert_eq!(written(|buffer| heartbeat.write(buffer)), body);
    }
}

type Units = (Vec<(FrameKind, Vec<u8>)>, Result<usize, FrameFault>);

/// The units of a stream that comes in pieces, and what is pending at the end or wrong.
fn units(stream: &[u8], piece: usize) -> Units {
    let mut assembler = Assembler::default();
    let mut units = Vec::new();
    for bytes in stream.chunks(piece) {
        assembler.push(bytes);
        loop {
            match assembler.next_unit() {
                Ok(Some((kind, unit))) => units.push((kind, unit.to_vec())),
                Ok(None) => break,
                Err(fault) => return (units, Err(fault)),
            }
        }
        assert!(assembler.pending_bytes() <= FRAME_BYTES_MAX + 4 + piece, "a frame is bounded");
    }
    (units, Ok(assembler.pending_bytes()))
}

fn stream(data: &[u8]) {
    let Some((piece, stream)) = data.split_first() else { return };
    let whole = units(stream, stream.len().max(1));
    assert_eq!(whole, units(stream, usize::from(*piece) + 1), "pieces change nothing");

    let mut packer = Packer::default();
    for (kind, unit) in &whole.0 {
        match kind {
            FrameKind::Requests => request(unit),
            FrameKind::Replies => reply(unit),
            FrameKind::Facts => fact(unit),
            FrameKind::Hello => hello::<ClientHello>(unit),
            FrameKind::Heartbeat => heartbeat(unit),
            FrameKind::SnapshotChunk | FrameKind::SnapshotEnd => {}
        }
        match kind {
            FrameKind::Requests | FrameKind::Replies | FrameKind::Facts => {
                packer.item(*kind, |buffer| buffer.extend_from_slice(unit));
            }
            _ => packer.frame(*kind, |buffer| buffer.extend_from_slice(unit)),
        }
    }
    if whole.0.iter().all(|(_, unit)| unit.len() <= REPLY_BYTES_MAX) {
        let packed = packer.take();
        assert_eq!(units(&packed, packed.len().max(1)), (whole.0, Ok(0)), "packing loses nothing");
    }
}

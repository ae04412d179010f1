//! Units and frames that are cut, mutated, or cannot be delimited.

use super::*;

#[test]
fn no_mutation_of_any_unit_panics() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    for (_, bytes) in golden() {
        for _ in 0..2_000 {
            let mut bad = bytes.clone();
            for _ in 0..=draw(3) {
                let at = draw(bad.len());
                bad[at] = u8::try_from(draw(256)).unwrap();
            }
            bad.truncate(1 + draw(bad.len()));
            let mut command = Command::Hold(codec::blank_hold());
            let read = split_request(&bad).map(|parts| parts.hold_into(&mut command));
            assert!(read.is_ok() || decode_request(&bad).is_err());
            if let Ok((correlation, request)) = decode_request(&bad) {
                let again = encoded(|buffer| write_request(correlation, &request, buffer));
                assert_eq!(decode_request(&again), Ok((correlation, request)));
            }
            drop(decode_reply(&bad));
            drop(decode_fact_item(&bad).map(|record| codec::decode_facts(&record.facts)));
            drop((ClientHello::read(&bad), ServerHello::read(&bad), Heartbeat::read(&bad)));
            let mut assembler = Assembler::default();
            assembler.push(&bad);
            while let Ok(Some(_)) = assembler.next_unit() {}
        }
    }
}

/// Found by the fuzz target `frames`, which writes again what it has read: a reply has one form.
#[test]
fn a_reply_in_another_form_is_malformed() {
    let overloaded = Outcome::Overloaded.code().to_le_bytes();
    let hint = |millis: u32| [&[1, 0, 0, 0], &overloaded[..], &millis.to_le_bytes()].concat();
    assert!(decode_reply(&hint(1)).is_ok());
    assert!(decode_reply(&hint(0)).is_err());
    let already = Outcome::AlreadyDone.code().to_le_bytes();
    let watching =
        |outcome: [u8; 2]| [&[1, 0, 0, 0], &outcome[..], &[5], &42_u64.to_le_bytes()].concat();
    assert!(decode_reply(&watching(Outcome::Done.code().to_le_bytes())).is_ok());
    assert!(decode_reply(&watching(already)).is_err());
}

#[test]
fn frames_come_out_whole_however_they_are_cut() {
    let mut packer = Packer::default();
    packer.frame(FrameKind::Hello, |buffer| ClientHello::new("x").write(buffer));
    let mut expected = vec![(FrameKind::Hello, encoded(|b| ClientHello::new("x").write(b)))];
    for round in 0..300_u32 {
        for (_, request) in requests() {
            let bytes = encoded(|buffer| write_request(round, &request, buffer));
            packer.item(FrameKind::Requests, |buffer| buffer.extend_from_slice(&bytes));
            expected.push((FrameKind::Requests, bytes));
        }
    }
    let stream = packer.take();
    assert!(packer.is_empty() && FRAME_BYTES_MAX < stream.len());
    for piece in [1, 7, 1_200, 6_500, 1 << 20] {
        let mut assembler = Assembler::default();
        let mut units = Vec::new();
        for bytes in stream.chunks(piece) {
            assembler.push(bytes);
            while let Some((kind, unit)) = assembler.next_unit().unwrap() {
                units.push((kind, unit.to_vec()));
            }
        }
        assert!(units == expected, "pieces of {piece}");
        assert_eq!(assembler.pending_bytes(), 0);
    }
}

#[test]
fn a_frame_that_cannot_be_delimited_is_at_fault() {
    let fault = |bytes: &[u8]| {
        let mut assembler = Assembler::default();
        assembler.push(bytes);
        loop {
            match assembler.next_unit() {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(fault) => return Some(fault.close_code()),
            }
        }
    };
    let over = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes();
    for (bytes, expected) in [
        (&[0, 0, 0, 0][..], Some(CloseCode::FrameLength)),
        (&over, Some(CloseCode::FrameLength)),
        (&[255, 255, 255, 255], Some(CloseCode::FrameLength)),
        (&[1, 0, 0, 0, 99], Some(CloseCode::FrameKind)),
        (&[1, 0, 0, 0, 2], Some(CloseCode::FrameItems)),
        (&[3, 0, 0, 0, 2, 0, 0], Some(CloseCode::FrameItems)),
        (&[2, 0, 0, 0, 2, 9], Some(CloseCode::FrameItems)),
        (&[4, 0, 0, 0, 2, 5, 0, 1], Some(CloseCode::FrameItems)),
        (&[4, 0, 0, 0, 2, 5, 0], None),
        (&[1, 0, 0], None),
        (&[1, 0, 0, 0, 1], None),
    ] {
        assert_eq!(fault(bytes), expected, "{bytes:?}");
    }
}

#[test]
fn only_a_hello_of_a_common_version_is_answered() {
    let hello = ClientHello::new("x");
    let with = |version_min, version_max| ClientHello { version_min, version_max, ..hello.clone() };
    assert_eq!(with(0, 9).answer(NOW).map(|hello| hello.version), Ok(VERSION));
    assert_eq!(with(1, 1).answer(NOW).map(|hello| hello.version), Ok(VERSION_OLDEST));
    assert_eq!(with(3, 9).answer(NOW), Err(HelloFault::Version));
    assert_eq!(with(0, 0).answer(NOW), Err(HelloFault::Version));
    let short = ClientHello { frame_bytes_max: 100, ..hello };
    assert_eq!(short.answer(NOW), Err(HelloFault::Malformed));
}

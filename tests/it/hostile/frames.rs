//! Bytes on a stream that are not the protocol.

use haoyuan::model::Role;
use haoyuan::protocol::{
    Assembler, ClientHello, CloseCode, FRAME_BYTES_MAX, FrameKind, Hello, Packer, Request,
    write_request,
};
use quinn::VarInt;

use super::{HASTE, connect, hello_and, impatient, still_serves};
use crate::quic::code_of;
use crate::quic::fake::{Fake, Node, availability, hold};

fn frame(length: u32, rest: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes(), rest].concat()
}

fn hello(change: impl FnOnce(&mut ClientHello)) -> Vec<u8> {
    let mut ours = ClientHello::new("hostile");
    change(&mut ours);
    let mut packer = Packer::default();
    packer.frame(FrameKind::Hello, |buffer| ours.write(buffer));
    packer.take()
}

fn requests(requests: &[Request]) -> Vec<u8> {
    let mut packer = Packer::default();
    for (correlation, request) in (0..).zip(requests) {
        packer.item(FrameKind::Requests, |buffer| write_request(correlation, request, buffer));
    }
    packer.take()
}

#[tokio::test]
async fn each_way_not_to_speak_the_protocol_has_its_close_code() {
    let node = Node::start(&Fake::eager());
    let one = requests(&[availability().into()]);
    let longest = u32::try_from(FRAME_BYTES_MAX).unwrap();
    let not_utf8 = [b"HAOY\x01\0\x01\0\0\0\x01\0\x02".as_slice(), &[0xff, 0xfe]].concat();
    let whole = |body: &[u8]| frame(u32::try_from(body.len()).unwrap() + 1, &[&[1], body].concat());
    for (what, bytes, code) in [
        ("a frame one byte too long", hello_and(&frame(longest + 1, &[2])), CloseCode::FrameLength),
        ("the greatest length", hello_and(&frame(u32::MAX, &[2])), CloseCode::FrameLength),
        ("half of that", hello_and(&frame(1 << 31, &[2])), CloseCode::FrameLength),
        ("no length", hello_and(&frame(0, &[2])), CloseCode::FrameLength),
        ("kind 0", hello_and(&frame(1, &[0])), CloseCode::FrameKind),
        ("an unknown kind", hello_and(&frame(9, &[200])), CloseCode::FrameKind),
        ("the node's kind", hello_and(&frame(3, &[5, 0, 0])), CloseCode::FrameKind),
        ("no items", hello_and(&frame(1, &[2])), CloseCode::FrameItems),
        ("an empty item", hello_and(&frame(3, &[2, 0, 0])), CloseCode::FrameItems),
        ("half an item", hello_and(&frame(5, &[2, 255, 255, 1, 1])), CloseCode::FrameItems),
        ("bytes left over", hello_and(&frame(5, &[2, 1, 0, 7, 7])), CloseCode::FrameItems),
        ("no hello", one.clone(), CloseCode::Hello),
        ("a second hello", hello_and(&hello(|_| {})), CloseCode::Hello),
        ("a hello of somebody else", whole(b"HTTP/1.1 please"), CloseCode::Hello),
        ("a hello that is cut", whole(b"HAOY\x01\0"), CloseCode::Hello),
        ("a name that is no text", whole(&not_utf8), CloseCode::Hello),
        ("too short frames", hello(|it| it.frame_bytes_max = 1_024), CloseCode::Hello),
        (
            "a version of tomorrow",
            hello(|it| (it.version_min, it.version_max) = (3, u16::MAX)),
            CloseCode::Version,
        ),
        (
            "no version at all",
            hello(|it| (it.version_min, it.version_max) = (9, 0)),
            CloseCode::Version,
        ),
    ] {
        let connection = connect(&node, Role::Gateway).await;
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        assert_eq!(code_of(&connection.closed().await), Some(code), "{what}");
        still_serves(&node).await;
    }
}

#[tokio::test]
async fn a_frame_that_is_cut_short_costs_its_own_stream_only() {
    let node = Node::start(&Fake::eager());
    let connection = connect(&node, Role::Gateway).await;
    let whole = hello_and(&requests(&[hold(1).into(), availability().into()]));
    for end in (0..whole.len()).step_by(7) {
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&whole[..end]).await.unwrap();
        if end % 2 == 0 {
            send.finish().unwrap();
            // At most the node's hello comes back: nothing that was cut is carried out.
            assert!(recv.read_to_end(64).await.unwrap().len() < 30, "cut at {end}");
        } else {
            send.reset(VarInt::from_u32(7)).unwrap();
        }
    }
    assert_eq!(node.engine.decided(), 0);
    assert!(connection.close_reason().is_none(), "the connection goes on");
    still_serves(&node).await;
}

#[tokio::test]
async fn garbage_ends_with_a_numbered_close_and_nothing_is_carried_out() {
    let node = Node::start(&Fake::eager());
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let dialer = node.dialer(Role::Gateway);
    for round in 0..60 {
        let mut bytes: Vec<u8> =
            (0..512).flat_map(|_| next().to_le_bytes()).take(8 + round * 60).collect();
        if round % 3 != 0 {
            bytes = hello_and(&bytes);
        }
        if round % 3 == 2 {
            // A frame of requests whose items are noise, too.
            let at = bytes.len() - (8 + round * 60);
            let length = u32::try_from(bytes.len() - at - 4).unwrap();
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
            bytes[at + 4] = FrameKind::Requests as u8;
        }
        let connection = dialer.connect().await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        drop(send.finish());
        // Either the stream ends, because the noise looks like half a frame, or the connection.
        if recv.read_to_end(1 << 20).await.is_err() {
            let code = code_of(&connection.closed().await).unwrap();
            assert!((16..=20).contains(&code.code()), "round {round}: {code:?}");
        }
    }
    assert_eq!(node.engine.decided(), 0);
    still_serves(&node).await;
}

#[tokio::test]
async fn a_frame_in_single_bytes_is_served_and_one_that_stops_is_cut_off() {
    let node = impatient(&Fake::eager());
    let bytes = hello_and(&requests(&[hold(1).into()]));
    let connection = connect(&node, Role::Gateway).await;
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    for byte in &bytes {
        send.write_all(std::slice::from_ref(byte)).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut input = Assembler::default();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let mut buffer = [0; 512];
        let read = recv.read(&mut buffer).await.unwrap().unwrap();
        input.push(&buffer[..read]);
        while let Some((kind, _)) = input.next_unit().unwrap() {
            seen.push(kind);
        }
    }
    assert_eq!(seen, [FrameKind::Hello, FrameKind::Replies]);

    // Others stop in the middle; some send a byte now and then, which is no progress.
    let mut waiting = tokio::task::JoinSet::new();
    for (end, trickles) in
        [(1, false), (3, true), (5, false), (20, false), (27, true), (bytes.len() - 1, false)]
    {
        let connection = connect(&node, Role::Gateway).await;
        let begun = [&hello_and(&0xffff_u32.to_le_bytes()), &[2; 9_000][..]].concat();
        let (half, rest) = if trickles { begun.split_at(end) } else { bytes.split_at(end) };
        let (half, rest) = (half.to_vec(), rest.to_vec());
        waiting.spawn(async move {
            let (mut send, _recv) = connection.open_bi().await.unwrap();
            send.write_all(&half).await.unwrap();
            let mut pace = tokio::time::interval(HASTE / 200);
            for byte in rest.iter().take_while(|_| trickles) {
                pace.tick().await;
                if send.write_all(std::slice::from_ref(byte)).await.is_err() {
                    break;
                }
            }
            code_of(&connection.closed().await)
        });
    }
    for code in waiting.join_all().await {
        assert_eq!(code, Some(CloseCode::TooSlow));
    }
    // Who owes nothing may be silent for as long as it likes.
    assert!(connection.close_reason().is_none());
    send.write_all(&requests(&[Request::from(hold(2))])).await.unwrap();
    let mut buffer = [0; 512];
    assert!(recv.read(&mut buffer).await.unwrap().is_some());
    still_serves(&node).await;
}

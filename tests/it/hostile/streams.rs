//! Floods of streams, and clients that do not read.

use std::sync::atomic::Ordering;

use haoyuan::client::Lane;
use haoyuan::model::{Role, Sequence};
use haoyuan::protocol::{CloseCode, FrameKind, Packer, Request, write_request};
use haoyuan::server::limits::{STREAM_RECEIVE_WINDOW, STREAMS_MAX};
use quinn::VarInt;

use super::{connect, hello_and, impatient, still_serves, until};
use crate::quic::code_of;
use crate::quic::fake::{Fake, Node, availability};

#[tokio::test]
async fn no_more_streams_are_open_at_a_time_than_allowed() {
    let node = Node::start(&Fake::eager());
    let connection = connect(&node, Role::Gateway).await;
    let mut lanes = Vec::new();
    for _ in 0..STREAMS_MAX {
        lanes.push(Lane::open(&connection, "flood").await.unwrap());
    }
    let mut next = std::pin::pin!(Lane::open(&connection, "flood"));
    tokio::select! {
        biased;
        opened = &mut next => panic!("one too many: {:?}", opened.is_ok()),
        () = still_serves(&node) => {}
    }
    // Room is granted in eighths: the ends of three streams are worth telling.
    lanes.truncate(lanes.len() - 3);
    next.await.unwrap();
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_at_once_leave_nothing() {
    let node = Node::start(&Fake::eager());
    let connection = connect(&node, Role::Gateway).await;
    for round in 0..3_000 {
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        match round % 4 {
            0 => {}
            1 => send.write_all(&[1]).await.unwrap(),
            2 => send.write_all(&hello_and(&[])).await.unwrap(),
            _ => send.write_all(&hello_and(&[9, 0])).await.unwrap(),
        }
        drop(send.reset(VarInt::from_u32(1)));
        drop(recv.stop(VarInt::from_u32(1)));
    }
    still_serves(&node).await;
    assert!(connection.close_reason().is_none());
    until(|| node.metrics.streams.load(Ordering::Relaxed) == 0).await;
}

fn questions(count: u32) -> Vec<u8> {
    let mut packer = Packer::default();
    let question = Request::from(availability());
    for number in 0..count {
        packer.item(FrameKind::Requests, |buffer| write_request(number, &question, buffer));
    }
    packer.take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_its_answers_is_not_read_and_then_cut_off() {
    let node = impatient(&Fake::eager());
    let connection = connect(&node, Role::Gateway).await;
    let (mut send, _unread) = connection.open_bi().await.unwrap();
    send.write_all(&hello_and(&[])).await.unwrap();
    // Each question of 18 bytes has an answer of over 100.
    let questions = questions(500);
    let mut bytes = 0_usize;
    while send.write_all(&questions).await.is_ok() {
        bytes += questions.len();
    }
    assert_eq!(code_of(&connection.closed().await), Some(CloseCode::TooSlow));
    // Read: what fits in the answers that the node keeps and the client has room for. The rest
    // was never taken off the wire.
    let answers_kept = (4 << 20) + (1 << 20) + 2 * haoyuan::server::limits::OUTBOX_BYTES_MAX;
    assert!(
        bytes < answers_kept / 5 + 3 * STREAM_RECEIVE_WINDOW as usize,
        "{bytes} bytes were sent"
    );
    let counted: u64 = node.metrics.requests().map(|(_, count)| count).sum();
    assert!(0 < counted && counted < 60_000, "{counted} questions were answered");
    still_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_served_while_somebody_does_not_read() {
    let node = Node::start(&Fake::eager());
    let connection = connect(&node, Role::Gateway).await;
    let (mut send, _unread) = connection.open_bi().await.unwrap();
    let flood = tokio::spawn(async move {
        send.write_all(&hello_and(&[])).await.unwrap();
        let questions = questions(500);
        while send.write_all(&questions).await.is_ok() {}
    });
    let answered = || node.metrics.requests().map(|(_, count)| count).sum::<u64>();
    until(|| 10_000 < answered()).await;
    for _ in 0..20 {
        still_serves(&node).await;
    }
    assert!(!flood.is_finished(), "it is not cut off yet, only not read");
    connection.close(VarInt::from_u32(0), b"");
    flood.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_is_not_read_costs_one_page_and_is_cut_off() {
    let engine = Fake::eager();
    engine.append(500_000);
    let node = impatient(&engine);
    let connection = connect(&node, Role::Auditor).await;
    let (mut send, _unread) = connection.open_bi().await.unwrap();
    let mut packer = Packer::default();
    let watch = Request::Watch { from: Sequence(1) };
    packer.item(FrameKind::Requests, |buffer| write_request(1, &watch, buffer));
    send.write_all(&hello_and(&packer.take())).await.unwrap();
    until(|| node.metrics.subscriptions.load(Ordering::Relaxed) == 1).await;
    for _ in 0..5 {
        still_serves(&node).await;
    }
    assert_eq!(code_of(&connection.closed().await), Some(CloseCode::TooSlow));
    // What was pushed fits in the windows of both sides, however much there is to say.
    let pushed = node.metrics.bytes_sent.load(Ordering::Relaxed);
    assert!(100_000 < pushed && pushed < 4 << 20, "{pushed} bytes were pushed");
    until(|| node.metrics.subscriptions.load(Ordering::Relaxed) == 0).await;
    still_serves(&node).await;
}

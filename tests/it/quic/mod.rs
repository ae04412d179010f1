//! The protocol over real QUIC on loopback, with a journal that the test moves.

mod fake;

use haoyuan::client::Lane;
use haoyuan::model::*;
use haoyuan::protocol::{Reply, Request};

use fake::{Fake, Node, availability, hold, release};

/// Reads replies until there are `count`.
async fn replies(lane: &mut Lane, count: usize) -> Vec<(u32, Reply)> {
    let mut all = Vec::new();
    while all.len() < count {
        let more = lane.receiver.receive(|correlation, reply| all.push((correlation, reply)));
        assert!(more.await.unwrap(), "the stream ended after {} replies", all.len());
    }
    all
}

#[tokio::test]
async fn an_answer_waits_for_the_journal_and_what_need_not_overtakes_it() {
    let node = Node::start(&Fake::new());
    let connection = node.dialer(Role::Gateway).connect().await.unwrap();
    let mut lane = Lane::open(&connection, "test").await.unwrap();
    assert_eq!(lane.hello.time, fake::NOW);
    for (correlation, request) in
        [(10, hold(1).into()), (11, Request::from(availability())), (12, hold(2).into())]
    {
        lane.sender.queue(correlation, &request);
    }
    lane.sender.queue(13, &release(3).into());
    lane.sender.flush().await.unwrap();
    let first = replies(&mut lane, 2).await;
    assert!(matches!(first[0], (11, Reply::Reading(Reading::Availability(_)))), "{first:?}");
    assert_eq!(first[1], (13, Reply::Refused(Outcome::AppointmentNotFound.into())));
    assert_eq!(node.engine.decided(), 2, "decided, and still not answered");
    node.engine.advance(1);
    let second = replies(&mut lane, 1).await;
    assert!(matches!(second[..], [(10, Reply::Receipt(_))]), "{second:?}");
    node.engine.advance(2);
    let third = replies(&mut lane, 1).await;
    assert!(matches!(third[..], [(12, Reply::Receipt(_))]), "{third:?}");
}

//! Work that takes more than a turn.

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::{
    hand::{Hand, Peer, told},
    *,
};
use crate::{SendOutcome, shard::budget::TurnBounds};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("channel {number}")).collect()
}

#[test]
fn a_socket_in_very_many_channels_leaves_them_while_others_are_served() {
    let mut hand = Hand::new(TurnBounds { leaves: 64, ..TurnBounds::default() });
    let (desk, _worker) = hand.worker();
    let (leaver, mut neighbour) = (hand.connect(), hand.connect());
    let names = names(1000);
    assert_eq!(hand.broker.subscribe_many(&mut hand.cork, leaver.id(), &names), Ok(1000));
    hand.finish();
    let (leaving, slot) = (leaver.id(), leaver.socket.slot());
    drop(leaver);
    hand.turn_until("it has begun to leave", |hand| !hand.shard.retiring.is_empty());
    assert!(!hand.broker.is_open(leaving));

    let mut served = 0;
    while hand.broker.channel_count() > 0 {
        assert_eq!(told(&desk, leaving), [""; 0], "its end is told when it is in no channel");
        let before = hand.broker.channel_count();
        say(&mut neighbour.stream, Opcode::Text, b"still there?");
        hand.turn();
        served = told(&desk, neighbour.id()).len();
        assert!(before - hand.broker.channel_count() <= 64, "more than a turn's share");
        if hand.broker.channel_count() > 0 {
            let place = hand.broker.state().shard(0).take_slot();
            assert_ne!(place, slot, "it still stands in lists");
            hand.broker.state().shard(0).give_slot(place);
        }
    }
    assert!(served >= 5, "the neighbour was heard {served} times");
    hand.turn_until("its end is told", |_| told(&desk, leaving) == ["close"]);
    assert_eq!(hand.connect().socket.slot(), slot, "free again");
    assert!(hand.shard.lists.is_empty());
}

#[test]
fn many_that_leave_many_channels_share_a_turn() {
    let mut hand = Hand::new(TurnBounds { leaves: 64, ..TurnBounds::default() });
    let (desk, _worker) = hand.worker();
    let leavers: Vec<_> = (0..20).map(|_| hand.connect()).collect();
    for leaver in &leavers {
        hand.broker.subscribe_many(&mut hand.cork, leaver.id(), &names(100)).unwrap();
        hand.broker.subscribe(&mut hand.cork, leaver.id(), leaver.id().to_string().as_bytes()).unwrap();
    }
    hand.finish();
    let members =
        |hand: &Hand| -> usize { names(100).iter().map(|name| hand.broker.subscriber_count(name.as_bytes())).sum() };
    let ids: Vec<_> = leavers.iter().map(Peer::id).collect();
    drop(leavers);
    let mut last = members(&hand);
    assert_eq!(last, 2000);
    hand.turn_until("they are known to have gone", |hand| !hand.shard.retiring.is_empty());
    while last > 0 {
        hand.turn();
        let now = members(&hand);
        assert!(last - now <= 2 * 64, "{} channels were left in a turn", last - now);
        last = now;
    }
    hand.finish();
    assert_eq!(hand.broker.channel_count(), 0);
    assert!(ids.iter().all(|id| told(&desk, *id) == ["close"]));
}

#[test]
fn a_shard_does_not_wait_for_a_thread_that_changes_a_sockets_channels() {
    let mut hand = Hand::new(TurnBounds::default());
    let (desk, _worker) = hand.worker();
    let (leaver, mut neighbour) = (hand.connect(), hand.connect());
    hand.broker.subscribe_many(&mut hand.cork, leaver.id(), &names(3)).unwrap();
    hand.finish();
    let Peer { socket, stream, .. } = leaver;
    let busy = socket.membership();
    drop(stream);
    hand.turn_until("it is to leave", |hand| !hand.shard.retiring.is_empty());
    say(&mut neighbour.stream, Opcode::Text, b"hello");
    hand.turn_until("the neighbour is heard", |_| told(&desk, neighbour.id()) == ["hello"]);
    assert_eq!(hand.broker.channel_count(), 3);
    assert!(told(&desk, socket.id()).is_empty());
    assert!(hand.shard.wait().is_some_and(|wait| wait <= LOCKED), "nobody will wake it");
    drop(busy);
    hand.turn_until("its end is told", |_| told(&desk, socket.id()) == ["close"]);
    assert_eq!(hand.broker.channel_count(), 0);
}

#[test]
fn a_publish_to_very_many_reaches_those_of_the_call_while_others_are_read() {
    let mut hand = Hand::new(TurnBounds { at_once: 4, steps: 8, ..TurnBounds::default() });
    let (desk, _worker) = hand.worker();
    let mut peers: Vec<_> = (0..40).map(|_| hand.connect()).collect();
    let (mut late, mut neighbour) = (hand.connect(), hand.connect());
    for peer in &peers {
        hand.broker.subscribe(&mut hand.cork, peer.id(), b"room").unwrap();
    }
    hand.finish();
    let lost = peers.remove(35);

    let sent = hand.flow().messages_out;
    assert_eq!(hand.publish(b"room", b"bye"), 40);
    hand.broker.unsubscribe(&mut hand.cork, peers[38].id(), b"room");
    hand.broker.subscribe(&mut hand.cork, late.id(), b"room").unwrap();
    hand.publish(b"room", b"hi");
    for peer in peers.iter().chain([&late, &neighbour]) {
        hand.send(peer.id(), b"end");
    }
    hand.turn();
    drop(lost);
    let mut heard_at = None;
    say(&mut neighbour.stream, Opcode::Text, b"hello");
    let mut before = sent;
    while hand.has_work() {
        let now = hand.flow().messages_out;
        assert!(now - before <= 8 + 4, "{} messages in a turn", now - before);
        before = now;
        if heard_at.is_none() && !told(&desk, neighbour.id()).is_empty() {
            heard_at = Some(now - sent);
        }
        hand.turn();
    }
    let heard_at = heard_at.expect("the neighbour is heard");
    assert!(heard_at < 40, "only after {heard_at} messages");
    let unsubscribed = peers[38].id();
    for peer in &mut peers {
        let expected: &[&str] = if peer.id() == unsubscribed { &["bye", "end"] } else { &["bye", "hi", "end"] };
        assert_eq!(peer.texts_until("end"), expected);
    }
    assert_eq!(late.texts_until("end"), ["hi", "end"]);
    assert_eq!(neighbour.texts_until("end"), ["end"]);
}

#[test]
fn a_reply_does_not_wait_until_very_many_are_written() {
    let mut hand = Hand::new(TurnBounds { writes: 4, ..TurnBounds::default() });
    let mut peers: Vec<_> = (0..40).map(|_| hand.connect()).collect();
    let mut neighbour = hand.connect();
    for peer in &peers {
        hand.broker.subscribe(&mut hand.cork, peer.id(), b"room").unwrap();
    }
    hand.finish();
    hand.publish(b"room", b"end");
    hand.turn();
    assert_eq!(hand.shard.late.len(), 36);
    hand.send(neighbour.id(), b"reply");
    hand.turn();
    assert!(hand.shard.late.len() >= 32, "a turn's share");
    assert_eq!(neighbour.texts_until("reply"), ["reply"]);
    hand.finish();
    for peer in &mut peers {
        assert_eq!(peer.texts_until("end"), ["end"]);
    }
}

#[test]
fn a_long_outbox_is_written_in_slices_although_the_kernel_takes_more() {
    let mut hand = Hand::new(TurnBounds::default());
    let (desk, _worker) = hand.worker();
    let limits = SocketLimits { max_backpressure: 1 << 30, ..SocketLimits::default() };
    let (reader, mut neighbour) = (hand.connect_within(&limits), hand.connect());
    hand.shard.ctx.spare.write_max = 50_000;
    for _ in 0..100 {
        // Each is a piece of its own, of which one call of the system takes 64.
        assert_eq!(hand.send(reader.id(), &[b'x'; 5000]), SendOutcome::Queued);
    }
    hand.turn();
    let left = reader.socket.queued();
    assert!((1..=450_000).contains(&left), "{left} are left");
    assert!(!hand.shard.ctx.dirty.is_empty(), "the kernel would take more");
    say(&mut neighbour.stream, Opcode::Text, b"hello");
    hand.turn_until("the neighbour is heard", |_| told(&desk, neighbour.id()) == ["hello"]);
    let Peer { mut stream, .. } = reader;
    let reads = std::thread::spawn(move || {
        let mut all = vec![0; b"101".len() + 100 * 5004];
        stream.read_exact(&mut all).unwrap();
    });
    hand.turn_until("all is read", |_| reads.is_finished());
    reads.join().unwrap();
}

#[test]
fn a_worker_ends_in_slices_and_its_connections_lose_and_reorder_nothing() {
    let mut hand = Hand::new(TurnBounds { steps: 48, ..TurnBounds::default() });
    let (first, handle) = hand.worker();
    let mut peers: Vec<_> = (0..30).map(|_| hand.connect()).collect();
    let (second, _heir) = hand.worker();
    let ended = hand.broker.state().dispatch.find(handle.id()).unwrap();
    let mut said = vec![0; peers.len()];
    let say_next = |peers: &mut [Peer], said: &mut [u64], which: usize| {
        say(&mut peers[which].stream, Opcode::Text, said[which].to_string().as_bytes());
        said[which] += 1;
    };
    for which in 0..5 {
        say_next(&mut peers, &mut said, which);
    }
    hand.turn_until("the first has them", |_| peers[..5].iter().all(|peer| told(&first, peer.id()).len() == 1));
    first.is_gone.store(true, Ordering::SeqCst);
    handle.remove(std::mem::take(&mut first.batches.lock()));
    let (mut which, mut turns) = (0, 0);
    while ended.connections() > 0 {
        // Some that have moved, and some that have not.
        for _ in 0..4 {
            which = (which + 7) % peers.len();
            say_next(&mut peers, &mut said, which);
        }
        hand.turn();
        turns += 1;
    }
    assert!(turns >= 4, "all moved in {turns} turns");
    for which in 0..peers.len() {
        say_next(&mut peers, &mut said, which);
    }
    let all = |said: u64| -> Vec<_> { (0..said).map(|number| number.to_string()).collect() };
    hand.turn_until("the second has all", |_| {
        peers.iter().zip(&said).all(|(peer, said)| told(&second, peer.id()).len() >= *said as usize)
    });
    for (peer, said) in peers.iter().zip(&said) {
        assert_eq!(told(&second, peer.id()), all(*said));
    }
    assert!(first.batches.lock().is_empty());
}

#[test]
fn an_end_that_is_still_to_be_told_goes_where_the_sockets_last_events_go() {
    let mut hand = Hand::new(TurnBounds { leaves: 64, ..TurnBounds::default() });
    let (first, handle) = hand.worker();
    let leaver = hand.connect();
    let id = leaver.id();
    hand.broker.subscribe_many(&mut hand.cork, id, &names(1000)).unwrap();
    hand.finish();
    let Peer { mut stream, .. } = leaver;
    say(&mut stream, Opcode::Text, b"last words");
    drop(stream);
    hand.turn_until("it has begun to leave", |hand| !hand.shard.retiring.is_empty());
    assert_eq!(told(&first, id), ["last words"]);
    first.is_gone.store(true, Ordering::SeqCst);
    handle.remove(std::mem::take(&mut first.batches.lock()));
    hand.turn();
    let others = [hand.worker(), hand.worker(), hand.worker()];
    hand.turn();
    assert!(!hand.shard.retiring.is_empty(), "it still leaves");
    // From now on the next connection goes to another of them.
    let _one_more = connect(hand.broker.state());
    hand.finish();
    let told: Vec<_> = others.iter().map(|(desk, _)| told(desk, id)).filter(|told| !told.is_empty()).collect();
    assert_eq!(told, [["last words", "close"]]);
    let counts = others.iter().map(|(_, worker)| hand.broker.state().dispatch.find(worker.id()).unwrap().connections());
    assert_eq!(counts.sum::<usize>(), 1);
}

#[test]
fn everybody_is_closed_in_slices() {
    let mut hand = Hand::new(TurnBounds { steps: 48, ..TurnBounds::default() });
    let (desk, _worker) = hand.worker();
    let mut peers: Vec<_> = (0..30).map(|_| hand.connect()).collect();
    hand.broker.state().shard(0).push(Command::CloseAll(None, CloseCode::GOING_AWAY));
    let mut turns = 0;
    while hand.has_work() {
        hand.turn();
        turns += 1;
    }
    assert!(turns >= 10, "in {turns} turns");
    for peer in &mut peers {
        assert_eq!(peer.texts_until("close"), ["close"]);
    }
    hand.broker.state().shard(0).push(Command::TerminateOf(None));
    hand.finish();
    assert!(peers.iter().all(|peer| told(&desk, peer.id()) == ["close"]));
}

/// What is done to a socket or a channel, each by its number.
#[derive(Clone, Debug)]
enum Call {
    Subscribe(usize, usize),
    SubscribeToAll(usize),
    Unsubscribe(usize, usize),
    UnsubscribeFromAll(usize),
    Copy(usize, usize),
    Publish(usize),
    Send(usize),
    CloseChannel(usize),
    /// A turn is taken, by the shard that has little room in it.
    TurnBudget,
}

const SOCKETS: usize = 7;
const CHANNELS: usize = 5;

fn call() -> impl Strategy<Value = Call> {
    let (socket, channel) = (0..SOCKETS, 0..CHANNELS);
    prop_oneof![
        4 => (socket.clone(), channel.clone()).prop_map(|(socket, channel)| Call::Subscribe(socket, channel)),
        2 => socket.clone().prop_map(Call::SubscribeToAll),
        2 => (socket.clone(), channel.clone()).prop_map(|(socket, channel)| Call::Unsubscribe(socket, channel)),
        2 => socket.clone().prop_map(Call::UnsubscribeFromAll),
        1 => (channel.clone(), channel.clone()).prop_map(|(from, to)| Call::Copy(from, to)),
        6 => channel.clone().prop_map(Call::Publish),
        3 => socket.prop_map(Call::Send),
        1 => channel.prop_map(Call::CloseChannel),
        6 => Just(Call::TurnBudget),
    ]
}

/// What each client has received in the end.
fn run(calls: &[Call], bounds: TurnBounds) -> Vec<Vec<String>> {
    let mut hand = Hand::new(bounds);
    let mut peers: Vec<_> = (0..SOCKETS).map(|_| hand.connect()).collect();
    let channels: Vec<_> = (0..CHANNELS).map(|number| format!("channel {number}").into_bytes()).collect();
    for (number, call) in calls.iter().enumerate() {
        let text = format!("{number}");
        match call {
            Call::Subscribe(socket, channel) => {
                _ = hand.broker.subscribe(&mut hand.cork, peers[*socket].id(), &channels[*channel]);
            }
            Call::SubscribeToAll(socket) => {
                _ = hand.broker.subscribe_many(&mut hand.cork, peers[*socket].id(), &channels);
            }
            Call::Unsubscribe(socket, channel) => {
                _ = hand.broker.unsubscribe(&mut hand.cork, peers[*socket].id(), &channels[*channel]);
            }
            Call::UnsubscribeFromAll(socket) => {
                _ = hand.broker.unsubscribe_all(&mut hand.cork, peers[*socket].id());
            }
            Call::Copy(from, to) => {
                _ = hand.broker.copy_subscriptions(&mut hand.cork, &channels[*from], &channels[*to]);
            }
            Call::Publish(channel) => _ = hand.publish(&channels[*channel], text.as_bytes()),
            Call::Send(socket) => _ = hand.send(peers[*socket].id(), text.as_bytes()),
            Call::CloseChannel(channel) => {
                _ = hand.cork.close_channel(&channels[*channel], CloseCode::NORMAL, "");
                hand.cork.flush();
            }
            Call::TurnBudget => hand.turn(),
        }
    }
    for peer in &peers {
        hand.send(peer.id(), b"end");
    }
    hand.finish();
    peers.iter_mut().map(|peer| peer.texts_until("end")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn in_slices_everything_takes_effect_as_it_does_at_once(calls in prop::collection::vec(call(), 0..60)) {
        let tight = TurnBounds { steps: 3, at_once: 1, writes: 2, leaves: 2 };
        prop_assert_eq!(run(&calls, tight), run(&calls, TurnBounds::default()));
    }
}

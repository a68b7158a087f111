//! Work that takes more than a turn.

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::{
    manual_shard::{ManualShard, Peer, told},
    *,
};
use crate::{
    SendOutcome,
    shard::{budget::TurnBounds, connection_state::ConnectionPhase},
};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("channel {number}")).collect()
}

#[test]
fn a_socket_in_very_many_channels_leaves_them_while_others_are_served() {
    let mut manual = ManualShard::new(TurnBounds { leaves: 64, ..TurnBounds::default() });
    let (events, _worker) = manual.worker();
    let (leaver, mut neighbour) = (manual.connect(), manual.connect());
    let names = names(1000);
    assert_eq!(manual.broker.subscribe_many(&mut manual.cork, leaver.id(), &names), Ok(1000));
    manual.finish();
    let (leaving, slot) = (leaver.id(), leaver.socket.slot());
    drop(leaver);
    manual.turn_until("it has begun to leave", |manual| !manual.shard.retiring.is_empty());
    assert!(!manual.broker.is_open(leaving));

    let mut served = 0;
    while manual.broker.channel_count() > 0 {
        assert_eq!(told(&events, leaving), [""; 0], "its end is reported when it is in no channel");
        let before = manual.broker.channel_count();
        say(&mut neighbour.stream, Opcode::Text, b"still there?");
        manual.turn();
        served = told(&events, neighbour.id()).len();
        assert!(before - manual.broker.channel_count() <= 64, "more than a turn's share");
        if manual.broker.channel_count() > 0 {
            let key = manual.broker.state().shard(0).take_slot();
            assert_ne!(key, slot, "it still stands in lists");
            manual.broker.state().shard(0).give_slot(key);
        }
    }
    assert!(served >= 5, "the neighbour was heard {served} times");
    manual.turn_until("its end is reported", |_| told(&events, leaving) == ["close"]);
    assert_eq!(manual.connect().socket.slot(), slot, "free again");
    assert!(manual.shard.lists.is_empty());
}

#[test]
fn many_that_leave_many_channels_share_a_turn() {
    let mut manual = ManualShard::new(TurnBounds { leaves: 64, ..TurnBounds::default() });
    let (events, _worker) = manual.worker();
    let leavers: Vec<_> = (0..20).map(|_| manual.connect()).collect();
    for leaver in &leavers {
        manual.broker.subscribe_many(&mut manual.cork, leaver.id(), &names(100)).unwrap();
        manual.broker.subscribe(&mut manual.cork, leaver.id(), leaver.id().to_string().as_bytes()).unwrap();
    }
    manual.finish();
    let members = |manual: &ManualShard| -> usize {
        names(100).iter().map(|name| manual.broker.subscriber_count(name.as_bytes())).sum()
    };
    let ids: Vec<_> = leavers.iter().map(Peer::id).collect();
    drop(leavers);
    let mut last = members(&manual);
    assert_eq!(last, 2000);
    manual.turn_until("they are known to have gone", |manual| !manual.shard.retiring.is_empty());
    while last > 0 {
        manual.turn();
        let now = members(&manual);
        assert!(last - now <= 2 * 64, "{} channels were left in a turn", last - now);
        last = now;
    }
    manual.finish();
    assert_eq!(manual.broker.channel_count(), 0);
    assert!(ids.iter().all(|id| told(&events, *id) == ["close"]));
}

#[test]
fn a_shard_does_not_wait_for_a_thread_that_changes_a_sockets_channels() {
    let mut manual = ManualShard::new(TurnBounds::default());
    let (events, _worker) = manual.worker();
    let (leaver, mut neighbour) = (manual.connect(), manual.connect());
    manual.broker.subscribe_many(&mut manual.cork, leaver.id(), &names(3)).unwrap();
    manual.finish();
    let Peer { socket, stream, .. } = leaver;
    let busy = socket.membership();
    drop(stream);
    manual.turn_until("it is to leave", |manual| !manual.shard.retiring.is_empty());
    say(&mut neighbour.stream, Opcode::Text, b"hello");
    manual.turn_until("the neighbour is heard", |_| told(&events, neighbour.id()) == ["hello"]);
    assert_eq!(manual.broker.channel_count(), 3);
    assert!(told(&events, socket.id()).is_empty());
    assert!(manual.shard.wait().is_some_and(|wait| wait <= LOCKED), "nobody will wake it");
    drop(busy);
    manual.turn_until("its end is reported", |_| told(&events, socket.id()) == ["close"]);
    assert_eq!(manual.broker.channel_count(), 0);
}

#[test]
fn a_message_for_all_is_sent_in_slices_behind_what_came_before() {
    let mut manual = ManualShard::new(TurnBounds { steps: 8, ..TurnBounds::default() });
    let (_events, _worker) = manual.worker();
    let mut peers: Vec<_> = (0..40).map(|_| manual.connect()).collect();
    let excluded = [peers[3].id(), peers[7].id()];
    let sent = manual.flow().messages_out;
    manual.send(peers[39].id(), b"before");
    let staged = manual.cork.stage_slice(MessageKind::Text, b"all");
    assert_eq!(manual.cork.send_to_all(staged, &excluded), 40);
    for peer in &peers {
        manual.send(peer.id(), b"end");
    }
    manual.cork.flush();
    let (mut before, mut turns) = (sent, 0);
    while manual.has_work() {
        manual.turn();
        let now = manual.flow().messages_out;
        assert!(now - before <= 8, "{} messages in a turn", now - before);
        (before, turns) = (now, turns + 1);
    }
    assert!(turns >= 10, "{turns} turns");
    for (index, peer) in peers.iter_mut().enumerate() {
        let expected: &[&str] = match index {
            3 | 7 => &["end"],
            39 => &["before", "all", "end"],
            _ => &["all", "end"],
        };
        assert_eq!(peer.texts_until("end"), expected, "{index}");
    }
}

#[test]
fn a_drain_closes_at_most_so_many_in_a_turn_while_others_are_read() {
    let mut manual = ManualShard::new(TurnBounds { steps: 4 * 16, ..TurnBounds::default() });
    let (events, _worker) = manual.worker();
    let mut peers: Vec<_> = (0..40).map(|_| manual.connect()).collect();
    let order =
        DrainOrder { code: CloseCode::RESTART, reason: "retry-after=1".into(), end: Instant::now(), jitter: 0.0 };
    manual.broker.state().shard(0).push(Command::Drain(Arc::new(order)));
    say(&mut peers[39].stream, Opcode::Text, b"hello");
    let closing = |manual: &mut ManualShard| {
        manual.shard.connections.all().filter(|one| one.phase == ConnectionPhase::CloseSent).count()
    };
    let mut before = 0;
    while before < 40 {
        manual.turn();
        let now = closing(&mut manual);
        assert!(now - before <= 4, "{} in a turn", now - before);
        if before < 40 {
            assert_eq!(manual.shard.wait(), Some(Duration::ZERO), "nobody will wake it");
        }
        if now == 36 {
            assert_eq!(told(&events, peers[39].id()), ["hello"]);
        }
        before = now;
    }
    for peer in &mut peers {
        assert_eq!(peer.texts_until("close"), ["close"]);
    }
}

#[test]
fn a_publish_to_very_many_reaches_those_of_the_call_while_others_are_read() {
    let mut manual = ManualShard::new(TurnBounds { at_once: 4, steps: 8, ..TurnBounds::default() });
    let (events, _worker) = manual.worker();
    let mut peers: Vec<_> = (0..40).map(|_| manual.connect()).collect();
    let (mut late, mut neighbour) = (manual.connect(), manual.connect());
    for peer in &peers {
        manual.broker.subscribe(&mut manual.cork, peer.id(), b"room").unwrap();
    }
    manual.finish();
    let lost = peers.remove(35);

    let sent = manual.flow().messages_out;
    assert_eq!(manual.publish(b"room", b"bye"), 40);
    manual.broker.unsubscribe(&mut manual.cork, peers[38].id(), b"room");
    manual.broker.subscribe(&mut manual.cork, late.id(), b"room").unwrap();
    manual.publish(b"room", b"hi");
    for peer in peers.iter().chain([&late, &neighbour]) {
        manual.send(peer.id(), b"end");
    }
    manual.turn();
    drop(lost);
    let mut heard_at = None;
    say(&mut neighbour.stream, Opcode::Text, b"hello");
    let mut before = sent;
    while manual.has_work() {
        let now = manual.flow().messages_out;
        assert!(now - before <= 8 + 4, "{} messages in a turn", now - before);
        before = now;
        if heard_at.is_none() && !told(&events, neighbour.id()).is_empty() {
            heard_at = Some(now - sent);
        }
        manual.turn();
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
    let mut manual = ManualShard::new(TurnBounds { writes: 4, ..TurnBounds::default() });
    let mut peers: Vec<_> = (0..40).map(|_| manual.connect()).collect();
    let mut neighbour = manual.connect();
    for peer in &peers {
        manual.broker.subscribe(&mut manual.cork, peer.id(), b"room").unwrap();
    }
    manual.finish();
    manual.publish(b"room", b"end");
    manual.turn();
    assert_eq!(manual.shard.late.len(), 36);
    manual.send(neighbour.id(), b"reply");
    manual.turn();
    assert!(manual.shard.late.len() >= 32, "a turn's share");
    assert_eq!(neighbour.texts_until("reply"), ["reply"]);
    manual.finish();
    for peer in &mut peers {
        assert_eq!(peer.texts_until("end"), ["end"]);
    }
}

#[test]
fn a_long_outbox_is_written_in_slices_although_the_kernel_takes_more() {
    let mut manual = ManualShard::new(TurnBounds::default());
    let (events, _worker) = manual.worker();
    let limits = SocketLimits { max_backpressure: 1 << 30, ..SocketLimits::default() };
    let (reader, mut neighbour) = (manual.connect_within(&limits), manual.connect());
    manual.shard.ctx.spare.write_max = 50_000;
    for _ in 0..100 {
        // Each is a piece of its own, of which one call of the system takes 64.
        assert_eq!(manual.send(reader.id(), &[b'x'; 5000]), SendOutcome::Queued);
    }
    manual.turn();
    let left = reader.socket.queued();
    assert!((1..=450_000).contains(&left), "{left} are left");
    assert!(!manual.shard.ctx.dirty.is_empty(), "the kernel would take more");
    say(&mut neighbour.stream, Opcode::Text, b"hello");
    manual.turn_until("the neighbour is heard", |_| told(&events, neighbour.id()) == ["hello"]);
    let Peer { mut stream, .. } = reader;
    let reads = std::thread::spawn(move || {
        let mut all = vec![0; b"101".len() + 100 * 5004];
        stream.read_exact(&mut all).unwrap();
    });
    manual.turn_until("all is read", |_| reads.is_finished());
    reads.join().unwrap();
}

#[test]
fn a_worker_ends_in_slices_and_its_connections_lose_and_reorder_nothing() {
    let mut manual = ManualShard::new(TurnBounds { steps: 48, ..TurnBounds::default() });
    let (first, handle) = manual.worker();
    let mut peers: Vec<_> = (0..30).map(|_| manual.connect()).collect();
    let (second, _heir) = manual.worker();
    let ended = manual.broker.state().dispatch.find(handle.id()).unwrap();
    let mut said = vec![0; peers.len()];
    let say_next = |peers: &mut [Peer], said: &mut [u64], which: usize| {
        say(&mut peers[which].stream, Opcode::Text, said[which].to_string().as_bytes());
        said[which] += 1;
    };
    for which in 0..5 {
        say_next(&mut peers, &mut said, which);
    }
    manual.turn_until("the first has them", |_| peers[..5].iter().all(|peer| told(&first, peer.id()).len() == 1));
    first.is_gone.store(true, Ordering::SeqCst);
    handle.remove(std::mem::take(&mut first.batches.lock()));
    let (mut which, mut turns) = (0, 0);
    while ended.connections() > 0 {
        // Some that have moved, and some that have not.
        for _ in 0..4 {
            which = (which + 7) % peers.len();
            say_next(&mut peers, &mut said, which);
        }
        manual.turn();
        turns += 1;
    }
    assert!(turns >= 4, "all moved in {turns} turns");
    for which in 0..peers.len() {
        say_next(&mut peers, &mut said, which);
    }
    let all = |said: u64| -> Vec<_> { (0..said).map(|number| number.to_string()).collect() };
    manual.turn_until("the second has all", |_| {
        peers.iter().zip(&said).all(|(peer, said)| told(&second, peer.id()).len() >= *said as usize)
    });
    for (peer, said) in peers.iter().zip(&said) {
        assert_eq!(told(&second, peer.id()), all(*said));
    }
    assert!(first.batches.lock().is_empty());
}

#[test]
fn an_end_that_is_still_to_be_told_goes_where_the_sockets_last_events_go() {
    let mut manual = ManualShard::new(TurnBounds { leaves: 64, ..TurnBounds::default() });
    let (first, handle) = manual.worker();
    let leaver = manual.connect();
    let id = leaver.id();
    manual.broker.subscribe_many(&mut manual.cork, id, &names(1000)).unwrap();
    manual.finish();
    let Peer { mut stream, .. } = leaver;
    say(&mut stream, Opcode::Text, b"last words");
    drop(stream);
    manual.turn_until("it has begun to leave", |manual| !manual.shard.retiring.is_empty());
    assert_eq!(told(&first, id), ["last words"]);
    first.is_gone.store(true, Ordering::SeqCst);
    handle.remove(std::mem::take(&mut first.batches.lock()));
    manual.turn();
    let others = [manual.worker(), manual.worker(), manual.worker()];
    manual.turn();
    assert!(!manual.shard.retiring.is_empty(), "it still leaves");
    // From now on the next connection goes to another of them.
    let _one_more = connect(manual.broker.state());
    manual.finish();
    let told: Vec<_> = others.iter().map(|(events, _)| told(events, id)).filter(|told| !told.is_empty()).collect();
    assert_eq!(told, [["last words", "close"]]);
    let counts =
        others.iter().map(|(_, worker)| manual.broker.state().dispatch.find(worker.id()).unwrap().connections());
    assert_eq!(counts.sum::<usize>(), 1);
}

#[test]
fn all_are_closed_in_slices() {
    let mut manual = ManualShard::new(TurnBounds { steps: 48, ..TurnBounds::default() });
    let (events, _worker) = manual.worker();
    let mut peers: Vec<_> = (0..30).map(|_| manual.connect()).collect();
    manual.broker.state().shard(0).push(Command::CloseAll(None, CloseCode::GOING_AWAY));
    let mut turns = 0;
    while manual.has_work() {
        manual.turn();
        turns += 1;
    }
    assert!(turns >= 10, "in {turns} turns");
    for peer in &mut peers {
        assert_eq!(peer.texts_until("close"), ["close"]);
    }
    manual.broker.state().shard(0).push(Command::TerminateOf(None));
    manual.finish();
    assert!(peers.iter().all(|peer| told(&events, peer.id()) == ["close"]));
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
    let mut manual = ManualShard::new(bounds);
    let mut peers: Vec<_> = (0..SOCKETS).map(|_| manual.connect()).collect();
    let channels: Vec<_> = (0..CHANNELS).map(|number| format!("channel {number}").into_bytes()).collect();
    for (number, call) in calls.iter().enumerate() {
        let text = format!("{number}");
        match call {
            Call::Subscribe(socket, channel) => {
                _ = manual.broker.subscribe(&mut manual.cork, peers[*socket].id(), &channels[*channel]);
            }
            Call::SubscribeToAll(socket) => {
                _ = manual.broker.subscribe_many(&mut manual.cork, peers[*socket].id(), &channels);
            }
            Call::Unsubscribe(socket, channel) => {
                _ = manual.broker.unsubscribe(&mut manual.cork, peers[*socket].id(), &channels[*channel]);
            }
            Call::UnsubscribeFromAll(socket) => {
                _ = manual.broker.unsubscribe_all(&mut manual.cork, peers[*socket].id());
            }
            Call::Copy(from, to) => {
                _ = manual.broker.copy_subscriptions(&mut manual.cork, &channels[*from], &channels[*to]);
            }
            Call::Publish(channel) => _ = manual.publish(&channels[*channel], text.as_bytes()),
            Call::Send(socket) => _ = manual.send(peers[*socket].id(), text.as_bytes()),
            Call::CloseChannel(channel) => {
                _ = manual.cork.close_channel(&channels[*channel], CloseCode::NORMAL, "");
                manual.cork.flush();
            }
            Call::TurnBudget => manual.turn(),
        }
    }
    for peer in &peers {
        manual.send(peer.id(), b"end");
    }
    manual.finish();
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

//! What is under way to the nodes of a Cluster, and whether it moves. redis-rs can lose an answer
//! while the same connection goes on answering others, so that a connection is alive is no reason
//! to wait for an answer. But a command that its node has had for a while, and whose bytes the
//! node's kernel still takes, is.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use super::liveness::{GRACE, LOOK, Liveness, Unresponsive};

/// Bytes that arrive put an answer off for this many times the limit: it may be behind what Redis
/// sends to a listener, but it may also be lost.
const ARRIVING: u32 = 4;

/// The commands that the nodes of one Cluster have not answered.
#[derive(Debug, Default)]
pub(crate) struct NodeTraffic(Mutex<UnansweredCommands>);

#[derive(Debug, Default)]
struct UnansweredCommands {
    last: u64,
    under_way: Vec<NodeCommand>,
}

#[derive(Debug)]
struct NodeCommand {
    number: u64,
    begun: Instant,
    node: Arc<Liveness>,
    /// With the last byte of this command, the node has been sent so many.
    end: u64,
    /// Of those, how many were acknowledged when this was last looked at, if it was.
    acknowledged: Option<u64>,
    /// When all of them had been.
    arrived: Option<Instant>,
    /// When something moved last.
    moved: Instant,
}

/// What has been sent to one node, counted where it is given to redis-rs, which writes it in order.
#[derive(Debug, Clone)]
pub(crate) struct NodeBytes(Arc<AtomicU64>);

impl NodeBytes {
    /// Of a connection on which so many bytes were written before the first command.
    pub(crate) fn after(node: &Liveness) -> Self {
        Self(Arc::new(AtomicU64::new(node.written())))
    }
}

impl NodeTraffic {
    /// A command of this many bytes goes to that node. It is under way until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, node: &Arc<Liveness>, sent: &NodeBytes, bytes: usize) -> UnderWay {
        let now = Instant::now();
        let mut commands = self.0.lock();
        commands.last += 1;
        let number = commands.last;
        let end = sent.0.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        commands.under_way.push(NodeCommand {
            number,
            begun: now,
            node: Arc::clone(node),
            end,
            acknowledged: None,
            arrived: None,
            moved: now,
        });
        UnderWay { traffic: Arc::clone(self), number }
    }

    /// The outcome of `task`, which waits for answers of nodes.
    ///
    /// # Errors
    /// There was none for this long, and no command that was under way moved.
    pub(crate) async fn within<T>(&self, limit: Duration, task: impl Future<Output = T>) -> Result<T, Unresponsive> {
        let mut task = pin!(task);
        let mut moved = Instant::now();
        loop {
            if let Ok(outcome) = timeout_at((moved + limit).min(Instant::now() + LOOK), &mut task).await {
                return Ok(outcome);
            }
            moved = self.moved(limit).map_or(moved, |late| moved.max(late));
            if Instant::now() >= moved + limit {
                return timeout(GRACE, &mut task).await.map_err(|_| Unresponsive(limit));
            }
        }
    }

    /// When a command moved last that is late because its line is slow. Nothing if there is none,
    /// or another is late because its node hangs.
    fn moved(&self, limit: Duration) -> Option<Instant> {
        let now = Instant::now();
        let (mut moved, mut hangs) = (None, false);
        for command in &mut self.0.lock().under_way {
            // On a fast line the next look does not find it.
            if now >= command.begun + LOOK {
                command.look(now, limit);
                hangs |= now >= command.moved + limit;
                moved = moved.max(Some(command.moved));
            }
        }
        moved.filter(|_| !hangs)
    }
}

impl NodeCommand {
    fn look(&mut self, now: Instant, limit: Duration) {
        match self.arrived {
            None => {
                let acknowledged = self.node.acknowledged();
                if self.acknowledged.replace(acknowledged).is_some_and(|before| acknowledged > before) {
                    self.moved = now;
                }
                self.arrived = (acknowledged >= self.end).then_some(now);
            }
            Some(arrived) if now < arrived + limit * ARRIVING => self.moved = self.moved.max(self.node.heard()),
            Some(_) => {}
        }
    }
}

/// A command that its node has not answered.
#[derive(Debug)]
pub(crate) struct UnderWay {
    traffic: Arc<NodeTraffic>,
    number: u64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut commands = self.traffic.0.lock();
        // Nodes answer in order, so it is one of the first.
        if let Some(at) = commands.under_way.iter().position(|command| command.number == self.number) {
            commands.under_way.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(2500);
    const STEP: Duration = Duration::from_millis(100);

    struct World {
        traffic: Arc<NodeTraffic>,
        node: Arc<Liveness>,
        sent: NodeBytes,
    }

    impl World {
        fn new() -> Self {
            let node = Arc::new(Liveness::unconnected());
            Self { traffic: Arc::default(), sent: NodeBytes::after(&node), node }
        }

        fn begin(&self, bytes: usize) -> UnderWay {
            self.traffic.begin(&self.node, &self.sent, bytes)
        }

        /// How long an answer that never comes is waited for.
        async fn patience(&self) -> Duration {
            let begun = Instant::now();
            self.traffic.within(LIMIT, pending::<()>()).await.unwrap_err();
            begun.elapsed()
        }
    }

    /// Time passes when nobody has anything to do.
    fn run<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(future)
    }

    async fn forever(mut step: impl FnMut()) {
        loop {
            step();
            sleep(STEP).await;
        }
    }

    #[test]
    fn an_answer_that_was_lost_is_not_awaited_while_others_come() {
        run(async {
            let world = World::new();
            let others = forever(|| {
                let _answered = world.begin(100);
                world.node.wrote(100);
                world.node.note();
            });
            tokio::select! {
                passed = world.patience() => assert!(passed < LIMIT + STEP, "{passed:?}"),
                () = others => {}
            }
        });
    }

    #[test]
    fn bytes_that_a_node_takes_put_the_deadline_off_and_the_next_ones_do_not() {
        run(async {
            let world = World::new();
            let _ahead = world.begin(10_000);
            // They arrive within ten seconds.
            let taking = forever(|| world.node.wrote(100));
            tokio::select! {
                passed = world.patience() => {
                    let (least, most) = (Duration::from_secs(10), Duration::from_secs(10) + LIMIT + 3 * LOOK);
                    assert!((least..most).contains(&passed), "{passed:?}");
                }
                () = taking => {}
            }
        });
    }

    #[test]
    fn bytes_that_arrive_put_the_deadline_off_for_some_time() {
        run(async {
            let world = World::new();
            let _question = world.begin(100);
            world.node.wrote(100);
            tokio::select! {
                passed = world.patience() => {
                    let most = LIMIT * (ARRIVING + 1) + 3 * LOOK;
                    assert!((LIMIT * ARRIVING..most).contains(&passed), "{passed:?}");
                }
                () = forever(|| world.node.note()) => {}
            }
        });
    }

    #[test]
    fn a_node_that_hangs_is_not_hidden_by_a_slow_one() {
        run(async {
            let world = World::new();
            let _ahead = world.begin(1_000_000);
            let hanging = Arc::new(Liveness::unconnected());
            let _question = world.traffic.begin(&hanging, &NodeBytes::after(&hanging), 100);
            tokio::select! {
                passed = world.patience() => assert!(passed < LIMIT * 2 + 3 * LOOK, "{passed:?}"),
                () = forever(|| world.node.wrote(100)) => {}
            }
        });
    }
}

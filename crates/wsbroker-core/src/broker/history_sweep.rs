//! Lets go of messages that channels have kept for too long.

use std::{sync::Weak, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::BrokerState;

/// Between two looks.
const TICK: Duration = Duration::from_secs(1);

/// Looks at some channels each time, until the broker is gone.
pub(crate) async fn run(broker: Weak<BrokerState>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = 0;
    loop {
        ticks.tick().await;
        let Some(broker) = broker.upgrade() else { return };
        next = broker.histories.sweep_some(next);
    }
}

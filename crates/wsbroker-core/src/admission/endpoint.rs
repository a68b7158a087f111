//! What a listener's connections have in common.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{Notify, watch};

use crate::{
    config::{DeflateConfig, SocketLimits},
    registry::NamespaceState,
};

/// One path set on one address: the settings of its connections, and how many there are.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Tells the listeners of a broker apart.
    pub(crate) id: u32,
    pub(crate) limits: SocketLimits,
    /// How messages are compressed for clients that can inflate them.
    pub(crate) deflate: Option<DeflateConfig>,
    /// The namespace of these connections; `None` for raw ones.
    pub(crate) namespace: Option<Arc<NamespaceState>>,
    /// It takes no sockets itself: it is there for plain requests.
    pub(crate) is_without_paths: bool,
    phase: watch::Sender<EndpointPhase>,
    connections: AtomicUsize,
    changed: Notify,
}

/// The phase of an endpoint. It only moves forward.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum EndpointPhase {
    /// Its paths are taken; upgrades are refused for now.
    Reserved,
    Serving,
    /// No upgrade is admitted any more, and no request is forwarded. Fixed answers are given.
    Draining,
    /// The same, and tunnels end: nobody can ask them to.
    Drained,
    /// It ends, and its connections with it.
    Closing,
}

/// An upgrade under way at an endpoint, which is not empty until this is dropped.
#[derive(Debug)]
pub(crate) struct UpgradeInProgress(Arc<Endpoint>);

impl Endpoint {
    pub(crate) fn new(id: u32, limits: SocketLimits, deflate: Option<DeflateConfig>) -> Self {
        Self {
            id,
            limits,
            deflate,
            namespace: None,
            is_without_paths: false,
            phase: watch::Sender::new(EndpointPhase::Reserved),
            connections: AtomicUsize::new(0),
            changed: Notify::new(),
        }
    }

    /// The same, for the connections of a namespace.
    pub(crate) fn in_namespace(self, namespace: Option<Arc<NamespaceState>>) -> Self {
        Self { namespace, ..self }
    }

    /// The same, for plain requests only if so.
    pub(crate) fn without_paths(self, is_without_paths: bool) -> Self {
        Self { is_without_paths, ..self }
    }

    /// Admits upgrades from now on, unless it is closing.
    pub(crate) fn serve(&self) {
        self.phase.send_if_modified(|phase| {
            let reserved = *phase == EndpointPhase::Reserved;
            if reserved {
                *phase = EndpointPhase::Serving;
            }
            reserved
        });
    }

    /// Admits no upgrade and forwards no request any more, but goes on giving fixed answers.
    pub(crate) fn drain(&self) {
        self.advance(EndpointPhase::Draining);
    }

    /// Ends the tunnels of a draining endpoint.
    pub(crate) fn end_tunnels(&self) {
        self.advance(EndpointPhase::Drained);
    }

    fn advance(&self, to: EndpointPhase) {
        self.phase.send_if_modified(|phase| {
            let earlier = *phase < to;
            if earlier {
                *phase = to;
            }
            earlier
        });
    }

    /// Admits nothing any more. False when it was so already.
    pub(crate) fn close(&self) -> bool {
        self.phase.send_replace(EndpointPhase::Closing) != EndpointPhase::Closing
    }

    pub(crate) fn is_serving(&self) -> bool {
        *self.phase.borrow() == EndpointPhase::Serving
    }

    pub(crate) fn is_reserved(&self) -> bool {
        *self.phase.borrow() == EndpointPhase::Reserved
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.phase.borrow() == EndpointPhase::Closing
    }

    /// Whether it admits no upgrade any more, and never will again.
    pub(crate) fn is_ending(&self) -> bool {
        *self.phase.borrow() >= EndpointPhase::Draining
    }

    /// Resolves when it admits no upgrade any more.
    pub(crate) async fn ending(&self) {
        self.reaches(EndpointPhase::Draining).await;
    }

    /// Resolves when its tunnels are to end.
    pub(crate) async fn tunnels_end(&self) {
        self.reaches(EndpointPhase::Drained).await;
    }

    /// Resolves when the endpoint closes.
    pub(crate) async fn closing(&self) {
        self.reaches(EndpointPhase::Closing).await;
    }

    async fn reaches(&self, phase: EndpointPhase) {
        // Fails only when the sender is gone, and we hold it.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Counts an upgrade in; `None` unless serving. Counted before the phase is looked at: either
    /// we see that the endpoint is closing, or [`emptied`](Self::emptied) sees us.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<UpgradeInProgress> {
        self.joined();
        let entered = UpgradeInProgress(Arc::clone(self));
        self.is_serving().then_some(entered)
    }

    /// Counts a plain request in; `None` when the endpoint takes no more.
    pub(crate) fn enter_request(self: &Arc<Self>) -> Option<UpgradeInProgress> {
        self.joined();
        let entered = UpgradeInProgress(Arc::clone(self));
        (!self.is_ending()).then_some(entered)
    }

    /// Resolves when the endpoint admits upgrades, or never will. True if it does.
    pub(crate) async fn served(&self) -> bool {
        let mut phase = self.phase.subscribe();
        let decided = phase.wait_for(|phase| *phase != EndpointPhase::Reserved).await;
        // Fails only when the sender is gone, and we hold it.
        decided.is_ok_and(|phase| *phase == EndpointPhase::Serving)
    }

    pub(crate) fn joined(&self) {
        self.connections.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn left(&self) {
        if self.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.changed.notify_waiters();
        }
    }

    /// Resolves when no connection and no upgrade is left. New ones must have been stopped before,
    /// with [`close`](Self::close).
    pub(crate) async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.connections.load(Ordering::Acquire) == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for UpgradeInProgress {
    fn drop(&mut self) {
        self.0.left();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn an_endpoint_admits_only_while_it_serves() {
        let endpoint = Arc::new(Endpoint::new(1, SocketLimits::default(), None));
        assert!(endpoint.enter().is_none(), "reserved");
        endpoint.serve();
        let entered = endpoint.enter();
        assert!(entered.is_some());
        assert!(endpoint.closing().now_or_never().is_none());
        assert!(endpoint.close());
        assert!(!endpoint.close(), "closing twice is closing once");
        endpoint.serve();
        assert!(endpoint.enter().is_none() && endpoint.is_closed());
        assert!(endpoint.closing().now_or_never().is_some());
        assert!(endpoint.emptied().now_or_never().is_none(), "the upgrade is still under way");
        drop(entered);
        assert!(endpoint.emptied().now_or_never().is_some());
    }

    #[test]
    fn a_draining_endpoint_refuses_upgrades_and_is_not_closed() {
        let endpoint = Arc::new(Endpoint::new(1, SocketLimits::default(), None));
        endpoint.serve();
        let request = endpoint.enter_request();
        endpoint.drain();
        endpoint.serve();
        assert!(endpoint.enter().is_none() && endpoint.enter_request().is_none());
        assert!(endpoint.ending().now_or_never().is_some() && endpoint.is_ending() && !endpoint.is_closed());
        assert!(endpoint.tunnels_end().now_or_never().is_none());
        assert!(endpoint.emptied().now_or_never().is_none(), "the request is still under way");
        drop(request);
        assert!(endpoint.emptied().now_or_never().is_some());
        endpoint.end_tunnels();
        assert!(endpoint.tunnels_end().now_or_never().is_some() && endpoint.closing().now_or_never().is_none());
        endpoint.drain();
        assert!(endpoint.close() && endpoint.is_closed());
    }

    #[test]
    fn an_upgrade_is_either_refused_or_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..500 {
            let endpoint = Arc::new(Endpoint::new(1, SocketLimits::default(), None));
            endpoint.serve();
            let under_way = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while let Some(entered) = endpoint.enter() {
                        under_way.fetch_add(1, Ordering::SeqCst);
                        under_way.fetch_sub(1, Ordering::SeqCst);
                        drop(entered);
                    }
                });
                endpoint.close();
                runtime.block_on(endpoint.emptied());
                assert_eq!(under_way.load(Ordering::SeqCst), 0);
            });
        }
    }
}

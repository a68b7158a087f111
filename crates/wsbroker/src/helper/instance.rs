//! What the helpers of one identifier in this process share: a namespace, a listener, an id, and what they have agreed on.

// The macro wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread::{self, ThreadId},
    time::Duration,
};

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;
use parking_lot::Mutex;
use wsbroker_core::{AwaitedPath, CloseCode, ListenError, Listener, Namespace, NamespaceConfig};
use wsbroker_redis::NamespaceSink;

use crate::{
    api::{
        lifecycle::NativeAddress,
        options::{NativeListenOptions, NativeProcessOptions, listener_config, milliseconds, process_options},
    },
    js::{
        failure::{Failure, Result},
        promise::{promise, settled},
        raw::{Env as RawEnv, Failed, Value},
    },
    process::{self, Base},
    worker::{
        runner::{self, HelperFunctions},
        thread_worker::NodeWorker,
    },
};

/// The channel of all clients that are finished. Also in src/helper/protocol.cts.
const BROADCAST_CHANNEL: &[u8] = b"ws:internal:broadcast";
/// What clients of the helper are told on every transport. Also in src/helper/protocol.cts.
const TOO_BIG_REASON: &str = "Received too big message";

/// For messages.
const CALL: &str = "WebSocketServerHelper";

/// The instances of the process that have helpers. Locked before the process's broker, never after.
static INSTANCES: Mutex<Vec<Arc<Instance>>> = Mutex::new(Vec::new());

struct Instance {
    identifier: String,
    server_id: String,
    agreed: Vec<NativeAgreed>,
    base: Base,
    namespace: Arc<Namespace>,
    /// Changed while [`INSTANCES`] is locked.
    registrations: Mutex<Vec<Registration>>,
    listener: Mutex<Option<Arc<Listener>>>,
    /// Its path on an address of `start`, until it is open.
    awaited: Mutex<Option<AwaitedPath>>,
    /// One helper opens it, and the others wait.
    opening: tokio::sync::Mutex<()>,
}

/// A helper that belongs to an instance.
struct Registration {
    number: usize,
    thread: ThreadId,
}

/// Something that the helpers of an instance must agree on, and its value as text.
#[napi(object)]
pub struct NativeAgreed {
    /// The option, for messages.
    pub name: String,
    /// Absent when it was not given.
    pub text: Option<String>,
    /// Whether only those must agree that give it.
    pub optional: bool,
}

/// What a helper joins with.
#[napi(object)]
pub struct NativeJoin {
    /// Who has the same is in the same instance.
    pub identifier: String,
    /// The id of the instance if this is its first helper.
    pub server_id: String,
    /// What must be as the others have it.
    pub agreed: Vec<NativeAgreed>,
    /// What the process has once.
    pub process: NativeProcessOptions,
    /// Whether it shares the address of a server with the same `bind`, whatever its port is.
    pub beside: bool,
    /// Whether its clients may become held.
    pub encrypts: bool,
}

/// What a helper gets when it joins.
#[napi(object)]
pub struct NativeJoinResult {
    /// For all its calls.
    pub helper: u32,
    /// The id of the instance.
    pub server_id: String,
}

impl Instance {
    /// The first option in which a helper differs.
    fn difference<'a>(&self, agreed: &'a [NativeAgreed]) -> Option<&'a str> {
        let differs = |option: &&NativeAgreed| {
            let own = self.agreed.iter().find(|own| own.name == option.name).and_then(|own| own.text.as_ref());
            if option.optional && option.text.is_none() { false } else { own != option.text.as_ref() }
        };
        agreed.iter().find(differs).map(|option| option.name.as_str())
    }

    fn has(&self, number: usize) -> bool {
        self.registrations.lock().iter().any(|registration| registration.number == number)
    }
}

fn find(number: usize) -> Option<Arc<Instance>> {
    INSTANCES.lock().iter().find(|instance| instance.has(number)).map(Arc::clone)
}

/// Takes a place in the instance of that name, which is made if there is none.
///
/// Throws ERR_WSBROKER_CONFLICT when this thread has a helper there already, or an option differs.
#[napi]
pub fn join_instance(join: NativeJoin) -> Result<NativeJoinResult> {
    let process = process_options(&join.process);
    let mut instances = INSTANCES.lock();
    let thread = thread::current().id();
    let mut same = instances.iter().filter(|instance| instance.identifier == join.identifier);
    if same.any(|instance| instance.registrations.lock().iter().any(|registration| registration.thread == thread)) {
        let message = format!(
            "{CALL}: a helper with the identifier \"{}\" is configured on this thread already",
            join.identifier
        );
        return Err(Failure::conflict(message).into());
    }
    let mut same = instances.iter().filter(|instance| instance.identifier == join.identifier);
    let known = same.find(|instance| instance.base.is_current()).map(Arc::clone);
    let instance = match known {
        Some(instance) => {
            if let Some(name) = instance.difference(&join.agreed) {
                let message = format!(
                    "{CALL}: \"{name}\" differs from that of another helper with the identifier \"{}\"",
                    join.identifier
                );
                return Err(Failure::conflict(message).into());
            }
            instance.base.agree(CALL, &process)?;
            instance
        }
        None => {
            let base = process::base(CALL, process)?;
            let text = |name| join.agreed.iter().find(|option| option.name == name)?.text.as_deref();
            let shared =
                text("bind").filter(|bind| join.beside || !bind.ends_with(":0")).and_then(process::listener_of);
            let awaited = shared.zip(text("path")).map(|(listener, path)| listener.await_path(path));
            let instance = Arc::new(Instance {
                identifier: join.identifier,
                server_id: join.server_id,
                agreed: join.agreed,
                namespace: base.broker.namespace(NamespaceConfig {
                    broadcast_channel: BROADCAST_CHANNEL.into(),
                    too_big_reason: TOO_BIG_REASON.into(),
                }),
                base,
                registrations: Mutex::default(),
                listener: Mutex::default(),
                awaited: Mutex::new(awaited),
                opening: tokio::sync::Mutex::default(),
            });
            instances.push(Arc::clone(&instance));
            instance
        }
    };
    if join.encrypts {
        instance.namespace.guard();
    }
    let number = process::next_worker();
    instance.registrations.lock().push(Registration { number, thread });
    Ok(NativeJoinResult { helper: number as u32, server_id: instance.server_id.clone() })
}

/// Makes this thread a worker of that helper's namespace. Returns the control block.
pub(crate) fn attach<'s>(
    env: RawEnv<'s>,
    number: usize,
    functions: HelperFunctions<'_>,
) -> std::result::Result<Value<'s>, Failure> {
    let instance = find(number).ok_or_else(|| Failure::no_helper("attachHelper"))?;
    let join = |worker: &Arc<NodeWorker>| worker.join_namespace(&instance.base.broker, &instance.namespace);
    runner::attach_helper(env, number, functions, join).map_err(|failed: Failed| failed.into())
}

/// Opens the instance's address, or its path on one that is open, unless that has been done; from then on this helper gets connections.
///
/// Rejects as `listen` does.
#[napi(ts_return_type = "Promise<void>")]
pub fn open_instance(env: &Env, helper: u32, options: NativeListenOptions) -> Result<Object<'_>> {
    let number = helper as usize;
    let (Some(instance), Some(own)) = (find(number), runner::helper(number).map(|own| (*own).clone())) else {
        return settled::<()>(env, Err(Failure::no_helper(CALL)));
    };
    let broker = instance.base.broker.clone();
    promise(env, &broker, || Err(ListenError::ShuttingDown.into()), async move {
        let opening = instance.opening.lock().await;
        if instance.listener.lock().is_none() {
            listen(&instance, options).await?;
        }
        drop(opening);
        if !instance.has(number) {
            return Err(Failure::no_helper(CALL));
        }
        own.accept(true);
        Ok(())
    })
}

async fn listen(instance: &Instance, options: NativeListenOptions) -> std::result::Result<(), Failure> {
    let beside = options.beside.unwrap_or(false).then(|| process::listener_of(&options.bind)).flatten();
    let mut config = listener_config(options)?;
    config.namespace = Some(Arc::clone(&instance.namespace));
    let broker = &instance.base.broker;
    let listener = match beside {
        Some(other) => broker.listen_beside(other, config).await?,
        None => broker.listen(config).await?,
    };
    // All may have left meanwhile, and with them whoever would close it.
    let instances = INSTANCES.lock();
    if instance.registrations.lock().is_empty() {
        drop(instances);
        return Err(Failure::no_helper(CALL));
    }
    listener.serve();
    *instance.listener.lock() = Some(Arc::new(listener));
    instance.awaited.lock().take();
    Ok(())
}

/// The way from Redis to the clients of the instance with that server id.
pub(crate) fn sink(server_id: &str) -> Option<NamespaceSink> {
    let instances = INSTANCES.lock();
    let instance = instances.iter().find(|instance| instance.server_id == server_id)?;
    Some(NamespaceSink::new(&instance.base.broker, Arc::clone(&instance.namespace)))
}

/// Where the instance listens; nothing before it does.
#[napi]
pub fn instance_address(helper: u32) -> Option<NativeAddress> {
    let instance = find(helper as usize).filter(|instance| instance.base.is_current())?;
    let listener = instance.listener.lock().as_ref().map(Arc::clone)?;
    Some(NativeAddress { address: listener.address(), port: u32::from(listener.port()), url: listener.url() })
}

/// Resolves when the helper has no connections any more; after `timeout` milliseconds they are cut.
#[napi(ts_return_type = "Promise<void>")]
pub fn helper_emptied(env: &Env, helper: u32, timeout: f64) -> Result<Object<'_>> {
    let number = helper as usize;
    let (Some(instance), Some(own)) = (find(number), runner::helper(number).map(|own| (*own).clone())) else {
        return settled(env, Ok(()));
    };
    let timeout = milliseconds(timeout);
    promise(env, &instance.base.broker, || Ok(()), async move {
        own.emptied(timeout).await;
        Ok(())
    })
}

/// Gives the helper's place up. Its connections are closed. With the last helper goes what the instance has opened; resolves then.
#[napi(ts_return_type = "Promise<void>")]
pub fn leave_instance(env: &Env, helper: u32) -> Result<Object<'_>> {
    let number = helper as usize;
    // Before the thread lets go of it, so that nobody else waits for the end.
    let last = give_up(number);
    // It has dealt with its clients itself, or does yet.
    runner::with_helper(number, wsbroker_core::Helper::withdraw);
    runner::detach_helper(RawEnv::of(env), number);
    match last {
        Some(instance) => {
            let broker = instance.base.broker.clone();
            promise(env, &broker, || Ok(()), async move {
                end(&instance).await;
                Ok(())
            })
        }
        None => settled(env, Ok(())),
    }
}

/// A thread has ended, or has let go of its helper.
pub(crate) fn left(number: usize) {
    if let Some(instance) = give_up(number) {
        let runtime = instance.base.broker.runtime().clone();
        runtime.spawn(async move { end(&instance).await });
    }
}

/// Removes a registration. Returns the instance if it was the last: its address is closed, and the rest is to be [ended](end).
fn give_up(number: usize) -> Option<Arc<Instance>> {
    let mut instances = INSTANCES.lock();
    let at = instances.iter().position(|instance| instance.has(number))?;
    let instance = Arc::clone(instances.get(at)?);
    let mut registrations = instance.registrations.lock();
    registrations.retain(|registration| registration.number != number);
    if !registrations.is_empty() {
        return None;
    }
    drop(registrations);
    instances.swap_remove(at);
    instance.awaited.lock().take();
    if let Some(listener) = instance.listener.lock().as_ref() {
        listener.stop();
    }
    Some(instance)
}

/// How many clients of ended threads could not be reported, since no helper was left: by thread, until asked for. A limited number of threads is remembered.
static UNTOLD: Mutex<BTreeMap<i32, usize>> = Mutex::new(BTreeMap::new());
const MAX_UNTOLD: usize = 1024;

/// A thread has ended, and this many of its clients cannot be reported.
pub(crate) fn untold(thread: i32, clients: usize) {
    if clients == 0 {
        return;
    }
    let mut untold = UNTOLD.lock();
    *untold.entry(thread).or_default() += clients;
    // Numbers of threads rise: the first is the oldest.
    if untold.len() > MAX_UNTOLD {
        untold.pop_first();
    }
}

/// How many clients of helpers on this thread, which has ended, could not be reported: there was no other helper of their identifier. Returns the number once.
#[napi]
pub fn clients_left_by(thread: i32) -> f64 {
    UNTOLD.lock().remove(&thread).unwrap_or(0) as f64
}

async fn end(instance: &Instance) {
    let listener = instance.listener.lock().take();
    if let Some(listener) = listener {
        listener.close().await;
    }
    if let Some(broker) = instance.base.leave() {
        broker.shutdown(CloseCode::GOING_AWAY, Duration::ZERO).await;
    }
}

/// Instances that have helpers, of all threads.
#[napi]
pub fn instance_count() -> u32 {
    u32::try_from(INSTANCES.lock().len()).unwrap_or(u32::MAX)
}

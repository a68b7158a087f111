//! What the helpers of one identifier share in this process: a namespace, a listener, an id and the
//! options in which they agree.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
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
use wsbroker_core::{AwaitedPath, Broker, CloseCode, ListenError, Listener, Namespace, NamespaceConfig};

use crate::{
    api::{
        lifecycle::NativeAddress,
        option_values::milliseconds,
        options::{NativeListenOptions, NativeProcessOptions, listener_config, process_options},
    },
    helper::native_relay::InstanceRelay,
    js::{
        js_error::{JsError, Result},
        promise::{promise, settled},
        raw::{Env as RawEnv, Failed, Value},
    },
    process::{self, InstanceBroker},
    worker::{
        runner::{self, HelperFunctions},
        thread_worker::ThreadWorker,
    },
};

/// The channel of all clients that are finished. Also in src/helper/protocol.cts.
const BROADCAST_CHANNEL: &[u8] = b"ws:internal:broadcast";
/// The reason of a close because a message is too big, which clients of a helper get on every
/// transport. Also in src/helper/protocol.cts.
const TOO_BIG_REASON: &str = "Received too big message";

/// For error messages.
const CALL: &str = "WebSocketServerHelper";

/// The instances of the process that have helpers. Locked before the state of the process, never
/// after.
static INSTANCES: Mutex<Vec<Arc<Instance>>> = Mutex::new(Vec::new());

struct Instance {
    identifier: String,
    server_id: String,
    agreed: Vec<NativeAgreed>,
    base: InstanceBroker,
    namespace: Arc<Namespace>,
    relay: Arc<InstanceRelay>,
    /// Changed while [`INSTANCES`] is locked.
    registrations: Mutex<Vec<Registration>>,
    listener: Mutex<Option<Arc<Listener>>>,
    /// Its path on an address of `start`, until the path is open.
    awaited: Mutex<Option<AwaitedPath>>,
    /// Held by the helper that opens the listener. The others wait.
    opening: tokio::sync::Mutex<()>,
}

/// A helper that belongs to an instance.
struct Registration {
    number: usize,
    thread: ThreadId,
}

/// An option in which the helpers of an instance must agree, and its value as text.
#[napi(object)]
pub struct NativeAgreed {
    /// The name of the option, for error messages.
    pub name: String,
    /// Absent: it was not given.
    pub text: Option<String>,
    /// Whether a helper that does not give it agrees with any value.
    pub optional: bool,
}

/// What a helper joins with.
#[napi(object)]
pub struct NativeJoin {
    /// Helpers with the same identifier are in the same instance.
    pub identifier: String,
    /// The id of the instance if this is its first helper.
    pub server_id: String,
    /// Options that must be those of the other helpers.
    pub agreed: Vec<NativeAgreed>,
    /// Options that the process can have only one value of.
    pub process: NativeProcessOptions,
    /// Whether it shares the address of a server with the same `bind`, even if the port in it is 0.
    pub beside: bool,
    /// Whether its clients may become held.
    pub encrypts: bool,
}

/// What a helper gets when it joins.
#[napi(object)]
pub struct NativeJoinResult {
    /// The number of the helper, the first argument of all its calls.
    pub helper: u32,
    /// The id of the instance.
    pub server_id: String,
}

impl Instance {
    /// The first option in which a helper differs from the others.
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

/// Registers a helper with the instance of that identifier, which is made if there is none.
///
/// Throws ERR_WSBROKER_CONFLICT if this thread has a helper of that identifier already, or an
/// option differs.
#[napi]
pub fn join_instance(join: NativeJoin) -> Result<NativeJoinResult> {
    let process = process_options(&join.process);
    let mut instances = INSTANCES.lock();
    let thread = thread::current().id();
    let mut same = instances.iter().filter(|instance| instance.identifier == join.identifier);
    if same.any(|instance| instance.registrations.lock().iter().any(|registration| registration.thread == thread)) {
        let message = format!("{CALL}: this thread already has a helper with the identifier \"{}\"", join.identifier);
        return Err(JsError::conflict(message).into());
    }
    let mut same = instances.iter().filter(|instance| instance.identifier == join.identifier);
    let known = same.find(|instance| instance.base.is_current()).map(Arc::clone);
    let instance = match known {
        Some(instance) => {
            if let Some(name) = instance.difference(&join.agreed) {
                let message = format!(
                    "{CALL}: \"{name}\" differs from that of another helper with the identifier \"{}\"; it must be the same",
                    join.identifier
                );
                return Err(JsError::conflict(message).into());
            }
            instance.base.agree(CALL, &process)?;
            instance
        }
        None => {
            let base = process::instance_broker(CALL, process)?;
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
                relay: Arc::default(),
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
) -> std::result::Result<Value<'s>, JsError> {
    let instance = find(number).ok_or_else(|| JsError::no_helper("attachHelper"))?;
    let join = |worker: &Arc<ThreadWorker>| worker.join_namespace(&instance.base.broker, &instance.namespace);
    runner::attach_helper(env, number, functions, join).map_err(|failed: Failed| failed.into())
}

/// Opens the instance's address, or its path on an address that is open, unless another helper has
/// done so. From then on this helper gets connections.
///
/// Rejects as `listen` does.
#[napi(ts_return_type = "Promise<void>")]
pub fn open_instance(env: &Env, helper: u32, options: NativeListenOptions) -> Result<Object<'_>> {
    let number = helper as usize;
    let (Some(instance), Some(own)) = (find(number), runner::helper(number).map(|own| (*own).clone())) else {
        return settled::<()>(env, Err(JsError::no_helper(CALL)));
    };
    let broker = instance.base.broker.clone();
    promise(env, &broker, || Err(ListenError::ShuttingDown.into()), async move {
        let opening = instance.opening.lock().await;
        if instance.listener.lock().is_none() {
            listen(&instance, options).await?;
        }
        drop(opening);
        if !instance.has(number) {
            return Err(JsError::no_helper(CALL));
        }
        own.accept(true);
        Ok(())
    })
}

async fn listen(instance: &Instance, options: NativeListenOptions) -> std::result::Result<(), JsError> {
    let beside = options.beside.unwrap_or(false).then(|| process::listener_of(&options.bind)).flatten();
    let mut config = listener_config(options)?;
    config.namespace = Some(Arc::clone(&instance.namespace));
    let broker = &instance.base.broker;
    let listener = match beside {
        Some(other) => broker.listen_beside(other, config).await?,
        None => broker.listen(config).await?,
    };
    // All helpers may have left meanwhile, and then nothing would close it.
    let instances = INSTANCES.lock();
    if instance.registrations.lock().is_empty() {
        drop(instances);
        return Err(JsError::no_helper(CALL));
    }
    listener.serve();
    *instance.listener.lock() = Some(Arc::new(listener));
    instance.awaited.lock().take();
    Ok(())
}

/// What the relay of this helper's instance serves, and where the instance holds it.
pub(crate) fn namespace_of(helper: usize) -> Option<(Broker, Arc<Namespace>, Arc<InstanceRelay>)> {
    let instance = find(helper)?;
    Some((instance.base.broker.clone(), Arc::clone(&instance.namespace), Arc::clone(&instance.relay)))
}

/// Where the instance listens. Null: it does not.
#[napi]
pub fn instance_address(helper: u32) -> Option<NativeAddress> {
    let instance = find(helper as usize).filter(|instance| instance.base.is_current())?;
    let listener = instance.listener.lock().as_ref().map(Arc::clone)?;
    Some(NativeAddress { address: listener.address(), port: u32::from(listener.port()), url: listener.url() })
}

/// Resolves when the helper has no more connections. After `timeout` milliseconds they are cut.
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

/// Ends the registration of a helper. Its connections are closed. With the last helper, the
/// instance closes what it has opened. Resolves when that is done.
#[napi(ts_return_type = "Promise<void>")]
pub fn leave_instance(env: &Env, helper: u32) -> Result<Object<'_>> {
    let number = helper as usize;
    // Before the thread detaches the helper, which would end the instance without waiting for that.
    let last = remove_registration(number);
    // The helper deals with its clients itself, so they are not to be reported to another.
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

/// A helper has been detached, perhaps because its thread has ended.
pub(crate) fn helper_left(number: usize) {
    if let Some(instance) = remove_registration(number) {
        let runtime = instance.base.broker.runtime().clone();
        runtime.spawn(async move { end(&instance).await });
    }
}

/// Removes a registration. If it was the last, the instance stops listening, and is returned to be
/// [ended](end).
fn remove_registration(number: usize) -> Option<Arc<Instance>> {
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

/// How many clients of threads that have ended could not be reported, since no helper was left: by
/// thread, until they are asked for.
static UNREPORTED: Mutex<BTreeMap<i32, usize>> = Mutex::new(BTreeMap::new());
/// For how many threads, at most.
const MAX_UNREPORTED: usize = 1024;

/// A thread has ended, and this many of its clients cannot be reported.
pub(crate) fn add_unreported(thread: i32, clients: usize) {
    if clients == 0 {
        return;
    }
    let mut unreported = UNREPORTED.lock();
    *unreported.entry(thread).or_default() += clients;
    // Numbers of threads rise, so the first is the oldest.
    if unreported.len() > MAX_UNREPORTED {
        unreported.pop_first();
    }
}

/// How many clients of a thread that has ended could not be reported, since there was no other
/// helper of their identifier. Returns the number once.
#[napi]
pub fn clients_left_by(thread: i32) -> f64 {
    UNREPORTED.lock().remove(&thread).unwrap_or(0) as f64
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

/// How many instances have helpers, on all threads.
#[napi]
pub fn instance_count() -> u32 {
    u32::try_from(INSTANCES.lock().len()).unwrap_or(u32::MAX)
}

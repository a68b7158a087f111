//! What a relay has received, on its way to the clients of a namespace; without a Redis.

#![allow(clippy::unwrap_used)]

#[path = "../../wsbroker-core/tests/common/mod.rs"]
mod common;
#[path = "../../wsbroker-core/tests/namespace/kit.rs"]
#[allow(dead_code)]
mod kit;

use std::sync::Arc;

use kit::{HelperThread, broker, listen, settings};
use wsbroker_core::{Audience, OperationKind, SocketLimits};
use wsbroker_redis::{Envelope, NamespaceSink, RelaySink};

#[test]
fn what_comes_from_other_instances_needs_no_worker_but_for_those_that_are_held() {
    let broker = broker(2);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut a, a_id) = thread.client(port, "a");
    let (mut held, held_id) = thread.client(port, "held");
    for (name, id) in [("a", a_id), ("held", held_id)] {
        thread.helper.subscribe(&mut thread.cork, id, b"r");
        thread.helper.subscribe(&mut thread.cork, id, b"ws:internal:broadcast");
        thread.helper.add_member(&mut thread.cork, name.as_bytes(), Audience::Room(b"r"));
        thread.helper.add_member(&mut thread.cork, name.as_bytes(), Audience::User("ü".as_bytes()));
        thread.helper.finish_client(&mut thread.cork, name.as_bytes());
    }
    thread.helper.hold_client(&mut thread.cork, b"held");
    thread.cork.flush();
    let sink = NamespaceSink::new(&broker, Arc::clone(&namespace), |_| {});
    let receive = |fields: &str| {
        let text = format!(r#"{{"serverId":"x","event":"e",{fields}}}"#);
        match Envelope::read(&text, None) {
            Envelope::Message(message) => sink.deliver(message),
            other => panic!("{other:?}"),
        }
    };
    receive(r#""type":"room","target":"r","data":{ "as" : 1.0 }"#);
    receive(r#""type":"user","target":"\u00fc","data":"u""#);
    receive(r#""type":"broadcast","data":null"#);
    receive(r#""type":"client","target":"a""#);
    receive(r#""type":"client","target":"held","data":1"#);
    receive(r#""type":"client","target":"nobody","data":1"#);
    receive(r#""type":"room","target":"r","exclude":["a"],"data":2"#);
    receive(r#""type":"broadcast","exclude":["held"],"data":3"#);
    sink.flush();
    let natively = [
        r#"{"event":"e","data":{ "as" : 1.0 }}"#,
        r#"{"event":"e","data":"u"}"#,
        r#"{"event":"e","data":null}"#,
        r#"{"event":"e"}"#,
        r#"{"event":"e","data":3}"#,
    ];
    for expected in natively {
        assert_eq!(a.text(), expected);
    }
    let operations = thread.queue.take_operations();
    let frames = operations.iter().map(|operation| match &operation.kind {
        OperationKind::Publish { frame, .. } | OperationKind::Send { frame, .. } => {
            String::from_utf8(frame.to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    });
    let expected =
        [natively[0], natively[1], natively[2], r#"{"event":"e","data":1}"#, r#"{"event":"e","data":2}"#, natively[4]];
    assert_eq!(frames.collect::<Vec<_>>(), expected);
    thread.send(held_id, "end");
    assert_eq!(held.text(), "end");
}

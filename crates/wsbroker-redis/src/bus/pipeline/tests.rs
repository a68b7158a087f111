use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::*;

fn envelope(channel: &str, envelope: &str, messages: u64) -> AddressedEnvelope {
    AddressedEnvelope {
        channel: channel.as_bytes().into(),
        is_instance_message: false,
        bytes: envelope.into(),
        messages,
        waiters: Vec::new(),
    }
}

fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(std::time::Duration::from_secs(20), future).await.unwrap() })
}

const HELLO: &str = "*1\r\n$5\r\nHELLO\r\n";
const PRIMARY: &[u8] = b"*4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n";
const REPLICA: &[u8] = b"*4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$7\r\nreplica\r\n";

/// A server that is asked these things and answers so.
async fn server(conversation: &[(&str, &[u8])]) -> (io::Result<PublishPipeline>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = async {
        let (mut server, _) = listener.accept().await.unwrap();
        for (question, answer) in conversation {
            reads(&mut server, question).await;
            server.write_all(answer).await.unwrap();
        }
        server
    };
    tokio::join!(PublishPipeline::connect_tcp("127.0.0.1", port, Some(("me", "secret"))), answering)
}

const LOGIN: (&str, &[u8]) = ("*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n", b"+OK\r\n");

async fn pair() -> (PublishPipeline, TcpStream) {
    let (pipeline, server) = server(&[LOGIN, (HELLO, PRIMARY)]).await;
    (pipeline.unwrap(), server)
}

async fn reads(server: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn two_are_under_way_and_the_next_waits_for_an_answer() {
    run(async {
        let (pipeline, mut server) = pair().await;
        let taken = std::cell::Cell::new(0);
        let give = || {
            taken.set(taken.get() + 1);
            vec![envelope("a", "1", 5), envelope("b", "22", 1)]
        };
        (0..3).for_each(|_| assert!(pipeline.publish(b"p:", give)));
        assert_eq!((taken.get(), pipeline.state.lock().unanswered()), (2, 12));
        let gathering =
            "*3\r\n$7\r\nPUBLISH\r\n$3\r\np:a\r\n$1\r\n1\r\n*3\r\n$7\r\nPUBLISH\r\n$3\r\np:b\r\n$2\r\n22\r\n";
        reads(&mut server, gathering).await;
        reads(&mut server, gathering).await;
        let mut all = Vec::new();
        let conversation = async {
            server.write_all(b":1\r\n-NOPERM no\r\n:").await.unwrap();
            reads(&mut server, gathering).await;
            server.write_all(b"0\r\n:0\r\n:0\r\n:0\r\n").await.unwrap();
            pipeline.drained().await;
            assert_eq!(pipeline.state.lock().unanswered(), 0);
            let ponging = async {
                reads(&mut server, HELLO).await;
                server.write_all(PRIMARY).await.unwrap();
            };
            tokio::join!(pipeline.ping(), ponging);
            drop(server);
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            error = pipeline.run(|answered| {
                all.push(answered);
                if taken.get() == 2 {
                    pipeline.publish(b"p:", give);
                }
            }) => error,
            () = conversation => unreachable!(),
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        pipeline.end(false);
        assert!(pipeline.publish(b"", || panic!("nothing is taken after the end")));
        assert_eq!(all.iter().map(|answered| answered.messages).sum::<u64>(), 18);
        assert_eq!(all.iter().map(|answered| answered.refused.messages).sum::<u64>(), 1);
        assert!(all.iter().any(|answered| answered.refused.reason.as_deref() == Some("NOPERM no")));
    });
}

#[test]
fn what_the_stream_does_not_take_is_written_later_and_in_order() {
    run(async {
        let (pipeline, mut server) = pair().await;
        let large = "x".repeat(32 << 20);
        assert!(pipeline.publish(b"", || vec![envelope("a", &large, 1)]));
        assert!(pipeline.state.lock().is_blocked(), "no socket buffers that much");
        assert!(pipeline.publish(b"", || panic!("nothing is taken meanwhile")));
        let reading = async {
            reads(&mut server, &format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n${}\r\n{large}\r\n", large.len())).await;
        };
        tokio::select! {
            error = pipeline.run(|_| {}) => panic!("{error}"),
            () = reading => {}
        }
        assert!(pipeline.state.lock().out.capacity() <= KEPT, "the memory is given back");
    });
}

#[test]
fn an_answer_to_nothing_or_without_end_ends_it() {
    for answer in [&b":1\r\n"[..], &[b':'; 2 * resp::LONGEST], b"$5\r\nhello\r\n"] {
        run(async {
            let (pipeline, mut server) = pair().await;
            server.write_all(answer).await.unwrap();
            assert_eq!(pipeline.run(|_| {}).await.kind(), io::ErrorKind::Other);
        });
    }
}

#[test]
fn a_refused_login_is_told_and_the_password_is_not() {
    run(async {
        let (pipeline, _server) = server(&[(LOGIN.0, b"-WRONGPASS no\r\n")]).await;
        assert_eq!(pipeline.err().unwrap().to_string(), "WRONGPASS no");
    });
}

#[test]
fn who_cannot_say_hello_is_asked_for_its_role_and_who_says_neither_is_believed() {
    const ROLE: &str = "*1\r\n$4\r\nROLE\r\n";
    const PING: (&str, &[u8]) = ("*1\r\n$4\r\nPING\r\n", b"+PONG\r\n");
    type Case<'a> = (&'a [(&'a str, &'a [u8])], Result<RoleQuery, &'a str>);
    let cases: [Case<'_>; 6] = [
        (&[(HELLO, PRIMARY)], Ok(RoleQuery::Hello)),
        (&[(HELLO, REPLICA)], Err(role::REPLICA)),
        (&[(HELLO, b"-LOADING so\r\n")], Err("LOADING so")),
        (&[(HELLO, b"-ERR unknown command\r\n"), (ROLE, b"*2\r\n$6\r\nmaster\r\n:0\r\n")], Ok(RoleQuery::Role)),
        (&[(HELLO, b"*0\r\n"), (ROLE, b"*1\r\n$5\r\nslave\r\n")], Err(role::REPLICA)),
        (&[(HELLO, b"-ERR no\r\n"), (ROLE, b"-NOPERM no\r\n"), PING], Ok(RoleQuery::Ping)),
    ];
    for (conversation, expected) in cases {
        run(async {
            let (pipeline, _server) = server(&[&[LOGIN], conversation].concat()).await;
            let outcome = pipeline.map(|pipeline| pipeline.role_query()).map_err(|error| error.to_string());
            assert_eq!(outcome, expected.map_err(Into::into));
        });
    }
}

/// What it took since it was last known to be a primary may have gone nowhere.
#[test]
fn a_primary_that_becomes_a_replica_ends_it_and_what_it_answered_meanwhile_is_unsure() {
    run(async {
        let (pipeline, mut server) = pair().await;
        let conversation = async {
            assert!(pipeline.publish(b"", || vec![envelope("a", "1", 5)]));
            reads(&mut server, "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1\r\n1\r\n").await;
            server.write_all(b":1\r\n").await.unwrap();
            let ponging = async {
                reads(&mut server, HELLO).await;
                server.write_all(PRIMARY).await.unwrap();
            };
            tokio::join!(pipeline.ping(), ponging);
            assert!(pipeline.publish(b"", || vec![envelope("b", "2", 3)]));
            reads(&mut server, "*3\r\n$7\r\nPUBLISH\r\n$1\r\nb\r\n$1\r\n2\r\n").await;
            server.write_all(b":1\r\n").await.unwrap();
            pipeline.drained().await;
            assert!(pipeline.publish(b"", || vec![envelope("c", "3", 1)]));
            let ponging = async {
                reads(&mut server, "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\n3\r\n").await;
                reads(&mut server, HELLO).await;
                server.write_all(&[b":0\r\n", REPLICA].concat()).await.unwrap();
            };
            tokio::join!(pipeline.ping(), ponging);
        };
        let error = tokio::select! {
            error = pipeline.run(|_| {}) => error,
            () = conversation => panic!("a replica answers no ping"),
        };
        assert_eq!(error.to_string(), role::REPLICA);
        assert_eq!(pipeline.end(false), 4);
    });
}

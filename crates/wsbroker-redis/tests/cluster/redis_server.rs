//! A redis-server of the test's own: on a free port, in a directory that goes away with it.
#![allow(unreachable_pub)]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use super::common::until;

/// A running server.
pub struct Redis {
    pub port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    pub fn start() -> Self {
        Self::with(&[])
    }

    pub fn with(arguments: &[&str]) -> Self {
        let port = free_port();
        Self::inside(directory(port), port, arguments)
    }

    fn inside(directory: PathBuf, port: u16, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).into()).collect();
        let mut redis = Self { port, directory, arguments, child: None };
        redis.run();
        redis
    }

    /// With a second port for encrypted connections, under a certificate of its own for these
    /// names: returned too, as PEM.
    pub fn with_tls(names: &[&str]) -> (Self, String) {
        let (redis, certificate, _) = Self::with_tls_for(names, "no");
        (redis, certificate)
    }

    /// As [`with_tls`](Self::with_tls), for clients with that certificate only if `clients` is
    /// `yes`; with its key.
    pub fn with_tls_for(names: &[&str], clients: &str) -> (Self, String, String) {
        Self::with_tls_and(names, clients, &[])
    }

    /// A Cluster of one node, as [`with_tls`](Self::with_tls).
    pub fn cluster_with_tls(names: &[&str]) -> (Self, String) {
        let arguments = [
            "--tls-cluster",
            "yes",
            "--cluster-enabled",
            "yes",
            "--cluster-announce-ip",
            "127.0.0.1",
            "--cluster-config-file",
            "nodes.conf",
        ];
        let (node, certificate, _) = Self::with_tls_and(names, "no", &arguments);
        assert_eq!(node.answers(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]), "+OK\r\n");
        until("the cluster is complete", || node.answers(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        (node, certificate)
    }

    /// A Cluster of one node, which others are to reach by that port.
    pub fn cluster_behind(port: u16) -> Self {
        let port = port.to_string();
        let node = Self::with(&[
            "--cluster-enabled",
            "yes",
            "--cluster-announce-ip",
            "127.0.0.1",
            "--cluster-announce-port",
            &port,
            "--cluster-config-file",
            "nodes.conf",
        ]);
        assert_eq!(node.answers(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]), "+OK\r\n");
        until("the cluster is complete", || node.answers(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        node
    }

    fn with_tls_and(names: &[&str], clients: &str, more: &[&str]) -> (Self, String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
        let own = rcgen::generate_simple_self_signed(names).unwrap();
        let (port, tls_port) = (free_port(), free_port().to_string());
        let directory = directory(port);
        std::fs::write(directory.join("cert.pem"), own.cert.pem()).unwrap();
        std::fs::write(directory.join("key.pem"), own.signing_key.serialize_pem()).unwrap();
        let arguments = [
            "--tls-port",
            &tls_port,
            "--tls-cert-file",
            "cert.pem",
            "--tls-key-file",
            "key.pem",
            "--tls-ca-cert-file",
            "cert.pem",
            "--tls-auth-clients",
            clients,
        ];
        let arguments = [&arguments[..], more].concat();
        (Self::inside(directory, port, &arguments), own.cert.pem(), own.signing_key.serialize_pem())
    }

    pub fn tls_port(&self) -> u16 {
        self.arguments[1].parse().unwrap()
    }

    /// Three primaries with a replica each.
    pub fn cluster() -> Vec<Self> {
        let arguments =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-config-file", "nodes.conf"];
        let nodes: Vec<Self> = (0..6).map(|_| Self::with(&arguments)).collect();
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)))
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        for node in &nodes {
            until("the cluster is complete", || {
                let replication = node.answers(&["INFO", "replication"]);
                // A replica that was never in step is not made a primary.
                (replication.contains("role:master") || replication.contains("master_link_status:up"))
                    && node.answers(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                    && node.answers(&["CLUSTER", "NODES"]).matches("slave ").count() == 3
            });
        }
        nodes
    }

    /// Gives the slot of a channel that somebody listens to to another primary.
    pub fn move_slot(nodes: &[Self], channel: &str) {
        let answer = |node: &Self, words: &[&str]| {
            let answer = node.answers(words);
            answer.trim_end().rsplit("\r\n").next().unwrap().trim_start_matches(':').to_owned()
        };
        let slot = answer(&nodes[0], &["CLUSTER", "KEYSLOT", channel]);
        let listens = |node: &Self| node.answers(&["PUBSUB", "SHARDCHANNELS", channel]).contains(channel);
        let (mut from, mut to) = (None, None);
        for node in nodes.iter().filter(|node| node.answers(&["ROLE"]).contains("master")) {
            *(if listens(node) { &mut from } else { &mut to }) = Some(node);
        }
        let (from, to) = (from.unwrap(), to.unwrap());
        let (giver, taker) = (answer(from, &["CLUSTER", "MYID"]), answer(to, &["CLUSTER", "MYID"]));
        for (node, words) in [
            (to, ["IMPORTING", &giver]),
            (from, ["MIGRATING", &taker]),
            (to, ["NODE", &taker]),
            (from, ["NODE", &taker]),
        ] {
            assert_eq!(node.answers(&["CLUSTER", "SETSLOT", &slot, words[0], words[1]]), "+OK\r\n");
        }
    }

    /// Watches this server under that name, with a quorum of one.
    pub fn sentinel(&self, name: &str) -> Self {
        let port = free_port();
        let directory = directory(port);
        let config = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 2000\n",
            self.port
        );
        std::fs::write(directory.join("sentinel.conf"), config).unwrap();
        let mut sentinel =
            Self { port, directory, arguments: vec!["sentinel.conf".into(), "--sentinel".into()], child: None };
        sentinel.begin(Command::new("redis-server"));
        sentinel
    }

    /// Starts it, again.
    pub fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        self.begin(command);
    }

    fn begin(&mut self, mut command: Command) {
        command.args(&self.arguments).current_dir(&self.directory).stdout(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        until("redis-server listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends one command and returns the raw answer, as far as it comes in one go.
    pub fn ask(&self, words: &[&[u8]]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        stream.write_all(&request).unwrap();
        let mut answer = vec![0; 1 << 20];
        let length = stream.read(&mut answer).unwrap();
        answer.truncate(length);
        answer
    }

    /// As [`ask`](Self::ask), in text.
    pub fn answers(&self, words: &[&str]) -> String {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        String::from_utf8_lossy(&self.ask(&words)).into_owned()
    }

    /// A number of `INFO`'s, by the name of its field; with `name:part`, a part of it. 0 if there
    /// is none yet.
    pub fn info(&self, section: &str, field: &str) -> u64 {
        let answer = self.answers(&["INFO", section]);
        let (name, part) = field.split_once(':').unwrap_or((field, ""));
        let Some(value) = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')) else { return 0 };
        let value = value
            .split(',')
            .find_map(|one| if part.is_empty() { Some(one) } else { one.strip_prefix(part)?.strip_prefix('=') });
        value.unwrap().trim().parse().unwrap()
    }

    /// The application's channels that somebody listens to.
    pub fn channels(&self) -> Vec<String> {
        let answer = self.answers(&["PUBSUB", "CHANNELS", "wsbroker:*"]);
        let mut names: Vec<String> =
            answer.split("\r\n").filter_map(|line| line.strip_prefix("wsbroker:")).map(Into::into).collect();
        names.sort();
        names
    }
}

/// Below the ports that the system gives out, and with room for a cluster node's second one, ten
/// thousand above.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let port = 12_000 + (std::process::id() % 400) as u16 * 20 + NEXT.fetch_add(1, Ordering::SeqCst);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

fn directory(port: u16) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("wsbroker-redis-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

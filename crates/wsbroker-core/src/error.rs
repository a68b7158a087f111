//! Errors of starting, listening and subscribing. Each names what is wrong and, where the caller
//! can do something about it, what.

use std::io;

use crate::bus::BusFailure;

/// Why a broker could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system refused a thread, a poll handle or the runtime.
    #[error("the operating system refused a thread of the broker: {0}")]
    System(#[from] io::Error),
}

/// Why a broker could not join others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// It has joined already. There is one bus for one broker.
    #[error("this broker is in a cluster already")]
    Joined,
    /// The system refused a thread.
    #[error("cannot start the bus's thread: {0}")]
    System(#[from] io::Error),
}

/// What is wrong with the text of an address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct BindError {
    pub(crate) reason: String,
}

/// What is wrong with the text of a network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected an IP address or a network as \"10.0.0.0/8\", got {text:?}")]
pub struct CidrError {
    pub(crate) text: String,
}

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The system refused the address: in use, not ours, not allowed.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address as it was given.
        address: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Another listener of this broker serves that path on that address.
    #[error("the path {path:?} on {address} is taken by another server of this process")]
    PathTaken {
        /// The address as it was given.
        address: String,
        /// The path that is taken.
        path: String,
    },
    /// This system has no such kind of address.
    #[error("{address}: {what} are not supported on this system")]
    Unsupported {
        /// The address as it was given.
        address: String,
        /// The kind of address, in the plural.
        what: &'static str,
    },
    /// An entry of `origins` is not an origin, so it could never match.
    #[error("origins: {entry:?} is not an origin: {why}")]
    Origin {
        /// The entry as it was given.
        entry: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What `http` asks for cannot be had.
    #[error("http: {0}")]
    Http(String),
    /// Options of the whole address differ from those it was opened with.
    #[error("{address} is already open with another value of {option}")]
    Conflict {
        /// The address as it was given.
        address: String,
        /// The option that differs.
        option: &'static str,
    },
    /// The broker is shutting down.
    #[error("the broker is shutting down")]
    ShuttingDown,
    /// The broker drains, or has drained, and opens nothing before it has been shut down.
    #[error("its connections are being drained, or have been; shut it down first")]
    Draining,
}

/// What is wrong with certificates and keys. `pair` counts from 0.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no pair at all.
    #[error("there is no certificate and no key; give at least one pair")]
    NoPair,
    /// There is no certificate in the PEM.
    #[error("cert[{pair}]: there is no certificate in it")]
    NoCertificate {
        /// Of which pair.
        pair: usize,
    },
    /// The PEM or the certificate in it cannot be read.
    #[error("cert[{pair}]: the certificate cannot be read: {reason}")]
    BadCertificate {
        /// Of which pair.
        pair: usize,
        /// What was found.
        reason: String,
    },
    /// There is no private key in the PEM.
    #[error("key[{pair}]: there is no private key in it")]
    NoKey {
        /// Of which pair.
        pair: usize,
    },
    /// The key is protected by a password.
    #[error("key[{pair}]: encrypted keys are not supported; decrypt it first, as with `openssl pkey`")]
    EncryptedKey {
        /// Of which pair.
        pair: usize,
    },
    /// The PEM or the key in it cannot be read, or is of an unsupported kind.
    #[error("key[{pair}]: the private key cannot be used: {reason}")]
    BadKey {
        /// Of which pair.
        pair: usize,
        /// What was found.
        reason: String,
    },
    /// The key is not that of the certificate.
    #[error("key[{pair}] does not belong to cert[{pair}]")]
    KeyMismatch {
        /// Which pair.
        pair: usize,
    },
    /// The certificates of the authorities cannot be read, or there are none.
    #[error("ca: {reason}")]
    BadCa {
        /// What was found.
        reason: String,
    },
    /// Clients are asked for certificates, but none could ever be verified.
    #[error("asking clients for a certificate needs `ca`: the authorities whose certificates are valid")]
    RequestCertWithoutCa,
    /// The listener was opened without TLS.
    #[error("the address is not encrypted: it was opened without `tls`")]
    Plain,
    /// The system gave no random numbers.
    #[error("cannot set up encryption: {0}")]
    System(String),
}

/// Why something that needs a channel's history failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// No rule of [`Config::history`](crate::Config::history) is for this channel.
    #[error("the channel has no history; name it in the option \"history\" of start")]
    NoHistory,
    /// The socket is subscribed to the channel already.
    #[error("the socket is subscribed to the channel already; unsubscribe it first")]
    Subscribed,
    /// It may not be subscribed.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// The bus that keeps the history did not answer, or refused it.
    #[error(transparent)]
    Bus(#[from] BusFailure),
}

/// Why a socket was not added to a channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// [`Config::max_channels_per_socket`](crate::Config::max_channels_per_socket).
    #[error("a socket may be in {max} channels at most")]
    TooManyChannels {
        /// The limit.
        max: usize,
    },
    /// [`Config::max_channel_name_length`](crate::Config::max_channel_name_length).
    #[error("a channel's name may have {max} bytes at most, not {length}")]
    NameTooLong {
        /// The limit.
        max: usize,
        /// Bytes of the name.
        length: usize,
    },
}

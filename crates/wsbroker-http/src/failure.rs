//! What can go wrong with an exchange, and what the client is told.

/// Why an exchange did not come to its end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Failure {
    /// The inner server cannot be reached (502).
    Unreachable,
    /// The inner server's response is not HTTP, or it ended the connection in the middle (502, or a
    /// cut).
    Broken,
    /// The inner server sent no head in time (504), or its body stopped (a cut).
    TooSlow,
    /// The client's body stopped (408, or a cut), or the client stopped reading (a cut).
    Stalled,
    /// The client's body breaks the grammar (400, or a cut).
    BadBody,
    /// The client has gone.
    Gone,
}

impl Failure {
    /// What the client is told while no response has begun; `None` when there is nobody to tell.
    pub(crate) fn answer(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Unreachable => Some((502, "the application's server cannot be reached")),
            Self::Broken => Some((502, "the application's server gave no valid response")),
            Self::TooSlow => Some((504, "the application's server did not answer in time")),
            Self::Stalled => Some((408, "the request's body did not arrive in time")),
            Self::BadBody => Some((400, "the request's body is not well-formed")),
            Self::Gone => None,
        }
    }
}

/// An error in the middle, and whether the response had begun.
pub(crate) type Step<T> = Result<T, Failure>;

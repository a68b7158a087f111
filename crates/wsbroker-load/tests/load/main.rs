//! The built generator against servers made here.

// So that clippy treats these modules as test code.
#[cfg(test)]
mod connecting;
#[cfg(test)]
mod deflate;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod support;

//! How many connections there are: in all, from one address, and of each listener.

mod endpoint;
mod permit;

pub(crate) use self::{
    endpoint::{Endpoint, UpgradeInProgress},
    permit::{ConnectionPermit, ConnectionPermits},
};

//! TLS: who a sender is, who was not let in, and what a balancer says of a connection.

pub mod identity;
pub mod proxy;
pub mod refusals;

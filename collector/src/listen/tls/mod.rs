//! TLS: the door a connection comes in by, who a sender is, who was not let in, what a balancer says of a connection.

pub mod door;
pub mod identity;
pub mod proxy;
pub mod refusals;
pub mod stream;

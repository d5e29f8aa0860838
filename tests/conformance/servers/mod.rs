//! What the clients connect to: a node, the proxies in front of it, and Nchan.

pub mod certificate;
pub mod nchan;
pub mod nginx;
pub mod node;
pub mod traefik;

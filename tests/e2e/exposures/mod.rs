//! Every way in that this cluster can run, by one table: events pass one by one, silence is survived, and browsers
//! outlive whatever happens behind it.

mod browsers;
mod edge;
mod envoy;
mod keeps;
mod kinds;
mod streams;
mod table;

//! Servers to compare with. They do what every SSE server must, and nothing else: no topics, no history, no limits.

pub mod naive;
pub mod raw;

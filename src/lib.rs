//! Entrepot: a self-hosted appliance for recurring document exchange.
//!
//! `src/README.md` is the map: both journeys of a message, the state words, the invariants, and the decisions with
//! their reasons. This crate is a library only so that the binary, the benchmarks and the fuzz targets share it; its
//! public face is the binary, its configuration file and its HTTP.

pub mod appliance;
pub mod auth;
pub mod background;
pub mod cli;
pub mod clock;
pub mod config;
pub mod document;
pub mod edge;
pub mod fault;
pub mod files;
pub mod http;
pub mod inbound;
pub mod log;
pub mod model;
pub mod outbound;
pub mod recording;
pub mod recurrence;
pub mod store;
pub mod transform;

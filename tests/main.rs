//! The real binary over real HTTP. `tests/README.md` tells how to add a case.

mod appliance;
mod browser;
mod connector;
mod durability;
mod edge;
mod openapi;
mod operator;
mod pages;
mod real_files;
mod schedule;
mod tidy;
mod trial;

//! The real binary over real HTTP. `tests/README.md` tells how to add a case.

mod appliance;
mod bad_files;
mod browser;
mod clients;
mod connector;
mod contract_actions;
mod contract_rows;
mod databases;
mod durability;
mod edge;
mod examples;
mod incremental;
mod issuers;
mod made_projects;
mod manual;
mod odata;
mod openapi;
mod operator;
mod package_api;
mod packages;
mod pages;
mod playground;
mod real_files;
mod recording;
mod refused_wholes;
mod schedule;
mod sequences;
#[cfg(unix)]
mod service;
mod spellings;
mod staging;
mod tidy;
mod transform;
mod trial;
mod values;
mod wire;

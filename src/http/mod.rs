//! The wire. Only `listener` knows tiny_http; the others take a [`Call`] and give an [`Answer`].

pub mod actions;
pub mod address;
pub mod answer;
mod attention;
pub mod blob;
pub mod connector;
#[cfg(fuzzing)]
pub mod fuzz;
mod gate;
pub mod injury;
pub mod listener;
mod monitoring;
pub mod odata;
pub mod operator;
pub mod pace;
mod pages;
mod projects;
pub mod route;
pub mod tokens;
pub mod wire;

pub use answer::Answer;
pub use listener::Call;

//! The journey in. `receive` → (queue) → `process`, which takes one message through `import`: decode, parse, map, validate (`plan`), load,
//! report.

pub mod block;
mod checked;
pub mod import;
pub mod load;
pub mod package;
pub mod plan;
pub mod process;
mod several;
mod strict;
mod trap;
pub mod trial;

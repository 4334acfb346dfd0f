//! The journey out: one file per step, in order.

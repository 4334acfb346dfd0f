//! The journey in: one file per step, in order.

//! Locks, atomics and channels, from one place: the real ones, or those of a model checker.
//!
//! ```text
//! journal, engine, inventory --> sync --> parking_lot, std, crossbeam      as shipped: re-exports
//!                                     `-> loom       under `--cfg haoyuan_loom`: every interleaving
//! ```
//!
//! **Architecture invariant:** without the cfg this module has no code of its own but [`Numbers`], so
//! it costs nothing. What threads share in the hand-over to the commit thread, in the horizon, in the places
//! of a session and in the shards comes from here, so that the models run what is shipped.

#[cfg(haoyuan_loom)]
mod model;
mod numbers;

pub(crate) use self::numbers::Numbers;

#[cfg(haoyuan_loom)]
pub(crate) use self::model::*;
#[cfg(not(haoyuan_loom))]
pub(crate) use self::real::*;

#[cfg(not(haoyuan_loom))]
mod real {
    pub(crate) use std::{sync::atomic, thread};

    pub(crate) use crossbeam::channel;
    pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
}

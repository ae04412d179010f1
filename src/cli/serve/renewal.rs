//! The task that looks after the certificate files of a running node.
//!
//! **Architecture invariant:** files are read on a thread that moves no packets, one look at a time.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::cli::failure::Failure;
use crate::ops::clock::Clock;
use crate::ops::renew::{LOOK_EVERY, Renewer};

/// Starts to look every [`LOOK_EVERY`], and at SIGHUP.
pub(super) fn start(renewer: Renewer, clock: &Arc<Clock>) -> Result<JoinHandle<()>, Failure> {
    let asked = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(look_after(renewer, Arc::clone(clock), asked)))
}

async fn look_after(mut renewer: Renewer, clock: Arc<Clock>, mut asked: Signal) {
    loop {
        let at_once = tokio::time::timeout(LOOK_EVERY, asked.recv()).await.is_ok();
        let now = clock.now();
        let look = move || {
            drop(renewer.look(now, at_once));
            renewer
        };
        match spawn_blocking(look).await {
            Ok(back) => renewer = back,
            Err(error) => return tracing::error!(%error, "certificates are not renewed any more"),
        }
    }
}

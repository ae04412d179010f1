//! A node of its own for the demonstration: a child process, as an operator would start it.
//!
//! **Architecture invariant:** the child is gone when its handle is, whatever happened.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::cli::certs;
use crate::cli::failure::Failure;
use crate::client::{Client, ClientConfig};
use crate::model::Role;
use crate::protocol::ALPN;

/// A running node.
#[derive(Debug)]
pub(super) struct NodeProcess {
    child: Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

#[derive(Deserialize)]
struct Ready {
    listen: SocketAddr,
}

impl NodeProcess {
    /// Starts a node on a folder, and waits until it is ready.
    pub(super) fn start(folder: &Path) -> Result<Self, Failure> {
        let config = folder.with_extension("toml");
        std::fs::write(&config, "[log]\nlevel = \"warn\"\n")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--dev", "--json", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--data-dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let ready = serde_json::from_str::<Ready>(&line);
        // From here on the child ends with its handle.
        let mut node = Self { child, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        match ready {
            Ok(ready) => {
                node.address = ready.listen;
                Ok(node)
            }
            Err(_) => Err(Failure::failed(
                "the node did not start",
                "its message is above; `haoyuan serve --dev` starts one by hand",
            )),
        }
    }

    /// A client of a role, with so many connections. Must be made in a runtime.
    pub(super) fn client(
        &self,
        folder: &Path,
        role: Role,
        connections: usize,
    ) -> Result<Client, Failure> {
        let tls = certs::identity(&certs::dev_folder(folder), role.name())?
            .client(ALPN)
            .map_err(|error| certs::of_tls(&error))?;
        let mut config = ClientConfig::new(vec![self.address], "localhost", tls);
        config.connections = connections;
        "haoyuan demo".clone_into(&mut config.name);
        Client::new(&config)
            .map_err(|error| Failure::failed(error.to_string(), "see the message above"))
    }

    /// Kills it as a power cut of the process would: SIGKILL, no farewell.
    pub(super) fn kill(mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it as an operator would, and expects that it ends well.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(std::io::Error::from)?;
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::failed(format!("the node stopped with {status}"), "its message is above"))
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // An error means that it is gone already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

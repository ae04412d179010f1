//! Builds the layer of `tests/powercut/shim.c`, and puts it under a child process.
//!
//! **Architecture invariant:** only children are under it; the process of the tests never is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What the layer does to a child.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shim {
    /// Where changes are written down.
    pub(crate) trace: Option<PathBuf>,
    /// Which calls fail: `class:errno:path part:nth:mode`.
    pub(crate) fail: Option<String>,
    /// They are counted only while this file is there.
    pub(crate) arm: Option<PathBuf>,
}

impl Shim {
    /// Puts the layer between a command and what lies under `root`.
    pub(crate) fn under(&self, command: &mut Command, root: &Path) {
        command.env("LD_PRELOAD", library()).env("HAOYUAN_SHIM_ROOT", root);
        for (name, path) in [("HAOYUAN_SHIM_TRACE", &self.trace), ("HAOYUAN_SHIM_ARM", &self.arm)] {
            if let Some(path) = path {
                command.env(name, path);
            }
        }
        if let Some(fail) = &self.fail {
            command.env("HAOYUAN_SHIM_FAIL", fail);
        }
    }
}

/// The compiled layer; compiled once for a run of the tests.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/powercut/shim.c");
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        // Two runs at a time must not see each other's half-written file.
        let own = folder.join(format!("powercut-{}.so", std::process::id()));
        let target = folder.join("powercut.so");
        let output = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-o"])
            .args([own.as_os_str(), source.as_ref()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::rename(own, &target).unwrap();
        target
    })
}

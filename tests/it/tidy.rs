//! Properties of the source text, checked like any other property.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which module may import which. A module may always import itself; a module that is missing
/// here fails the test, so that a new one is placed on purpose. Tests may import what they like.
const IMPORTS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sync", &[]),
    ("codec", &["model"]),
    ("protocol", &["codec", "model"]),
    ("admission", &["model"]),
    ("draw", &["model"]),
    ("engine", &["draw", "model", "sync"]),
    ("inventory", &["draw", "engine", "model", "sync"]),
    ("journal", &["model", "sync"]),
    ("service", &["admission", "codec", "draw", "engine", "inventory", "journal", "model"]),
    // Doors for the fuzz targets, built under `--cfg fuzzing` only.
    ("fuzzing", &["model"]),
    // Metrics read counters of everything.
    ("ops", &["codec", "draw", "model", "service", "server", "journal"]),
    // The feed reads blocks of the journal.
    ("server", &["protocol", "codec", "model", "service", "journal", "ops"]),
    // Patients ask by turns, as the node lets them in.
    ("client", &["admission", "protocol", "codec", "model", "ops"]),
    (
        "cli",
        &["codec", "draw", "model", "protocol", "service", "journal", "ops", "server", "client"],
    ),
];

/// Paths that are no import of the whole module: both ends of the transport share its limits.
const SHARED: &[(&str, &str)] = &[("client", "crate::server::limits")];

/// What `engine` and `protocol` must not name: clocks, floats, randomness, environment, I/O, locks,
/// and maps whose order differs per run.
const IMPURE: &[&str] = &[
    "Instant",
    "SystemTime",
    "Duration",
    "f32",
    "f64",
    "rand::",
    "random(",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::thread",
    "sync::thread",
    "sync::channel",
    "tokio",
    "quinn",
    "sled",
    "parking_lot",
    "Mutex",
    "RwLock",
    "dashmap",
    "RandomState",
    "std::collections::HashMap",
    "std::collections::HashSet",
];

/// A file that grew beyond this wants to be two.
const FILE_LINES_MAX: usize = 600;

#[test]
fn i1_modules_import_downwards_only() {
    let allowed: BTreeMap<_, _> = IMPORTS.iter().copied().collect();
    let mut errors = Vec::new();
    for (path, code) in sources() {
        let Some(module) = module_of(&path) else { continue };
        let Some(may_import) = allowed.get(module.as_str()) else {
            errors.push(format!("{}: module `{module}` has no row in IMPORTS", path.display()));
            continue;
        };
        let shared = SHARED.iter().filter(|(importer, _)| *importer == module);
        let code = shared.fold(code, |code, (_, path)| code.replace(path, ""));
        for import in imports(&code) {
            let is_known = allowed.contains_key(import);
            if is_known && import != module && !may_import.contains(&import) {
                errors.push(format!("{}: `{module}` must not import `{import}`", path.display()));
            }
        }
    }
    none(&errors);
}

#[test]
fn i1_the_core_names_no_clock_float_randomness_or_io() {
    let mut errors = Vec::new();
    for (path, code) in sources() {
        let module = module_of(&path);
        if !matches!(module.as_deref(), Some("draw" | "engine" | "protocol" | "model")) {
            continue;
        }
        let named = IMPURE.iter().filter(|word| names(&code, word));
        errors.extend(named.map(|word| format!("{}: `{word}` in the pure core", path.display())));
    }
    none(&errors);
}

#[test]
fn every_module_says_its_invariant_and_no_file_is_too_long() {
    let mut errors = Vec::new();
    for path in rust_files(Path::new("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let file = path.display();
        let lines = text.lines().count();
        if FILE_LINES_MAX < lines {
            errors.push(format!("{file}: {lines} lines, {FILE_LINES_MAX} at most"));
        }
        if path.ends_with("mod.rs") && !text.contains("**Architecture invariant:**") {
            errors.push(format!("{file}: says no Architecture invariant"));
        }
        if !text.starts_with("//!") {
            errors.push(format!("{file}: does not begin with what it is"));
        }
    }
    none(&errors);
}

#[test]
fn one_module_knows_the_codec_and_one_file_the_store() {
    let mut errors = Vec::new();
    for (path, code) in sources() {
        let module = module_of(&path);
        if names(&code, "bincode") && module.as_deref() != Some("codec") {
            errors.push(format!("{}: only `codec` knows bincode", path.display()));
        }
        let is_sled = ["sled::Db", "sled::Tree", "sled::Config", "sled::Error", "sled::IVec"];
        if is_sled.iter().any(|name| names(&code, name)) && !path.ends_with("journal/sled.rs") {
            errors.push(format!("{}: only `journal/sled.rs` knows sled", path.display()));
        }
    }
    none(&errors);
}

#[track_caller]
fn none(errors: &[String]) {
    assert!(errors.is_empty(), "\n{}\n", errors.join("\n"));
}

/// Every source file that is no test, without its comments and its test module.
fn sources() -> Vec<(PathBuf, String)> {
    let is_test = |path: &PathBuf| {
        let text = path.to_string_lossy();
        text.contains("/tests/") || text.ends_with("tests.rs")
    };
    let files = rust_files(Path::new("src")).into_iter().filter(|path| !is_test(path));
    let files = files.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
        (path, lines.collect::<Vec<_>>().join("\n"))
    });
    files.collect()
}

/// `src/engine/home.rs` belongs to `engine`; `lib.rs` and `main.rs` to none.
fn module_of(path: &Path) -> Option<String> {
    let first = path.components().nth(1)?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(name, "lib" | "main")).then(|| name.to_owned())
}

/// The modules named after `crate::`, in a path or in a brace group over several lines.
fn imports(code: &str) -> Vec<&str> {
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split("};").next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        })
        .map(|path| path.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next())
        .map(Option::unwrap_or_default)
        .collect()
}

/// Whether the code has the word, not as a part of a longer one.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut parts = code.split(word);
    let mut before = parts.next().unwrap_or_default();
    parts.any(|after| {
        let is_inside =
            before.ends_with(is_part) || word.ends_with(is_part) && after.starts_with(is_part);
        before = after;
        !is_inside
    })
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

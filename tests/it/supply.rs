//! What comes from outside: `Cargo.lock` is what `.deny.toml` allows, and the bill of materials
//! names all of it.
//!
//! ```text
//! .deny.toml ---.
//! Cargo.lock ---+--> bans, versions, duplicates, advisories with reasons, sources
//! cargo metadata '--> licences, target/tmp/haoyuan.cdx.json (CycloneDX 1.5)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

/// Pinned on purpose, each with the reason in a decision record.
const PINNED: &[(&str, &str)] = &[("bincode", "=2.0.1"), ("sled", "=0.34.7")];

/// A package of the lock file.
#[derive(Clone, Debug, Default)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    /// As the lock file names them: with the version where the name alone is not enough.
    dependencies: Vec<String>,
}

impl Package {
    fn id(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }

    fn is_ours(&self) -> bool {
        self.source.is_none()
    }
}

fn lock() -> Vec<Package> {
    let text = fs::read_to_string("Cargo.lock").unwrap();
    let lock: toml::Table = toml::from_str(&text).unwrap();
    let word =
        |it: &toml::Value, key: &str| it.get(key).and_then(|it| it.as_str()).map(str::to_owned);
    let packages = lock["package"].as_array().unwrap();
    let packages: Vec<_> = packages
        .iter()
        .map(|it| Package {
            name: word(it, "name").unwrap(),
            version: word(it, "version").unwrap(),
            source: word(it, "source"),
            checksum: word(it, "checksum"),
            dependencies: it
                .get("dependencies")
                .and_then(|it| it.as_array())
                .map(|list| list.iter().map(|it| it.as_str().unwrap().to_owned()).collect())
                .unwrap_or_default(),
        })
        .collect();
    assert!(100 < packages.len(), "the lock file was not read");
    packages
}

fn policy() -> toml::Table {
    toml::from_str(&fs::read_to_string(".deny.toml").unwrap()).unwrap()
}

fn entries(policy: &toml::Table, table: &str, list: &str) -> Vec<toml::Table> {
    let list = policy[table][list].as_array().unwrap();
    list.iter().map(|it| it.as_table().unwrap().clone()).collect()
}

fn word<'a>(entry: &'a toml::Table, key: &str) -> &'a str {
    entry.get(key).and_then(|it| it.as_str()).unwrap_or_default()
}

#[track_caller]
fn none(errors: &[String]) {
    assert!(errors.is_empty(), "\n{}\n", errors.join("\n"));
}

/// What is wrong with accepted advisories: without a reason, or of a crate that is gone.
fn advisory_errors(policy: &toml::Table, lock: &[Package]) -> Vec<String> {
    let mut errors = Vec::new();
    for entry in entries(policy, "advisories", "ignore") {
        let (id, reason) = (word(&entry, "id"), word(&entry, "reason"));
        let Some((name, why)) = reason.split_once(": ") else {
            errors.push(format!("{id} is accepted without a reason"));
            continue;
        };
        if why.len() < 20 {
            errors.push(format!("{id} is accepted for no good reason: {why:?}"));
        }
        if !lock.iter().any(|package| package.name == name) {
            errors.push(format!("{id} is accepted for {name}, which is gone: drop the entry"));
        }
    }
    errors
}

/// What is in the lock file and must not be: at all, below a version, or for this dependent.
fn ban_errors(policy: &toml::Table, lock: &[Package]) -> Vec<String> {
    let mut errors = Vec::new();
    for entry in entries(policy, "bans", "deny") {
        let (name, reason) = (word(&entry, "name"), word(&entry, "reason"));
        if reason.is_empty() {
            errors.push(format!("{name} is banned without a reason"));
        }
        let wrappers = entry.get("wrappers").and_then(|it| it.as_array());
        let floor = entry.get("version").map(|it| it.as_str().unwrap().strip_prefix('<').unwrap());
        for package in lock.iter().filter(|package| package.name == name) {
            let id = package.id();
            match (wrappers, floor) {
                (Some(wrappers), _) => {
                    let is_allowed = |it: &str| wrappers.iter().any(|may| may.as_str() == Some(it));
                    errors.extend(
                        dependents(lock, package)
                            .filter(|dependent| !is_allowed(dependent))
                            .map(|dependent| format!("{dependent} must not use {id}: {reason}")),
                    );
                }
                (None, Some(floor)) if numbers(floor) <= numbers(&package.version) => {}
                (None, _) => errors.push(format!("{id} is banned: {reason}")),
            }
        }
    }
    errors
}

fn dependents<'a>(lock: &'a [Package], of: &Package) -> impl Iterator<Item = &'a str> {
    let (name, id) = (of.name.clone(), of.id());
    lock.iter()
        .filter(move |package| package.dependencies.iter().any(|it| *it == name || *it == id))
        .map(|package| package.name.as_str())
}

/// Crates in two versions where no entry says why, and entries that no longer apply.
fn duplicate_errors(policy: &toml::Table, lock: &[Package]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    let mut errors = Vec::new();
    for entry in entries(policy, "bans", "skip") {
        let (name, reason) = (word(&entry, "name"), word(&entry, "reason"));
        let version = word(&entry, "version").trim_start_matches('=');
        if reason.is_empty() {
            errors.push(format!("{name} {version} may come twice, but why?"));
        }
        let found = versions.get_mut(name).filter(|it| 1 < it.len() && it.contains(&version));
        match found {
            Some(found) => found.retain(|it| *it != version),
            None => errors.push(format!("{name} {version} does not come twice: drop the entry")),
        }
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| 1 < versions.len()) {
        errors.push(format!(
            "{name} comes in {versions:?}: drop one, or name the older in bans.skip"
        ));
    }
    errors
}

fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[test]
fn the_lock_file_is_what_was_agreed_to() {
    let (policy, lock) = (policy(), lock());
    let mut errors = advisory_errors(&policy, &lock);
    errors.extend(ban_errors(&policy, &lock));
    errors.extend(duplicate_errors(&policy, &lock));
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    for package in lock.iter().filter(|package| !package.is_ours()) {
        if package.source.as_deref() != Some(registry) || package.checksum.is_none() {
            errors.push(format!("{} does not come from crates.io with a checksum", package.id()));
        }
    }
    let manifest: toml::Table = toml::from_str(&fs::read_to_string("Cargo.toml").unwrap()).unwrap();
    for (name, version) in PINNED {
        let found = manifest["dependencies"][name].get("version").and_then(|it| it.as_str());
        if found != Some(version) {
            errors.push(format!("{name} is pinned to {version}, found {found:?}"));
        }
    }
    none(&errors);
}

#[test]
fn each_check_of_the_lock_file_fails_on_what_it_is_for() {
    let (policy, lock) = (policy(), lock());
    let with = |name: &str, version: &str, dependencies: &[&str]| {
        let dependencies = dependencies.iter().map(|&it| it.to_owned()).collect();
        let (name, version) = (name.to_owned(), version.to_owned());
        let mut lock = lock.clone();
        lock.push(Package { name, version, dependencies, ..Package::default() });
        lock
    };
    let without = |name: &str| -> Vec<Package> {
        lock.iter().filter(|package| package.name != name).cloned().collect()
    };
    let edited = |from: &str, to: &str| -> toml::Table {
        let text = fs::read_to_string(".deny.toml").unwrap();
        assert!(text.contains(from));
        toml::from_str(&text.replace(from, to)).unwrap()
    };
    for (errors, expected) in [
        (ban_errors(&policy, &with("openssl-sys", "0.9.0", &[])), "openssl-sys 0.9.0 is banned"),
        (ban_errors(&policy, &with("bytes", "1.11.0", &[])), "bytes 1.11.0 is banned: RUSTSEC"),
        (ban_errors(&policy, &with("quiche", "1.0.0", &["fxhash"])), "quiche must not use fxhash"),
        (duplicate_errors(&policy, &with("serde", "9.0.0", &[])), "serde comes in"),
        (duplicate_errors(&policy, &with("syn", "1.0.0", &[])), "syn comes in"),
        (duplicate_errors(&policy, &without("ring")), ""),
        (duplicate_errors(&policy, &without("hashbrown")), "hashbrown 0.14.5 does not come twice"),
        (advisory_errors(&policy, &without("instant")), "accepted for instant, which is gone"),
        (advisory_errors(&edited("fxhash: unmaintained,", ""), &lock), "without a reason"),
        (advisory_errors(&policy, &lock), ""),
    ] {
        match expected {
            "" => none(&errors),
            _ => assert!(errors.iter().any(|it| it.contains(expected)), "{expected}: {errors:?}"),
        }
    }
}

/// What Cargo knows of the packages that are built on this machine, by name and version. Packages
/// of other systems are not downloaded, so it knows nothing of them.
fn known() -> BTreeMap<String, Value> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &platform])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let id = |it: &Value| {
        format!("{} {}", it["name"].as_str().unwrap(), it["version"].as_str().unwrap())
    };
    packages.map(|it| (id(it), it.clone())).collect()
}

/// The licence as an expression of SPDX: a slash was once the word for "or".
fn license(package: &Value) -> Option<String> {
    package["license"].as_str().map(|it| it.replace('/', " OR "))
}

/// Whether an expression can be satisfied by the allowed licences.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let is_allowed = any_of(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "{expression} is no expression");
    is_allowed
}

fn any_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut is_allowed = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        is_allowed |= all_of(words, at, allowed);
    }
    is_allowed
}

fn all_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut is_allowed = one_of(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        is_allowed &= one_of(words, at, allowed);
    }
    is_allowed
}

fn one_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let word = words[*at];
    *at += 1;
    if word == "(" {
        let is_allowed = any_of(words, at, allowed);
        *at += 1;
        return is_allowed;
    }
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
        return allowed.contains(&format!("{word} WITH {}", words[*at - 1]));
    }
    allowed.contains(word)
}

fn allowed_licenses() -> BTreeSet<String> {
    let policy = policy();
    let list = policy["licenses"]["allow"].as_array().unwrap();
    list.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_licence_is_on_the_list_and_the_list_is_no_longer_than_it_must_be() {
    let allowed = allowed_licenses();
    let packages = known();
    let mut errors = Vec::new();
    for (id, package) in &packages {
        match license(package) {
            Some(license) if is_allowed(&license, &allowed) => {}
            license => errors.push(format!("{id}: {license:?} is not on the list")),
        }
    }
    for license in &allowed {
        let without = allowed.iter().filter(|it| *it != license).cloned().collect();
        let is_needed = packages.values().filter_map(self::license).any(|expression| {
            expression.contains(license.as_str())
                && (!is_allowed(&expression, &without) || license.contains("Apache"))
        });
        if !is_needed {
            errors.push(format!("{license} is on the list for nobody"));
        }
    }
    none(&errors);
}

#[test]
fn expressions_of_licences_are_understood() {
    let allowed = ["MIT", "ISC", "A WITH x"].map(str::to_owned).into();
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT AND GPL-3.0", false),
        ("MIT AND ISC", true),
        ("(GPL-3.0 OR ISC) AND MIT", true),
        ("ISC AND (GPL-3.0 OR LGPL-3.0)", false),
        ("A WITH x", true),
        ("A", false),
        ("A WITH y OR GPL-3.0", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}

/// The bill of materials, after `CycloneDX` 1.5. The same lock file gives the same bytes.
fn bill(lock: &[Package], known: &BTreeMap<String, Value>) -> Value {
    let seed = blake3::hash(fs::read_to_string("Cargo.lock").unwrap().as_bytes()).to_hex();
    let part = |from: usize, to: usize| seed.get(from..to).unwrap();
    let serial = format!(
        "urn:uuid:{}-{}-4{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    );
    let component = |package: &Package| {
        let mut component = json!({
            "type": if package.name == "haoyuan" { "application" } else { "library" },
            "bom-ref": package.purl(),
            "name": package.name,
            "version": package.version,
            "purl": package.purl(),
        });
        if let Some(checksum) = &package.checksum {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        if let Some(license) = known.get(&package.id()).and_then(license) {
            component["licenses"] = json!([{ "expression": license }]);
        }
        component
    };
    let find = |named: &String| {
        let found = lock.iter().find(|it| it.id() == *named || it.name == *named);
        found.unwrap_or_else(|| panic!("{named} is not in the lock file")).purl()
    };
    let edges = lock.iter().map(|package| {
        let on: Vec<_> = package.dependencies.iter().map(find).collect();
        json!({ "ref": package.purl(), "dependsOn": on })
    });
    let root = lock.iter().find(|package| package.name == "haoyuan").unwrap();
    let others = lock.iter().filter(|package| package.name != "haoyuan");
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial,
        "version": 1,
        "metadata": { "component": component(root) },
        "components": others.map(component).collect::<Vec<_>>(),
        "dependencies": edges.collect::<Vec<_>>(),
    })
}

/// Where CI finds it: `target/tmp`.
fn bill_path() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("haoyuan.cdx.json")
}

#[test]
fn the_bill_of_materials_names_every_package_of_the_lock_file() {
    let lock = lock();
    let text = format!("{:#}\n", bill(&lock, &known()));
    fs::write(bill_path(), &text).unwrap();

    let bill: Value = serde_json::from_str(&fs::read_to_string(bill_path()).unwrap()).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let refs = |list: &Value, key: &str| -> Vec<String> {
        let list = list.as_array().unwrap();
        list.iter().map(|it| it[key].as_str().unwrap().to_owned()).collect()
    };
    let mut components = refs(&bill["components"], "bom-ref");
    components.push(bill["metadata"]["component"]["bom-ref"].as_str().unwrap().to_owned());
    components.sort();
    let mut expected: Vec<_> = lock.iter().map(Package::purl).collect();
    expected.sort();
    assert_eq!(components, expected);
    let known: BTreeSet<_> = components.into_iter().collect();
    for edge in bill["dependencies"].as_array().unwrap() {
        let on = edge["dependsOn"].as_array().unwrap();
        let all = on.iter().chain([&edge["ref"]]).map(|it| it.as_str().unwrap());
        assert!(all.clone().all(|it| known.contains(it)), "{edge}");
    }
    let sled = bill["components"].as_array().unwrap().iter().find(|it| it["name"] == "sled");
    let sled = sled.unwrap();
    assert_eq!(sled["licenses"][0]["expression"], "MIT OR Apache-2.0");
    assert_eq!(sled["hashes"][0]["content"].as_str().unwrap().len(), 64);
}

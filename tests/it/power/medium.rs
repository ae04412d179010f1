//! A disk that forgets: what a trace made durable, what it may have, and images of both.
//!
//! ```text
//! file       durable bytes  + writes and truncations since the last completed sync of the file
//! directory  durable names  + names added and removed since the last completed sync of it
//! image      durable        + a choice of the rest: none, all, a torn prefix, sectors by chance
//! ```
//!
//! **Architecture invariant:** harsher than any file system: a new file's name is durable only
//! when its directory was synced, names come and go in any order, and a file's sectors do too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::random::Random;
use super::trace::Entry;

/// What a disk tears at.
const SECTOR: usize = 512;

/// The disk.
#[derive(Debug, Default)]
pub(crate) struct Medium {
    nodes: Vec<Node>,
    /// What a process sees.
    live: BTreeMap<PathBuf, usize>,
    open: BTreeMap<i32, usize>,
    /// Syncs under way: which node, and from which step on they promise nothing.
    syncing: BTreeMap<u64, (usize, u64)>,
    step: u64,
    root: PathBuf,
}

#[derive(Debug)]
enum Node {
    File { durable: Vec<u8>, pending: Vec<(u64, Change)> },
    Directory { durable: BTreeMap<String, usize>, pending: Vec<(u64, Naming)> },
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Truncate { length: usize },
}

#[derive(Debug)]
enum Naming {
    Add(String, usize),
    Remove(String),
    /// One step: no moment has both names, or neither.
    Move(String, String, usize),
}

/// What a power cut leaves of the undurable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// Everything, as after a kill.
    Everything,
    /// What came before a moment, the last of it torn.
    Prefix,
    /// Each sector and each name by chance: also new without old.
    Chance,
}

impl Left {
    /// Every way.
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Everything, Self::Prefix, Self::Chance];
}

impl Medium {
    /// A disk that holds a folder, all of it durable.
    pub(crate) fn holding(root: &Path) -> Self {
        let mut medium = Self { root: root.to_owned(), ..Self::default() };
        medium.load(root);
        medium
    }

    fn load(&mut self, path: &Path) -> usize {
        let number = self.nodes.len();
        self.live.insert(path.to_owned(), number);
        if !path.is_dir() {
            let durable = std::fs::read(path).unwrap();
            self.nodes.push(Node::File { durable, pending: Vec::new() });
            return number;
        }
        self.nodes.push(Node::Directory { durable: BTreeMap::new(), pending: Vec::new() });
        let mut names = BTreeMap::new();
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            names.insert(name, self.load(&entry.path()));
        }
        self.nodes[number] = Node::Directory { durable: names, pending: Vec::new() };
        number
    }

    /// Does what the trace says.
    pub(crate) fn step(&mut self, entry: &Entry) {
        self.step += 1;
        match entry {
            Entry::Open { fd, path, created, truncated } => {
                if *created {
                    self.create(path, Node::File { durable: Vec::new(), pending: Vec::new() });
                }
                let node = self.live[path];
                self.open.insert(*fd, node);
                if *truncated && !*created {
                    self.change(node, Change::Truncate { length: 0 });
                }
            }
            Entry::Close { fd } => drop(self.open.remove(fd)),
            Entry::Write { fd, offset, data } => {
                let offset = usize::try_from(*offset).unwrap();
                self.change(self.open[fd], Change::Write { offset, data: data.clone() });
            }
            Entry::Truncate { fd, length } => {
                let length = usize::try_from(*length).unwrap();
                self.change(self.open[fd], Change::Truncate { length });
            }
            Entry::SyncBegins { fd, token } => {
                self.syncing.insert(*token, (self.open[fd], self.step));
            }
            Entry::SyncDone { token } => {
                let (node, until) = self.syncing.remove(token).unwrap();
                self.nodes[node].settle(until);
            }
            Entry::Rename { from, to } => {
                let node = self.live.remove(from).unwrap();
                self.live.insert(to.clone(), node);
                assert_eq!(from.parent(), to.parent(), "only within a directory");
                self.naming(to, Naming::Move(name(from), name(to), node));
            }
            Entry::Unlink { path } | Entry::RemoveDirectory { path } => {
                self.live.remove(path).unwrap();
                self.naming(path, Naming::Remove(name(path)));
            }
            Entry::MakeDirectory { path } => {
                self.create(
                    path,
                    Node::Directory { durable: BTreeMap::new(), pending: Vec::new() },
                );
            }
            Entry::Mark(_) => {}
        }
    }

    fn create(&mut self, path: &Path, node: Node) {
        let number = self.nodes.len();
        self.nodes.push(node);
        self.live.insert(path.to_owned(), number);
        self.naming(path, Naming::Add(name(path), number));
    }

    fn change(&mut self, node: usize, change: Change) {
        match &mut self.nodes[node] {
            Node::File { pending, .. } => pending.push((self.step, change)),
            Node::Directory { .. } => panic!("a write into a directory"),
        }
    }

    fn naming(&mut self, path: &Path, naming: Naming) {
        // The root's own name was durable before.
        if path == self.root {
            return;
        }
        let parent = self.live[path.parent().unwrap()];
        match &mut self.nodes[parent] {
            Node::Directory { pending, .. } => pending.push((self.step, naming)),
            Node::File { .. } => panic!("a name in a file"),
        }
    }

    /// Writes what a power cut now could leave into a new folder.
    pub(crate) fn image(&self, left: Left, random: &mut Random, target: &Path) {
        let oldest = self.nodes.iter().filter_map(Node::oldest_pending).min();
        let oldest = oldest.unwrap_or(self.step);
        let span = usize::try_from(self.step - oldest + 1).unwrap();
        let until = oldest + random.below(span) as u64;
        let choice = Choice { left, until, share: 25 * (1 + random.next() % 3) };
        self.write(self.live[&self.root], &choice, random, target);
    }

    fn write(&self, node: usize, choice: &Choice, random: &mut Random, target: &Path) {
        match &self.nodes[node] {
            Node::File { durable, pending } => {
                std::fs::write(target, choice.content(durable, pending, random)).unwrap();
            }
            Node::Directory { durable, pending } => {
                std::fs::create_dir_all(target).unwrap();
                for (name, node) in choice.names(durable, pending, random) {
                    self.write(node, choice, random, &target.join(name));
                }
            }
        }
    }
}

impl Node {
    /// Makes durable what came before a step.
    fn settle(&mut self, until: u64) {
        match self {
            Self::File { durable, pending } => {
                let count = pending.partition_point(|(step, _)| *step < until);
                pending.drain(..count).for_each(|(_, change)| change.apply(durable));
            }
            Self::Directory { durable, pending } => {
                let count = pending.partition_point(|(step, _)| *step < until);
                pending.drain(..count).for_each(|(_, naming)| naming.apply(durable));
            }
        }
    }

    fn oldest_pending(&self) -> Option<u64> {
        match self {
            Self::File { pending, .. } => pending.first().map(|(step, _)| *step),
            Self::Directory { pending, .. } => pending.first().map(|(step, _)| *step),
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => put(bytes, *offset, data),
            Self::Truncate { length } => bytes.resize(*length, 0),
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Add(name, node) => drop(names.insert(name.clone(), *node)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Move(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

/// What is taken of the undurable.
struct Choice {
    left: Left,
    /// Of [`Left::Prefix`]: the first step that is not taken whole.
    until: u64,
    /// Of [`Left::Chance`]: how many in a hundred.
    share: u64,
}

impl Choice {
    fn content(&self, durable: &[u8], pending: &[(u64, Change)], random: &mut Random) -> Vec<u8> {
        let mut bytes = durable.to_vec();
        // The length may be there before what it is the length of.
        let is_long = self.left == Left::Chance && random.percent(30);
        for (step, change) in pending {
            match (self.left, change) {
                (Left::Everything, _) => change.apply(&mut bytes),
                (Left::Prefix, Change::Write { offset, data }) if *step == self.until => {
                    let torn = random.below(data.len() / SECTOR + 1) * SECTOR;
                    put(&mut bytes, *offset, &data[..torn.min(data.len())]);
                }
                (Left::Prefix, _) if *step < self.until => change.apply(&mut bytes),
                (Left::Nothing | Left::Prefix, _) => {}
                (Left::Chance, Change::Write { offset, data }) => {
                    for (at, sector) in sectors(*offset, data) {
                        if random.percent(self.share) {
                            put(&mut bytes, at, sector);
                        }
                    }
                    if is_long && bytes.len() < offset + data.len() {
                        bytes.resize(offset + data.len(), 0);
                    }
                }
                (Left::Chance, Change::Truncate { .. }) => {
                    if random.percent(self.share) {
                        change.apply(&mut bytes);
                    }
                }
            }
        }
        bytes
    }

    fn names(
        &self,
        durable: &BTreeMap<String, usize>,
        pending: &[(u64, Naming)],
        random: &mut Random,
    ) -> BTreeMap<String, usize> {
        let mut names = durable.clone();
        for (step, naming) in pending {
            let is_taken = match self.left {
                Left::Nothing => false,
                Left::Everything => true,
                Left::Prefix => *step < self.until,
                Left::Chance => random.percent(self.share),
            };
            if is_taken {
                naming.apply(&mut names);
            }
        }
        names
    }
}

/// The pieces of a write that a disk keeps or loses as one: those within a sector of the file.
fn sectors(offset: usize, data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR - offset % SECTOR).min(data.len());
    let (head, tail) = data.split_at(first);
    let rest = tail.chunks(SECTOR).enumerate();
    std::iter::once((offset, head))
        .chain(rest.map(move |(index, piece)| (offset + first + index * SECTOR, piece)))
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

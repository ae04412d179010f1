//! A published draw as text, one line for each thing.
//!
//! ```text
//! haoyuan draw 1
//! draw 1001.0
//! opens 1800000000000
//! closes 1800000060000
//! commitment 64 hex digits
//! beacon-name 64 hex digits, or -          SHA-256 of the name
//! beacon its value, or -                   - where none was named, or none given in time
//! seed 64 hex digits
//! places 2,2,1                             slot by slot
//! entries 3 64 hex digits                  number, digest
//! result 64 hex digits
//! entry 32 hex digits outpatient 1 3>1 2 3     pseudonym, class, count, slots or any, rank, slot or -
//! ```
//!
//! **Architecture invariant:** a file has one form: what is read and written again is the same bytes.

use std::fmt::{self, Write as _};

use arrayvec::ArrayVec;

use crate::model::{
    DrawChoice, DrawEntry, DrawHash, DrawId, PatientClass, Pseudonym, Seed, SlotIndex, Timestamp,
};

/// A draw as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawFile {
    /// Which draw.
    pub draw: DrawId,
    /// When entries began.
    pub opens: Timestamp,
    /// When they ended.
    pub closes: Timestamp,
    /// What the node was bound to.
    pub commitment: DrawHash,
    /// The hash of the beacon's name, if one was named.
    pub beacon_name: Option<DrawHash>,
    /// The beacon's value, if it was given in time.
    pub beacon: Option<String>,
    /// The seed.
    pub seed: Seed,
    /// The places that were drawn, slot by slot.
    pub places: Vec<u16>,
    /// A digest of the entries.
    pub entries_digest: DrawHash,
    /// A digest of the result.
    pub result_digest: DrawHash,
    /// Every entry, by pseudonym.
    pub entries: Vec<FileEntry>,
}

/// An entry and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// The entry.
    pub entry: DrawEntry,
    /// Its rank, from 1.
    pub rank: u32,
    /// The first slot that it won.
    pub won: Option<SlotIndex>,
}

/// Why a text is no published draw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct FileFault {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// The first line.
const HEAD: &str = "haoyuan draw 1";

/// Classes by their names in a file.
const CLASSES: [(&str, PatientClass); 5] = [
    ("outpatient", PatientClass::Outpatient),
    ("inpatient", PatientClass::Inpatient),
    ("check-up", PatientClass::CheckUp),
    ("emergency", PatientClass::Emergency),
    ("referral", PatientClass::Referral),
];

impl DrawFile {
    /// The text of the file.
    pub fn render(&self) -> String {
        let mut text = format!("{HEAD}\ndraw {}\n", self.draw);
        let mut line = |key: &str, value: &dyn fmt::Display| {
            let _written = writeln!(text, "{key} {value}");
        };
        line("opens", &self.opens.as_millis());
        line("closes", &self.closes.as_millis());
        line("commitment", &Hex(&self.commitment.0));
        match &self.beacon_name {
            Some(name) => line("beacon-name", &Hex(&name.0)),
            None => line("beacon-name", &"-"),
        }
        line("beacon", &self.beacon.as_deref().unwrap_or("-"));
        line("seed", &Hex(&self.seed.0));
        line("places", &Joined(self.places.iter().copied(), ','));
        line("entries", &format_args!("{} {}", self.entries.len(), Hex(&self.entries_digest.0)));
        line("result", &Hex(&self.result_digest.0));
        for FileEntry { entry: DrawEntry { pseudonym, choice }, rank, won } in &self.entries {
            let class = CLASSES.iter().find(|(_, class)| *class == choice.class);
            let class = class.map_or("-", |(name, _)| *name);
            let _written = write!(text, "entry {} {class} {} ", Hex(&pseudonym.0), choice.count);
            let _written = match choice.slots.as_slice() {
                [] => write!(text, "any"),
                slots => write!(text, "{}", Joined(slots.iter().map(|slot| slot.0), '>')),
            };
            let _written = match won {
                Some(slot) => writeln!(text, " {rank} {}", slot.0),
                None => writeln!(text, " {rank} -"),
            };
        }
        text
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The first line that is not as it must be.
    pub fn parse(text: &str) -> Result<Self, FileFault> {
        let mut lines = Lines { rest: text, number: 0 };
        if lines.next() != Some(HEAD) {
            return Err(lines.fault("a published draw begins with \"haoyuan draw 1\""));
        }
        let draw = lines.field("draw", |text| text.parse().ok())?;
        let opens = lines.field("opens", time)?;
        let closes = lines.field("closes", time)?;
        let commitment = lines.field("commitment", hash)?;
        let beacon_name = lines.field("beacon-name", |text| optional(text, hash))?;
        let beacon = lines.field("beacon", |text| optional(text, |text| Some(text.to_owned())))?;
        let seed = lines.field("seed", |text| hash(text).map(|DrawHash(bytes)| Seed(bytes)))?;
        let places = lines.field("places", |text| text.split(',').map(number).collect())?;
        let (count, entries_digest) = lines.field("entries", |text| {
            let (count, digest) = text.split_once(' ')?;
            Some((number::<u32>(count)?, hash(digest)?))
        })?;
        let result_digest = lines.field("result", hash)?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(lines.field("entry", entry)?);
        }
        if !lines.rest.is_empty() {
            lines.number = lines.number.saturating_add(1);
            return Err(lines.fault("there are more entries than the file says"));
        }
        let file = Self {
            draw,
            opens,
            closes,
            commitment,
            beacon_name,
            beacon,
            seed,
            places,
            entries_digest,
            result_digest,
            entries,
        };
        if file.render() == text { Ok(file) } else { Err(lines.fault("not written as it must be")) }
    }
}

/// The lines of a file, counted.
struct Lines<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.number = self.number.saturating_add(1);
        let (line, rest) = self.rest.split_once('\n')?;
        self.rest = rest;
        Some(line)
    }

    fn field<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, FileFault> {
        let line = self.next().ok_or_else(|| self.fault("the file ends too early"))?;
        let value = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(' '));
        value.and_then(read).ok_or_else(|| self.fault("not what must stand here"))
    }

    const fn fault(&self, what: &'static str) -> FileFault {
        FileFault { line: self.number, what }
    }
}

fn entry(text: &str) -> Option<FileEntry> {
    let mut words = text.split(' ');
    let pseudonym = Pseudonym(unhex(words.next()?)?);
    let name = words.next()?;
    let (_, class) = CLASSES.iter().find(|(known, _)| *known == name)?;
    let count = number(words.next()?)?;
    let slots = match words.next()? {
        "any" => ArrayVec::new(),
        list => {
            let mut slots = ArrayVec::new();
            for slot in list.split('>') {
                slots.try_push(SlotIndex(number(slot)?)).ok()?;
            }
            slots
        }
    };
    let rank = number(words.next()?)?;
    let won = optional(words.next()?, |slot| Some(SlotIndex(number(slot)?)))?;
    let choice = DrawChoice { class: *class, count, slots };
    words.next().is_none().then_some(FileEntry {
        entry: DrawEntry { pseudonym, choice },
        rank,
        won,
    })
}

fn time(text: &str) -> Option<Timestamp> {
    number(text).map(Timestamp::from_millis)
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// Nothing where the text is no value; `-` is none.
#[expect(clippy::option_option, reason = "a value, none, and a fault are three things")]
fn optional<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "-" { Some(None) } else { read(text).map(Some) }
}

fn hash(text: &str) -> Option<DrawHash> {
    text.parse().ok()
}

/// Reads hex digits, small letters only.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != N.saturating_mul(2) {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    };
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = *pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

struct Joined<I>(I, char);

impl<I: Iterator<Item = u16> + Clone> fmt::Display for Joined<I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.clone().enumerate() {
            if index != 0 {
                formatter.write_char(self.1)?;
            }
            write!(formatter, "{number}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DrawHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(formatter)
    }
}

impl std::str::FromStr for DrawHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        unhex(text).map(Self).ok_or("it takes 64 hex digits, in small letters")
    }
}

//! What is attested of a patient, as flags.

use clap::Args;

use crate::model::Attributes;

/// What a gateway would attest.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Attested {
    /// The patient's age in years, where rules ask for it
    #[arg(long, value_name = "YEARS", value_parser = clap::value_parser!(u8).range(..=254))]
    age: Option<u8>,
    /// The patient is on file at the site (建档)
    #[arg(long)]
    on_file: bool,
    /// It is the patient's first visit
    #[arg(long)]
    first_visit: bool,
    /// The kind of the patient's identity document, 0 to 15
    #[arg(long, value_name = "KIND", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=15))]
    id_kind: u8,
}

impl Attested {
    pub(super) fn attributes(self) -> Attributes {
        let age = self.age.map_or_else(|| Attributes::default().0, u32::from);
        let (on_file, first_visit) = (u32::from(self.on_file), u32::from(self.first_visit));
        Attributes(age | on_file << 8 | first_visit << 9 | u32::from(self.id_kind) << 10)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        attested: Attested,
    }

    #[test]
    fn flags_attest_what_they_say_and_nothing_else() {
        for (line, age, on_file, first_visit, id_kind) in [
            ("", None, false, false, 0),
            ("--age 0", Some(0), false, false, 0),
            ("--age 254 --id-kind 15", Some(254), false, false, 15),
            ("--on-file", None, true, false, 0),
            ("--first-visit --id-kind 1", None, false, true, 1),
        ] {
            let words = std::iter::once("ctl").chain(line.split_whitespace());
            let attributes = Line::try_parse_from(words).unwrap().attested.attributes();
            let said = (attributes.age(), attributes.is_on_file(), attributes.is_first_visit());
            assert_eq!(
                (said, attributes.id_kind()),
                ((age, on_file, first_visit), id_kind),
                "{line}"
            );
            assert_eq!(attributes == Attributes::default(), line.is_empty());
        }
        for line in ["--age 255", "--age -1", "--id-kind 16"] {
            let words = std::iter::once("ctl").chain(line.split_whitespace());
            assert!(Line::try_parse_from(words).is_err(), "{line}");
        }
    }
}

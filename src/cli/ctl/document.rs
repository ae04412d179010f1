//! Documents from files or standard input, and the configuration's names for them.

use std::io::Read;
use std::path::Path;

use crate::cli::failure::Failure;
use crate::ops::config::Config;
use crate::ops::sessions::{DocumentDefaults, DocumentFormat};

/// The text of a document and its language.
pub(super) struct Document {
    pub(super) name: String,
    pub(super) format: DocumentFormat,
    pub(super) text: String,
}

impl Document {
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let name = file.display().to_string();
        let Some(format) = DocumentFormat::of(&name) else {
            return Err(Failure::usage(
                format!("{name} is neither .toml nor .json"),
                "name the file so that its language shows, or give JSON on standard input with -",
            ));
        };
        let text = if name == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(file)
        };
        let text = text.map_err(|error| {
            Failure::usage(format!("cannot read {name}: {error}"), "name a document")
        })?;
        Ok(Self { name, format, text })
    }
}

/// What the node's configuration says for documents.
pub(super) fn defaults(config: Option<&Path>) -> Result<DocumentDefaults, Failure> {
    let mut defaults = DocumentDefaults::default();
    let Some(path) = config else { return Ok(defaults) };
    let config = Config::read(path).map_err(|error| crate::cli::serve::of_config(&error))?;
    config.check().map_err(|error| crate::cli::serve::of_config(&error))?;
    let names = config.channel_names().map_err(|error| crate::cli::serve::of_config(&error))?;
    defaults.channels = names.into_iter().map(|(channel, name)| (name, channel)).collect();
    defaults.ttl = config.hold_ttl();
    Ok(defaults)
}

//! `strait config`: the effective configuration as a TOML file, with where each value came from.

use std::fmt::Write;

use super::{KEYS, Loaded, Origin};

/// Where the comments begin, so that they stand in one column.
const COMMENT_COLUMN: usize = 40;

impl Loaded {
    /// The configuration as TOML that can be used as a file again. A secret is only said to be set or not.
    pub fn show(&self) -> String {
        let mut text =
            String::from("# The effective configuration: flag before variable before file before default.\n");
        for note in &self.notes {
            let _ = writeln!(text, "# {}", note.replace(char::is_control, "?"));
        }
        let mut section = "";
        for (key, origin) in KEYS.iter().zip(&self.origins) {
            if key.section != section {
                section = key.section;
                let _ = writeln!(text, "\n[{section}]");
            }
            let value = key.value(&self.config);
            let line = if key.secret {
                format!("# {} is {value}", key.name)
            } else {
                format!("{} = {value}", key.name)
            };
            let _ = writeln!(text, "{line:COMMENT_COLUMN$}  # {}", one_line(origin));
        }
        text
    }
}

/// A path may hold any byte, a comment no line break.
fn one_line(origin: &Origin) -> String {
    origin.to_string().replace(char::is_control, "?")
}

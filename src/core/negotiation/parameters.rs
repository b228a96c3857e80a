//! The parameters of a format (`a=fmtp`, RFC 8866 §6.15): `name=value` pairs with semicolons between them.

/// The parameters of one format, from all of its `a=fmtp` lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters<'a>(Vec<&'a str>);

impl<'a> Parameters<'a> {
    /// Adds what one line says.
    pub fn add(&mut self, text: &'a str) {
        self.0.push(text);
    }

    /// Returns all pairs, in their order. The value is empty where there is none.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().flat_map(|line| line.split(';')).filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = name.trim();
            (!name.is_empty()).then(|| (name, value.trim()))
        })
    }

    /// Returns the value of a name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the value of a name as a number; `None` if it is missing or not a number.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }

    /// Returns the text of the first line, for the formats that have no pairs (RFC 2198).
    pub fn text(&self) -> &'a str {
        self.0.first().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_with_any_spaces_and_case() {
        let mut parameters = Parameters::default();
        parameters.add(" Profile-Level-ID=42e01f; packetization-mode = 1;;flag");
        parameters.add("max-fs=12");
        assert_eq!(parameters.get("profile-level-id"), Some("42e01f"));
        assert_eq!(parameters.number("packetization-mode"), Some(1));
        assert_eq!(parameters.number("profile-level-id"), None);
        assert_eq!(parameters.get("flag"), Some(""));
        assert_eq!(parameters.number("max-fs"), Some(12));
        assert_eq!(parameters.get("apt"), None);
    }
}

//! The explanation as JSON, for programs.

use super::model::Explanation;

/// Returns the explanation as JSON.
pub fn render(explanation: &Explanation) -> String {
    // Of plain values; a key that is no text cannot be in it.
    serde_json::to_string_pretty(explanation).unwrap_or_default() + "\n"
}

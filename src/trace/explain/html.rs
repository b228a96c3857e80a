//! The explanation as a page.

use super::model::Explanation;

/// Draws it.
pub fn render(explanation: &Explanation) -> String {
    super::text::render(explanation, None)
}

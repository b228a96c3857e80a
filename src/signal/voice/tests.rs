//! Voice channels, as stories of their members.

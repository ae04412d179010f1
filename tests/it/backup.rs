//! Backups: made beside a loaded node, verified, restored, refused.

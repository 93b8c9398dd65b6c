//! Local users who try to lead the bootstrap out of its directory.

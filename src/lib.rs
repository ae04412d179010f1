//! haoyuan (号源): the engine a hospital booking platform turns to at the minute its slots open.

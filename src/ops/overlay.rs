//! Documents that name only what differs from another.
//!
//! **Architecture invariant:** a list is a value: it takes the place of the other's, and is not joined to it.

use toml::{Table, Value};

/// Puts every value of a table over that of the same key, table by table.
pub fn lay_over(table: &mut Table, over: Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(value)) => lay_over(under, value),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays_and_lists_are_values() {
        let read = |text: &str| -> Table { toml::from_str(text).unwrap() };
        let mut table = read("a = 1\nlist = [1, 2]\n[b]\nc = 1\nd = 2");
        lay_over(&mut table, read("list = [3]\n[b]\nd = 7\n[e]\nf = 1"));
        assert_eq!(table, read("a = 1\nlist = [3]\n[b]\nc = 1\nd = 7\n[e]\nf = 1"));
    }
}

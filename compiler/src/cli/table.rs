//! Columns of text.

use comfy_table::{Table, presets};

use super::render::escape;

/// An empty line, then the head and the rows, each column as wide as its widest cell; nothing without rows.
pub(super) fn table<Row: IntoIterator<Item = String>>(head: &[&str], rows: Vec<Row>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row.into_iter().map(|cell| escape(&cell)));
    }
    let lines = table.lines().map(|line| format!(" {}\n", line.trim_end()));
    std::iter::once("\n".to_owned()).chain(lines).collect()
}

//! From a tree to text.

use super::tree::{Block, Comment, Filler, Form, Gap, Item, Node, Part};

/// The most characters of a line that ends a block which begins on it.
const WIDTH: usize = 100;
/// What each level of blocks stands further right.
const INDENT: &str = "    ";

/// The text of a file.
pub(super) fn text(block: &Block<'_>) -> String {
    let mut writer = Writer { out: String::new(), level: 0, one_line: false };
    writer.items(&block.items);
    writer.out
}

struct Writer {
    out: String,
    level: usize,
    /// Whether all blocks that come belong to one that stands on one line.
    one_line: bool,
}

impl Writer {
    fn items(&mut self, items: &[Item<'_>]) {
        for item in items {
            if item.after_blank {
                self.out.push('\n');
            }
            self.indent(self.level);
            self.item(item);
            self.out.push('\n');
        }
    }

    fn item(&mut self, item: &Item<'_>) {
        self.comments(&item.comments);
        if let Some(node) = &item.node {
            self.space();
            self.node(node);
        }
        // A `;` may come a line after what `\` ended: together they may have more than one comment to the end of a line.
        let trailing = item.node.iter().flat_map(|node| &node.trailing);
        self.comments(trailing.chain(&item.after));
    }

    fn node(&mut self, node: &Node<'_>) {
        for part in &node.parts {
            self.part(part);
        }
    }

    fn part(&mut self, part: &Part<'_>) {
        for filler in &part.gap {
            // The `{` stands on the line of its node.
            let needless = *filler == Filler::Continued(None) && matches!(part.form, Form::Block(_));
            if !needless {
                self.space();
                self.filler(*filler);
            }
        }
        self.space();
        if let Some(gap) = &part.slashdash {
            self.out.push_str("/-");
            self.tight(gap);
        }
        match &part.form {
            Form::Entry(words) => {
                for (gap, word) in words {
                    self.tight(gap);
                    self.out.push_str(word);
                }
            }
            Form::Block(block) => self.block(block),
        }
    }

    fn block(&mut self, block: &Block<'_>) {
        if block.items.is_empty() && block.opening.is_empty() {
            self.out.push_str("{}");
        } else if self.one_line {
            self.on_one_line(block);
        } else if let Some(line) = self.fitting(block) {
            self.out.push_str(&line);
        } else {
            self.on_lines(block);
        }
    }

    /// The block on one line, if it was and that line is not too long.
    fn fitting(&self, block: &Block<'_>) -> Option<String> {
        if !block.one_line {
            return None;
        }
        let mut writer = Self { out: String::new(), level: 0, one_line: true };
        writer.on_one_line(block);
        let column = self.out.rsplit('\n').next().unwrap_or_default().chars().count();
        (column + writer.out.chars().count() <= WIDTH).then_some(writer.out)
    }

    fn on_one_line(&mut self, block: &Block<'_>) {
        self.out.push('{');
        self.comments(&block.opening);
        for (at, item) in block.items.iter().enumerate() {
            self.out.push_str(if at == 0 { " " } else { "; " });
            self.item(item);
        }
        self.out.push_str(" }");
    }

    fn on_lines(&mut self, block: &Block<'_>) {
        self.out.push('{');
        self.level += 1;
        self.comments(&block.opening);
        self.out.push('\n');
        self.items(&block.items);
        self.level -= 1;
        self.indent(self.level);
        self.out.push('}');
    }

    /// Comments, each after a space; what follows one to the end of the line stands on a line of its own.
    fn comments<'c>(&mut self, comments: impl IntoIterator<Item = &'c Comment<'c>>) {
        let mut ended = false;
        for comment in comments {
            if ended {
                self.line(self.level);
            }
            self.space();
            self.out.push_str(comment.text);
            ended = comment.to_end;
        }
    }

    fn tight(&mut self, gap: &Gap<'_>) {
        for filler in gap.iter().filter(|filler| **filler != Filler::Continued(None)) {
            self.filler(*filler);
        }
    }

    fn filler(&mut self, filler: Filler<'_>) {
        if let Filler::Continued(_) = filler {
            self.space();
            self.out.push('\\');
        }
        let Some(comment) = filler.comment() else { return self.line(self.level + 1) };
        if comment.to_end {
            self.space();
        }
        self.out.push_str(comment.text);
        if comment.to_end {
            self.line(self.level + 1);
        }
    }

    fn line(&mut self, level: usize) {
        self.out.push('\n');
        self.indent(level);
    }

    fn indent(&mut self, level: usize) {
        self.out.extend(std::iter::repeat_n(INDENT, level));
    }

    /// A space, unless nothing stands before it on the line. Nothing that is written ends with one.
    fn space(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with([' ', '\n']) {
            self.out.push(' ');
        }
    }
}

//! Findings for people, drawn by miette.

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceSpan, ThemeCharacters, ThemeStyles};

use crate::diag::fix::Applicability;
use crate::diag::{Finding, Label, Severity};
use crate::source::Sources;

mod escape;
mod json;
mod style;
mod text;

pub(super) use escape::{escape, xml};
pub(super) use json::{Each, json, write_json};
pub(super) use style::Style;
use text::Texts;

/// How a fix is had.
pub(super) fn available(applicability: Applicability) -> &'static str {
    match applicability {
        Applicability::Safe => "`--fix` writes it",
        Applicability::Unsafe => "`--unsafe-fixes` writes it, if it is meant",
    }
}

/// All findings, each followed by an empty line.
pub(super) fn findings(findings: &[Finding], sources: &Sources, style: Style) -> String {
    let texts = Texts::of(findings, sources);
    let characters = ThemeCharacters::unicode();
    let styles = if style.colours { ThemeStyles::ansi() } else { ThemeStyles::none() };
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
        .with_width(style.width)
        .with_links(false)
        .with_context_lines(1)
        .without_syntax_highlighting();
    let mut text = String::new();
    for finding in findings {
        // Writing to a string cannot fail, and a source that cannot be read shows the finding without its text.
        _ = handler.render_report(&mut text, &Report::of(finding, &texts));
        text.push('\n');
    }
    text
}

/// A finding as miette wants it: the labels of its first file, and those of other files as notes below.
#[derive(Debug)]
struct Report<'f> {
    code: Option<String>,
    severity: Severity,
    message: String,
    help: Option<String>,
    source: Option<&'f text::Text>,
    labels: Vec<LabeledSpan>,
    related: Vec<Report<'f>>,
}

impl<'f> Report<'f> {
    fn of(finding: &'f Finding, texts: &'f Texts) -> Self {
        let first = finding.labels.first().map(|label| label.span.source);
        let (own, others): (Vec<&Label>, Vec<&Label>) =
            finding.labels.iter().partition(|label| Some(label.span.source) == first);
        let help =
            [finding.witness.as_ref().map(|witness| format!("shown by {witness}")), finding.help.clone()];
        let fix = finding.fix.as_ref().map(|fix| format!("fix: {}", available(fix.applicability)));
        let help: Vec<String> = help.into_iter().flatten().chain(fix).map(|line| escape(&line)).collect();
        Self {
            code: Some(format!("{} {}", finding.code.id(), finding.code.slug())),
            severity: finding.severity,
            help: (!help.is_empty()).then(|| help.join("\n")),
            related: others.into_iter().map(|label| Self::elsewhere(label, texts)).collect(),
            ..Self::drawn(&finding.message, &own, texts)
        }
    }

    /// A label in another file. It has neither code nor help: it is a part of the finding, not one of its own.
    fn elsewhere(label: &Label, texts: &'f Texts) -> Self {
        let file = texts.get(label.span.source).map_or("another file", text::Text::name);
        Self::drawn(&format!("this is about `{file}` too"), &[label], texts)
    }

    /// A message with the labels of one file; with a place in words if the text there is too long to be drawn.
    fn drawn(message: &str, labels: &[&Label], texts: &'f Texts) -> Self {
        let text = labels.first().and_then(|label| texts.get(label.span.source));
        let (code, severity, help, related) = (None, Severity::Note, None, Vec::new());
        let message = escape(message);
        match text {
            Some(text) if labels.iter().all(|label| text.can_show(label.span)) => {
                let labels = labels.iter().enumerate().map(|(at, label)| drawn_label(label, at == 0, text));
                Self { code, severity, message, help, source: Some(text), labels: labels.collect(), related }
            }
            _ => {
                let places =
                    labels.iter().filter_map(|label| Some(texts.get(label.span.source)?.place(label)));
                let message = std::iter::once(message).chain(places).collect::<Vec<_>>().join(", ");
                Self { code, severity, message, help, source: None, labels: Vec::new(), related }
            }
        }
    }
}

fn drawn_label(label: &Label, primary: bool, text: &text::Text) -> LabeledSpan {
    let (words, range) = (Some(escape(&label.text)), text.range(label.span));
    let span = SourceSpan::from((range.start, range.len()));
    if primary {
        LabeledSpan::new_primary_with_span(words, span)
    } else {
        LabeledSpan::new_with_span(words, span)
    }
}

impl std::fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.code.as_ref().map(|code| Box::new(code) as Box<dyn std::fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.map(|source| source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<_>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        let related = self.related.iter().map(|report| report as &dyn miette::Diagnostic);
        (!self.related.is_empty()).then(|| Box::new(related) as Box<_>)
    }
}

//! The language as data, for editors, generators and whoever teaches it to a machine.
//!
//! A node may have several forms, told apart by a word or a property; the first whose `when` holds is meant. What a
//! form does not list is refused there.

use serde::Serialize;

use super::Class;

/// The whole language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    /// The `version=` that policies of this language have.
    pub policy_version: u32,
    /// Nodes of a policy, in any order and any of its files.
    pub policy: Vec<Form>,
    /// Nodes of a workload file.
    pub workload: Vec<Form>,
}

/// A node, or one form of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Form {
    /// The node's name.
    pub name: &'static str,
    /// What makes a node of that name this form; absent: no other form does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// What it says.
    pub summary: &'static str,
    /// What a list cannot say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
    /// Of a form that says who a container is: whose word that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Class>,
    /// How often nodes of that name stand in one place, of whatever form.
    pub count: Count,
    /// Its arguments, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    /// Its properties.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
    /// Values of properties whose keys are the user's; at least one stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Value>,
    /// Nodes in its block.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
    /// Whether it may also stand in a block of its own kind.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nests: bool,
}

/// What tells forms of one node apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum When {
    /// An argument is this word.
    Argument {
        /// The word.
        argument: &'static str,
    },
    /// A property is there, and is this word if one is named.
    Property {
        /// Its key.
        property: &'static str,
        /// Its value.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<&'static str>,
    },
}

/// How often something stands in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    /// Exactly once.
    One,
    /// Once or not at all.
    AtMostOne,
    /// Once or more.
    AtLeastOne,
    /// As often as one likes.
    Any,
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// What it may be.
    pub value: Value,
    /// How many.
    pub count: Count,
}

/// A property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Property {
    /// Its key.
    pub key: &'static str,
    /// What it may be.
    pub value: Value,
    /// Whether it must be there.
    pub required: bool,
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Value {
    /// Any string that is not empty.
    Text,
    /// A string with `*` (up to `/`), `**` and `?` as wildcards.
    Glob,
    /// A name that is defined by this.
    Definition {
        /// The kind of what has it.
        of: &'static str,
    },
    /// A name that is defined elsewhere.
    Reference {
        /// The kind of what has it.
        to: &'static str,
    },
    /// An integer.
    Integer {
        /// The least; absent: none.
        #[serde(skip_serializing_if = "Option::is_none")]
        least: Option<u32>,
    },
    /// This integer.
    Exactly {
        /// The integer.
        integer: u32,
    },
    /// `#true` or `#false`.
    Flag,
    /// One of these words.
    Word {
        /// The words.
        words: Vec<&'static str>,
    },
    /// Some of these words in one string, separated by commas.
    WordList {
        /// The words.
        words: Vec<&'static str>,
    },
    /// An integer from `least` up, or one of these words.
    IntegerOrWord {
        /// The least integer.
        least: u32,
        /// The words.
        words: Vec<&'static str>,
    },
    /// A string of a decimal number and a unit.
    Amount {
        /// The units.
        units: Vec<&'static str>,
    },
    /// Numbers separated by dots, as a string.
    Version,
    /// The exact form that the summary names, as a string.
    Exact {
        /// One such string.
        example: &'static str,
    },
}

impl Form {
    /// A node that may stand as often as `count` says, with nothing in it.
    pub(super) fn new(name: &'static str, count: Count, summary: &'static str) -> Self {
        Self {
            name,
            when: None,
            summary,
            note: None,
            trust: None,
            count,
            arguments: Vec::new(),
            properties: Vec::new(),
            pairs: None,
            children: Vec::new(),
            nests: false,
        }
    }

    /// The form with this word among its arguments.
    pub(super) fn word(mut self, argument: &'static str) -> Self {
        self.when = Some(When::Argument { argument });
        self.arguments.push(Argument { value: Value::Word { words: vec![argument] }, count: Count::One });
        self
    }

    /// The form with this property, and this word as its value if one is named.
    pub(super) fn by(mut self, property: &'static str, word: Option<&'static str>) -> Self {
        self.when = Some(When::Property { property, value: word });
        match word {
            Some(word) => self.required(property, Value::Word { words: vec![word] }),
            None => self,
        }
    }

    pub(super) fn note(mut self, note: &'static str) -> Self {
        self.note = Some(note);
        self
    }

    pub(super) fn trust(mut self, class: Class) -> Self {
        self.trust = Some(class);
        self
    }

    pub(super) fn argument(mut self, value: Value, count: Count) -> Self {
        self.arguments.push(Argument { value, count });
        self
    }

    pub(super) fn required(mut self, key: &'static str, value: Value) -> Self {
        self.properties.push(Property { key, value, required: true });
        self
    }

    pub(super) fn optional(mut self, key: &'static str, value: Value) -> Self {
        self.properties.push(Property { key, value, required: false });
        self
    }

    pub(super) fn pairs(mut self, value: Value) -> Self {
        self.pairs = Some(value);
        self
    }

    pub(super) fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    pub(super) fn nests(mut self) -> Self {
        self.nests = true;
        self
    }
}

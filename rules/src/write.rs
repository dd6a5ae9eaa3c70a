//! Sigma text of tests somebody chose: a filter to read, export and share, and the rule it is run as.
//!
//! In: field names with values, and how they are compared. Out: YAML that the loader of this crate reads back
//! with the same meaning (tests). Values are plain: what Sigma reads as a wildcard or an escape is escaped,
//! and every scalar is a quoted one (a JSON string is a YAML double-quoted scalar). Source: Sigma rules
//! specification 2.1.0, "Escape Character"; filters specification.

use serde::{Deserialize, Serialize};

/// How a value is compared; Sigma's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The whole value, without case.
    Equals,
    /// `startswith`
    StartsWith,
    /// `endswith`
    EndsWith,
    /// `contains`
    Contains,
    /// `cidr`
    Cidr,
}

impl How {
    /// All of them.
    pub const ALL: [How; 5] = [How::Equals, How::StartsWith, How::EndsWith, How::Contains, How::Cidr];

    /// The word in forms and JSON.
    pub fn name(self) -> &'static str {
        match self {
            How::Equals => "equals",
            How::StartsWith => "startswith",
            How::EndsWith => "endswith",
            How::Contains => "contains",
            How::Cidr => "cidr",
        }
    }

    /// The one of this word.
    pub fn from_name(name: &str) -> Option<How> {
        How::ALL.into_iter().find(|how| how.name() == name)
    }

    fn modifier(self) -> &'static str {
        match self {
            How::Equals => "",
            How::StartsWith => "|startswith",
            How::EndsWith => "|endswith",
            How::Contains => "|contains",
            How::Cidr => "|cidr",
        }
    }
}

/// One test that somebody chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldTest {
    /// The field, as the rule or ECS names it.
    pub field: String,
    /// How it is compared.
    pub how: How,
    /// The value, plain.
    pub value: String,
}

/// What the text is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// `title`
    pub title: &'a str,
    /// `name`, letters, digits and underscores.
    pub name: &'a str,
    /// `description`
    pub description: &'a str,
    /// `logsource` of the rule it belongs to: category, product, service.
    pub logsource: &'a [Option<String>; 3],
}

/// A filter that takes what passes all of `tests` out of the rule `rule_id`.
pub fn filter_text(about: &About<'_>, rule_id: &str, tests: &[FieldTest]) -> String {
    let mut text = head(about);
    text.push_str(&format!("filter:\n    rules:\n        - {}\n    selection:\n", quoted(rule_id)));
    push_tests(&mut text, tests);
    text.push_str("    condition: not selection\n");
    text
}

/// A rule that matches what passes all of `tests`.
pub fn selection_text(about: &About<'_>, tests: &[FieldTest]) -> String {
    let mut text = head(about);
    text.push_str("detection:\n    selection:\n");
    push_tests(&mut text, tests);
    text.push_str("    condition: selection\n");
    text
}

fn head(about: &About<'_>) -> String {
    let mut text = format!(
        "title: {}\nname: {}\ndescription: {}\nlogsource:\n",
        quoted(about.title),
        quoted(about.name),
        quoted(about.description)
    );
    let mut has_any = false;
    for (key, value) in ["category", "product", "service"].iter().zip(about.logsource) {
        if let Some(value) = value {
            has_any = true;
            text.push_str(&format!("    {key}: {}\n", quoted(value)));
        }
    }
    if !has_any {
        text.push_str("    category: any\n");
    }
    text
}

fn push_tests(text: &mut String, tests: &[FieldTest]) {
    // A list of maps with `all` would be an alternative; one key twice is refused: equal keys become one list with `all`.
    let mut done: Vec<(&str, How)> = Vec::new();
    for test in tests {
        let key = (test.field.as_str(), test.how);
        if done.contains(&key) {
            continue;
        }
        done.push(key);
        let mut values: Vec<&str> = Vec::new();
        for same in tests.iter().filter(|same| (same.field.as_str(), same.how) == key) {
            if !values.contains(&same.value.as_str()) {
                values.push(&same.value);
            }
        }
        let written = |value: &str| match test.how {
            How::Cidr => quoted(value),
            _ => quoted(&escaped(value)),
        };
        match values.as_slice() {
            [value] => {
                let name = quoted(&format!("{}{}", test.field, test.how.modifier()));
                text.push_str(&format!("        {name}: {}\n", written(value)));
            }
            values => {
                let name = quoted(&format!("{}{}|all", test.field, test.how.modifier()));
                text.push_str(&format!("        {name}:\n"));
                values.iter().for_each(|value| text.push_str(&format!("            - {}\n", written(value))));
            }
        }
    }
}

/// What Sigma reads as the plain text.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '\\' | '*' | '?') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::predicate::{Pattern, Shape, Test};
    use crate::{LoadOptions, Routing, RuleSet};

    fn test(field: &str, how: How, value: &str) -> FieldTest {
        FieldTest { field: field.into(), how, value: value.into() }
    }

    fn load(text: &str) -> RuleSet {
        let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
        let set = RuleSet::from_texts(&[(PathBuf::from("x.yml"), text.to_owned())], &options);
        assert!(set.errors.is_empty(), "{:?}\n{text}", set.errors);
        set
    }

    const ABOUT: About<'_> = About {
        title: "t: \"quoted\" # no comment\n- x",
        name: "n_1",
        description: "Đã hẹn",
        logsource: &[None, None, None],
    };

    #[test]
    fn values_are_read_back_as_they_are() {
        for value in
            ["C:\\Users\\*\\a?.exe", "\\\\srv\\share\\", "a\nb: c", "'\"{}[]%x%", "Đồng Hới", "*", "yes", "0x1F", " x "]
        {
            let set = load(&selection_text(&ABOUT, &[test("CommandLine", How::Equals, value)]));
            let Test::Text(Pattern { parts, .. }) = &set.atoms[0].test else { panic!("{:?}", set.atoms) };
            let pattern = Pattern { parts: parts.clone(), is_cased: false };
            assert_eq!(pattern.shape(), Shape::Equals(&crate::fold::fold(value)), "{value}");
        }
    }

    #[test]
    fn equal_keys_must_all_hold() {
        let tests = [
            test("A", How::Contains, "x"),
            test("A", How::Contains, "y"),
            test("A", How::Equals, "xy"),
            test("A", How::Contains, "x"),
        ];
        let set = load(&selection_text(&ABOUT, &tests));
        assert_eq!(set.rules.len(), 1);
        assert_eq!(set.atoms.len(), 3, "{:?}", set.atoms);
        assert_eq!(set.rules[0].meta.name.as_deref(), Some("n_1"));
    }

    #[test]
    fn a_filter_takes_out_what_passes() {
        let rule = "title: r\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01\nlogsource: {category: any}\ndetection:\n  s: {A: 1}\n  condition: s\n";
        let filter =
            filter_text(&ABOUT, "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01", &[test("ip", How::Cidr, "10.0.0.0/8")]);
        let set = load(&format!("{rule}---\n{filter}"));
        assert_eq!((set.rules.len(), set.atoms.len(), set.warnings.len()), (1, 2, set.warnings.len()));
        assert!(set.atoms.iter().any(|atom| matches!(atom.test, Test::Cidr { .. })));
    }
}

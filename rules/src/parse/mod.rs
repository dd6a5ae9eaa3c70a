//! One YAML document in, one [`Document`] out: what a rule says of itself, its log source, and which kind it is.
//!
//! Fails with a place and what to write instead. Unknown keys are allowed, as the specification says.
//! Source: Sigma rules specification 2.1.0, "Components"; `nhatle:` is our own key (`docs/sigma.md`).

pub(crate) mod condition;
pub(crate) mod correlation;
pub(crate) mod detection;
pub(crate) mod modifier;

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::ast::{Document, Filter, LogSource, Rule};
use crate::error::Fault;
use crate::set::{Level, Meta};
use crate::yaml::{Kind, Node, Place};

/// How long an id, a name or a title may be, in bytes.
pub const NAME_BYTES_MAX: usize = 512;
/// How many questions a rule has for the analyst.
const QUESTIONS_MAX: usize = 5;
/// How many entries a list of tags, references and the like may have.
pub const META_LIST_MAX: usize = 1_000;

/// The document as written.
pub(crate) fn parse(node: &Node, text: &Arc<str>, file: &Path, line: usize) -> Result<Document, Fault> {
    let Kind::Map(_) = node.kind else {
        return Err(Fault::new(
            node.place,
            format!("the document is {}; a rule is a map that begins with `title:`", node.kind_name()),
        ));
    };
    let kinds = ["detection", "correlation", "filter"].map(|key| node.get(key));
    let logsource = node.get("logsource").map(logsource).transpose()?;
    check_taxonomy(node)?;
    let meta = meta(node, text, file, line, logsource.as_ref())?;
    let place = node.place;
    if let (None, Some(scope)) = (node.get("correlation"), correlation::own_scope(node)) {
        return Err(Fault::new(scope.place, "`scope` is for a correlation; a rule looks at one event".into()));
    }
    let needed = |logsource: Option<LogSource>| {
        logsource.ok_or_else(|| {
            Fault::new(place, "there is no `logsource`; write at least one of category, product, service".into())
        })
    };
    match kinds {
        [Some(node), None, None] => {
            let logsource = needed(logsource)?;
            Ok(Document::Rule(Rule { meta, place, logsource, detection: detection::parse(node, &[])? }))
        }
        [None, Some(inner), None] => correlation::parse(inner, node, meta).map(Document::Correlation),
        [None, None, Some(inner)] => filter(inner, needed(logsource)?, meta, place).map(Document::Filter),
        [None, None, None] => Err(Fault::new(place, "there is no `detection` (nor `correlation` or `filter`)".into())),
        _ => Err(Fault::new(
            place,
            "a document has one of `detection`, `correlation`, `filter`; divide it with `---`".into(),
        )),
    }
}

fn check_taxonomy(node: &Node) -> Result<(), Fault> {
    let Some(taxonomy) = node.get("taxonomy") else { return Ok(()) };
    match taxonomy.text() {
        Some("sigma" | "ecs") => Ok(()),
        other => {
            let reason =
                format!("the taxonomy `{}` is not known; only `sigma` and `ecs` are", other.unwrap_or_default());
            Err(Fault::new(taxonomy.place, reason))
        }
    }
}

fn logsource(node: &Node) -> Result<LogSource, Fault> {
    if node.map().is_none() {
        return Err(Fault::new(
            node.place,
            format!("`logsource` is {}; it must be a map of category, product, service", node.kind_name()),
        ));
    }
    let part = |key: &str| -> Result<Option<String>, Fault> {
        let Some(node) = node.get(key) else { return Ok(None) };
        let text = bounded(node, key)?;
        Ok((!text.is_empty()).then(|| text.to_lowercase()))
    };
    let source = LogSource { category: part("category")?, product: part("product")?, service: part("service")? };
    if source == LogSource::default() {
        return Err(Fault::new(
            node.place,
            "`logsource` names nothing; write at least one of category, product, service".into(),
        ));
    }
    Ok(source)
}

/// A short text.
fn bounded<'a>(node: &'a Node, key: &str) -> Result<&'a str, Fault> {
    match node.text() {
        Some(text) if text.len() <= NAME_BYTES_MAX => Ok(text.trim()),
        Some(_) => Err(Fault::new(node.place, format!("`{key}` is longer than {NAME_BYTES_MAX} bytes"))),
        None if node.is_null() => Ok(""),
        None => Err(Fault::new(node.place, format!("`{key}` is {}; it must be text", node.kind_name()))),
    }
}

fn meta(node: &Node, text: &Arc<str>, file: &Path, line: usize, logsource: Option<&LogSource>) -> Result<Meta, Fault> {
    let short = |key: &str| -> Result<Option<String>, Fault> {
        let Some(value) = node.get(key) else { return Ok(None) };
        Ok(Some(bounded(value, key)?.to_owned()).filter(|text| !text.is_empty()))
    };
    let free = |key: &str| node.get(key).and_then(Node::text).map(|text| text.trim_end().to_owned());
    let Some(title) = short("title")? else {
        return Err(Fault::new(node.place, "there is no `title`; a rule must say what it finds".into()));
    };
    let level = match short("level")? {
        None => Level::default(),
        Some(name) => Level::from_name(&name.to_ascii_lowercase()).ok_or_else(|| {
            let place = node.get("level").map_or(node.place, |level| level.place);
            Fault::new(place, format!("unknown level `{name}`; write informational, low, medium, high or critical"))
        })?,
    };
    let ours = node.get("nhatle");
    let our = |key: &str| ours.and_then(|ours| ours.get(key));
    let explanation = |language: &str| our("explanation")?.get(language)?.text().map(str::to_owned);
    let part = |pick: fn(&LogSource) -> &Option<String>| logsource.and_then(|source| pick(source).clone());
    Ok(Meta {
        id: short("id")?.map_or_else(|| derived_id(&title), |id| id.to_lowercase()),
        name: short("name")?,
        title_vi: our("title_vi").and_then(Node::text).map(str::to_owned),
        status: short("status")?.map(|status| status.to_ascii_lowercase()),
        description: free("description").unwrap_or_default(),
        author: free("author"),
        license: free("license"),
        references: texts(node.get("references"))?,
        tags: texts(node.get("tags"))?,
        level,
        level_written: None,
        false_positives: texts(node.get("falsepositives"))?,
        fields: texts(node.get("fields"))?,
        explanation_vi: explanation("vi"),
        explanation_en: explanation("en"),
        questions_vi: questions(our("questions"), "vi")?,
        questions_en: questions(our("questions"), "en")?,
        suppress_s: our("suppress_s").map(seconds).transpose()?,
        entity: texts(our("entity"))?,
        logsource: [part(|source| &source.category), part(|source| &source.product), part(|source| &source.service)],
        file: file.to_owned(),
        line,
        text: Arc::clone(text),
        title,
    })
}

/// A stable id for a document without one: a UUID (version 8) of the hash of its title.
pub(crate) fn derived_id(title: &str) -> String {
    let hash = Sha256::digest(format!("nhatle rule without id\0{title}"));
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The questions of a language: at most [`QUESTIONS_MAX`], and as many in the other one.
fn questions(node: Option<&Node>, language: &str) -> Result<Vec<String>, Fault> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let of = |language: &str| texts(node.get(language));
    let found = of(language)?;
    if QUESTIONS_MAX < found.len() || found.iter().any(|text| text.is_empty() || NAME_BYTES_MAX < text.len()) {
        let reason = format!("`questions` are 1 to {QUESTIONS_MAX} texts of at most {NAME_BYTES_MAX} bytes");
        return Err(Fault::new(node.place, reason));
    }
    if of("vi")?.len() != of("en")?.len() {
        return Err(Fault::new(node.place, "`questions` has more in one language; write each in `vi` and `en`".into()));
    }
    Ok(found)
}

fn seconds(node: &Node) -> Result<u64, Fault> {
    let text = node.text().unwrap_or_default();
    text.parse().map_err(|_| Fault::new(node.place, format!("`{text}` is not a number of seconds")))
}

/// A list of texts, or one text.
fn texts(node: Option<&Node>) -> Result<Vec<String>, Fault> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let nodes = match &node.kind {
        Kind::List(items) => items.as_slice(),
        Kind::Map(_) => return Err(Fault::new(node.place, "a map stands here; it must be a list of texts".into())),
        Kind::Scalar { .. } => std::slice::from_ref(node),
    };
    if META_LIST_MAX < nodes.len() {
        return Err(Fault::new(node.place, format!("more than {META_LIST_MAX} entries")));
    }
    Ok(nodes.iter().filter_map(Node::text).map(|text| text.trim().to_owned()).collect())
}

/// A `filter` section: the rules it is for, searches and a condition.
fn filter(node: &Node, logsource: LogSource, meta: Meta, place: Place) -> Result<Filter, Fault> {
    let Some(rules) = node.get("rules") else {
        let reason = "the filter does not say which `rules` it is for; write a list of ids or names, or `any`";
        return Err(Fault::new(node.place, reason.into()));
    };
    let rules = match &rules.kind {
        Kind::Scalar { .. } if rules.text() == Some("any") => Vec::new(),
        _ => references(rules)?,
    };
    let detection = detection::parse(node, &["rules"])?;
    Ok(Filter { meta, place, logsource, rules, detection })
}

/// A list of rule ids or names, or one.
pub(crate) fn references(node: &Node) -> Result<Vec<(String, Place)>, Fault> {
    let nodes = match &node.kind {
        Kind::List(items) => items.as_slice(),
        Kind::Scalar { .. } => std::slice::from_ref(node),
        Kind::Map(_) => {
            return Err(Fault::new(node.place, "`rules` is a map; it must be a list of rule ids or names".into()));
        }
    };
    if META_LIST_MAX < nodes.len() {
        return Err(Fault::new(node.place, format!("more than {META_LIST_MAX} rules")));
    }
    let one = |node: &Node| match bounded(node, "rules")? {
        "" => Err(Fault::new(node.place, "an empty rule reference".into())),
        text => Ok((text.to_owned(), node.place)),
    };
    nodes.iter().map(one).collect()
}

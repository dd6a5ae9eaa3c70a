//! ATT&CK coverage: which techniques rules look for, and whether they would find them today.
//!
//! In: rules with their tags and whether they are on, their data arrives, and their canary was seen. Out: the
//! techniques by tactic, and a layer for ATT&CK Navigator. A technique is green only if one rule for it is
//! on, has data and is proven; amber if there is a rule and one of these is missing. A technique without a rule
//! has no row: what is not there cannot be counted. A rule's technique stands under every tactic the rule names.
//!
//! Source: MITRE ATT&CK; Navigator layer format 4.5.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::attack::{TACTICS, Tactic, tactics, techniques};

/// Layer format, and the versions it is written for.
const LAYER_VERSION: &str = "4.5";
const NAVIGATOR_VERSION: &str = "5.1.0";
const ATTACK_VERSION: &str = "17";
/// Green, amber, grey: told apart in grey print too, by their score and comment.
const COLORS: [&str; 3] = ["#2e8b57", "#e3a008", "#9aa5ab"];

/// A rule as coverage sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageRule {
    /// The rule's id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// It runs and alerts.
    pub is_on: bool,
    /// What it looks at arrives.
    pub has_data: bool,
    /// Its canary was seen.
    pub is_proven: bool,
}

impl CoverageRule {
    /// Whether it would find something today.
    pub fn state(&self) -> CoverageState {
        match (self.is_on, self.has_data && self.is_proven) {
            (true, true) => CoverageState::Green,
            (true, false) => CoverageState::Amber,
            (false, _) => CoverageState::Off,
        }
    }
}

/// Whether a technique would be found today; worse ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoverageState {
    /// There are rules, and none is on.
    Off,
    /// A rule is on, and its data or its canary is missing.
    Amber,
    /// It would.
    Green,
}

impl CoverageState {
    /// The word in JSON and message keys.
    pub fn name(self) -> &'static str {
        match self {
            CoverageState::Off => "off",
            CoverageState::Amber => "amber",
            CoverageState::Green => "green",
        }
    }

    fn color(self) -> &'static str {
        match self {
            CoverageState::Green => COLORS[0],
            CoverageState::Amber => COLORS[1],
            CoverageState::Off => COLORS[2],
        }
    }
}

/// A technique under a tactic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Technique {
    /// `T1110.001`
    pub id: String,
    /// The best of its rules.
    pub state: CoverageState,
    /// Places of its rules in what was given, best first.
    pub rules: Vec<usize>,
}

/// The techniques of a tactic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The tactic; `None` for rules that name a technique and no tactic.
    pub tactic: Option<&'static Tactic>,
    /// Its techniques, by id.
    pub techniques: Vec<Technique>,
}

/// The coverage of rules: every tactic in the order of an attack, also those without a technique.
pub fn columns(rules: &[CoverageRule]) -> Vec<Column> {
    let mut found: BTreeMap<(usize, String), Vec<usize>> = BTreeMap::new();
    for (place, rule) in rules.iter().enumerate() {
        let named = tactics(&rule.tags);
        let mut under: Vec<usize> =
            TACTICS.iter().enumerate().filter(|(_, tactic)| named.contains(tactic)).map(|(at, _)| at).collect();
        if under.is_empty() {
            under.push(TACTICS.len());
        }
        for id in techniques(&rule.tags) {
            for at in &under {
                found.entry((*at, id.clone())).or_default().push(place);
            }
        }
    }
    let column = |at: usize| {
        let of_column = found.iter().filter(|((column, _), _)| *column == at);
        let technique = |((_, id), places): (&(usize, String), &Vec<usize>)| {
            let mut places = places.clone();
            places.sort_by_key(|place| std::cmp::Reverse(rules[*place].state()));
            let state = places.first().map_or(CoverageState::Off, |place| rules[*place].state());
            Technique { id: id.clone(), state, rules: places }
        };
        Column { tactic: TACTICS.get(at), techniques: of_column.map(technique).collect() }
    };
    let columns = (0..=TACTICS.len()).map(column);
    columns.filter(|column| column.tactic.is_some() || !column.techniques.is_empty()).collect()
}

/// Each technique once, with its best state over all tactics.
pub fn techniques_once(columns: &[Column]) -> BTreeMap<&str, CoverageState> {
    let mut all = BTreeMap::new();
    for technique in columns.iter().flat_map(|column| &column.techniques) {
        let state = all.entry(technique.id.as_str()).or_insert(technique.state);
        *state = technique.state.max(*state);
    }
    all
}

/// The layer for ATT&CK Navigator.
pub fn navigator(columns: &[Column], rules: &[CoverageRule], name: &str, description: &str) -> Value {
    let mut rows = Vec::new();
    for column in columns {
        for technique in &column.techniques {
            let told = |place: &usize| {
                let rule = &rules[*place];
                format!("{} ({})", rule.title, rule.state().name())
            };
            let comment: Vec<String> = technique.rules.iter().take(10).map(told).collect();
            let score = match technique.state {
                CoverageState::Green => 100,
                CoverageState::Amber => 50,
                CoverageState::Off => 0,
            };
            let mut row = json!({
                "techniqueID": technique.id, "score": score, "color": technique.state.color(),
                "comment": comment.join("; "), "enabled": true, "metadata": [], "links": [],
                "showSubtechniques": technique.id.contains('.'),
            });
            if let (Some(tactic), Value::Object(fields)) = (column.tactic, &mut row) {
                fields.insert("tactic".to_owned(), json!(tactic.tag));
            }
            rows.push(row);
        }
    }
    json!({
        "name": name,
        "versions": {"attack": ATTACK_VERSION, "navigator": NAVIGATOR_VERSION, "layer": LAYER_VERSION},
        "domain": "enterprise-attack",
        "description": description,
        "sorting": 0,
        "layout": {"layout": "side", "showID": true, "showName": true},
        "hideDisabled": false,
        "techniques": rows,
        "gradient": {"colors": [COLORS[2], COLORS[1], COLORS[0]], "minValue": 0, "maxValue": 100},
        "legendItems": [
            {"label": "on, data arrives, proven by a canary", "color": COLORS[0]},
            {"label": "on, data or proof missing", "color": COLORS[1]},
            {"label": "off", "color": COLORS[2]},
        ],
        "showTacticRowBackground": false,
        "tacticRowBackground": "#dddddd",
        "selectTechniquesAcrossTactics": true,
        "selectSubtechniquesWithParent": false,
        "selectVisibleTechniques": false,
        "metadata": [],
        "links": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, tags: &[&str], is_on: bool, has_data: bool, is_proven: bool) -> CoverageRule {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        CoverageRule { id: id.into(), title: id.into(), tags, is_on, has_data, is_proven }
    }

    #[test]
    fn green_needs_all_three_and_the_best_rule_counts() {
        let tags = ["attack.credential-access", "attack.t1110.001"];
        for (is_on, has_data, is_proven, expected) in [
            (true, true, true, CoverageState::Green),
            (true, true, false, CoverageState::Amber),
            (true, false, true, CoverageState::Amber),
            (false, true, true, CoverageState::Off),
        ] {
            let rules = [rule("off", &tags, false, false, false), rule("r", &tags, is_on, has_data, is_proven)];
            let columns = columns(&rules);
            let technique = &columns.iter().find(|column| !column.techniques.is_empty()).expect("one").techniques[0];
            assert_eq!((technique.id.as_str(), technique.state), ("T1110.001", expected));
            assert_eq!(technique.rules.len(), 2);
        }
    }

    #[test]
    fn a_technique_stands_under_every_tactic_its_rule_names_and_under_none_apart() {
        let rules = [
            rule("a", &["attack.persistence", "attack.privilege-escalation", "attack.t1053"], true, true, true),
            rule("b", &["attack.t1486"], true, false, false),
            rule("c", &["attack.impact"], true, true, true),
        ];
        let columns = columns(&rules);
        let under: Vec<(&str, &str)> = columns
            .iter()
            .flat_map(|column| {
                column
                    .techniques
                    .iter()
                    .map(move |one| (column.tactic.map_or("-", |tactic| tactic.tag), one.id.as_str()))
            })
            .collect();
        assert_eq!(under, [("persistence", "T1053"), ("privilege-escalation", "T1053"), ("-", "T1486")]);
        assert_eq!(columns.len(), TACTICS.len() + 1);
        let once = techniques_once(&columns);
        assert_eq!(
            once.into_iter().collect::<Vec<_>>(),
            [("T1053", CoverageState::Green), ("T1486", CoverageState::Amber)]
        );
    }

    #[test]
    fn a_layer_has_what_its_format_asks_for() {
        let rules = [
            rule("a", &["attack.execution", "attack.t1059.001"], true, true, true),
            rule("b", &["attack.t1486"], false, false, false),
        ];
        let layer = navigator(&columns(&rules), &rules, "Đồng Hới", "d");
        assert_eq!((&layer["versions"]["layer"], &layer["domain"]), (&json!("4.5"), &json!("enterprise-attack")));
        let rows = layer["techniques"].as_array().expect("a list");
        assert_eq!(rows.len(), 2);
        assert_eq!(
            (&rows[0]["techniqueID"], &rows[0]["tactic"], &rows[0]["score"]),
            (&json!("T1059.001"), &json!("execution"), &json!(100))
        );
        assert!(rows[1].get("tactic").is_none() && rows[1]["score"] == json!(0));
        for row in rows {
            assert!(row["color"].as_str().is_some_and(|color| color.starts_with('#') && color.len() == 7));
        }
    }
}

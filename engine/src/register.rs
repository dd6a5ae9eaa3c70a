//! The register's state: incidents, alert triage, accounts, tokens, as the fold of all changes.
//!
//! In: changes in the order they were written down, each as `(stream, kind, json, actor, at)`. Out: the
//! state, and for a change someone wants to make, whether it would be refused. Streams are
//! `incident/7`, `alert/ID`, `exception/3`, `hunt/2`, `outage/4`, `hold/2`,
//! `retention/5`, `erasure/6`, `reference/NAME`, `rule/ID`, `pack/NAME`, `account/NAME`, `token/NAME`, `enrollment/4`, `setup`. A stream this version does not know
//! is kept by the register and skipped here, so that a newer one can be rolled back.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashMap;
use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::account::{Account, AccountChange, SetupChange, SetupLink, Token, TokenChange, is_account_name};
use crate::enrollment::{self, ENROLLMENTS_MAX, Enrollment, EnrollmentChange};
use crate::exception::{self, EXCEPTIONS_MAX, Exception, ExceptionChange};
use crate::hunt::{self, HUNTS_MAX, Hunt, HuntChange};
use crate::incident::{Change, Disposition, Incident, Opened, Refused, apply, apply_in_place};
use crate::reference::{self, REFERENCES_MAX, Reference, ReferenceChange};
use crate::retention::erasure::{self, Erasure, ErasureChange};
use crate::retention::hold::{self, DROPS_MAX, DropChange, Dropped, HOLDS_MAX, Hold, HoldChange};
use crate::rhythm::outage::{self, OUTAGES_MAX, Outage, OutageChange};
use crate::rule_state::{self, PACKS_MAX, Pack, PackChange, RULE_STATES_MAX, RuleChange, RuleState};

/// What somebody did about one alert (stream `alert/ID`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TriageChange {
    /// Somebody looks at it.
    Take {},
    /// Back in the queue.
    Release {},
    /// Done, with a verdict.
    Close {
        /// The verdict.
        disposition: Disposition,
        /// In words; may be empty.
        note: String,
    },
    /// Open again.
    Reopen {
        /// Why; may be empty.
        #[serde(default)]
        note: String,
    },
    /// A note.
    Note {
        /// The text.
        text: String,
    },
}

/// A sign-in or sign-out, kept for the audit trail (stream `sign_in`). It changes no state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "sign_in")]
pub struct SignInRecord {
    /// The name as typed, cut at 64 characters.
    pub user: String,
    /// Where from.
    pub address: String,
    /// `accepted`, `refused`, `rate_limited` or `left`.
    pub outcome: String,
}

/// How many steps of one alert's history are kept in memory.
pub const TRIAGE_STEPS_MAX: usize = 200;

/// Where one alert stands with people; an alert nobody touched has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Triage {
    /// Who took it.
    pub owner: Option<String>,
    /// The verdict, once closed.
    pub disposition: Option<Disposition>,
    /// The verdict in words.
    pub note: String,
    /// When it last changed.
    pub changed: Timestamp,
    /// What was done, oldest first, with when and by whom.
    pub steps: Vec<(Timestamp, String, TriageChange)>,
}

/// A change to write down, of any stream.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyChange {
    /// Of an incident, by number.
    Incident(u64, Change),
    /// Of an alert, by id.
    Alert(String, TriageChange),
    /// Of an account, by name.
    Account(String, AccountChange),
    /// Of a token, by name.
    Token(String, TokenChange),
    /// Of the first start's link.
    Setup(SetupChange),
    /// Somebody signed in or out, or tried to.
    SignIn(SignInRecord),
    /// Of an exception, by number.
    Exception(u64, ExceptionChange),
    /// Of a rule, by id.
    Rule(String, RuleChange),
    /// Of a pack of rules, by name.
    Pack(String, PackChange),
    /// Of a hunt, by number.
    Hunt(u64, HuntChange),
    /// Of an enrolment, by number.
    Enrollment(u64, EnrollmentChange),
    /// Of a file of reference data, by name.
    Reference(String, ReferenceChange),
    /// Of a planned outage, by number.
    Outage(u64, OutageChange),
    /// Of a legal hold, by number.
    Hold(u64, HoldChange),
    /// Of a job of deletion, by number.
    Drop(u64, DropChange),
    /// Of an erasure of what is about a person, by number.
    Erasure(u64, ErasureChange),
}

impl AnyChange {
    /// The stream it belongs to.
    pub fn stream(&self) -> String {
        match self {
            AnyChange::Incident(number, _) => format!("incident/{number}"),
            AnyChange::Alert(id, _) => format!("alert/{id}"),
            AnyChange::Account(name, _) => format!("account/{name}"),
            AnyChange::Token(name, _) => format!("token/{name}"),
            AnyChange::Setup(_) => "setup".to_owned(),
            AnyChange::SignIn(_) => "sign_in".to_owned(),
            AnyChange::Exception(number, _) => format!("exception/{number}"),
            AnyChange::Rule(id, _) => format!("rule/{id}"),
            AnyChange::Pack(name, _) => format!("pack/{name}"),
            AnyChange::Hunt(number, _) => format!("hunt/{number}"),
            AnyChange::Enrollment(number, _) => format!("enrollment/{number}"),
            AnyChange::Reference(name, _) => format!("reference/{name}"),
            AnyChange::Outage(number, _) => format!("outage/{number}"),
            AnyChange::Hold(number, _) => format!("hold/{number}"),
            AnyChange::Drop(number, _) => format!("retention/{number}"),
            AnyChange::Erasure(number, _) => format!("erasure/{number}"),
        }
    }

    /// The change as JSON, its `kind` inside.
    pub fn json(&self) -> serde_json::Value {
        let json = match self {
            AnyChange::Incident(_, change) => serde_json::to_value(change),
            AnyChange::Alert(_, change) => serde_json::to_value(change),
            AnyChange::Account(_, change) => serde_json::to_value(change),
            AnyChange::Token(_, change) => serde_json::to_value(change),
            AnyChange::Setup(change) => serde_json::to_value(change),
            AnyChange::SignIn(record) => serde_json::to_value(record),
            AnyChange::Exception(_, change) => serde_json::to_value(change),
            AnyChange::Rule(_, change) => serde_json::to_value(change),
            AnyChange::Pack(_, change) => serde_json::to_value(change),
            AnyChange::Hunt(_, change) => serde_json::to_value(change),
            AnyChange::Enrollment(_, change) => serde_json::to_value(change),
            AnyChange::Reference(_, change) => serde_json::to_value(change),
            AnyChange::Outage(_, change) => serde_json::to_value(change),
            AnyChange::Hold(_, change) => serde_json::to_value(change),
            AnyChange::Drop(_, change) => serde_json::to_value(change),
            AnyChange::Erasure(_, change) => serde_json::to_value(change),
        };
        json.expect("changes are plain data with text keys")
    }

    /// Reads a change as it was written down. `Ok(None)` for a stream of a newer version.
    ///
    /// # Errors
    /// The JSON is no change of that stream.
    pub fn read(stream: &str, json: &str) -> Result<Option<AnyChange>, serde_json::Error> {
        let (kind, name) = stream.split_once('/').unwrap_or((stream, ""));
        Ok(match (kind, name.parse::<u64>()) {
            ("incident", Ok(number)) => Some(AnyChange::Incident(number, serde_json::from_str(json)?)),
            ("exception", Ok(number)) => Some(AnyChange::Exception(number, serde_json::from_str(json)?)),
            ("rule", _) => Some(AnyChange::Rule(name.to_owned(), serde_json::from_str(json)?)),
            ("pack", _) => Some(AnyChange::Pack(name.to_owned(), serde_json::from_str(json)?)),
            ("hunt", Ok(number)) => Some(AnyChange::Hunt(number, serde_json::from_str(json)?)),
            ("enrollment", Ok(number)) => Some(AnyChange::Enrollment(number, serde_json::from_str(json)?)),
            ("reference", _) => Some(AnyChange::Reference(name.to_owned(), serde_json::from_str(json)?)),
            ("outage", Ok(number)) => Some(AnyChange::Outage(number, serde_json::from_str(json)?)),
            ("hold", Ok(number)) => Some(AnyChange::Hold(number, serde_json::from_str(json)?)),
            ("retention", Ok(number)) => Some(AnyChange::Drop(number, serde_json::from_str(json)?)),
            ("erasure", Ok(number)) => Some(AnyChange::Erasure(number, serde_json::from_str(json)?)),
            ("alert", _) => Some(AnyChange::Alert(name.to_owned(), serde_json::from_str(json)?)),
            ("account", _) => Some(AnyChange::Account(name.to_owned(), serde_json::from_str(json)?)),
            ("token", _) => Some(AnyChange::Token(name.to_owned(), serde_json::from_str(json)?)),
            ("setup", _) => Some(AnyChange::Setup(serde_json::from_str(json)?)),
            ("sign_in", _) => Some(AnyChange::SignIn(serde_json::from_str(json)?)),
            _ => None,
        })
    }
}

/// Everything people did, as it stands.
#[derive(Debug, Default)]
pub struct RegisterState {
    /// Incidents by number.
    pub incidents: BTreeMap<u64, Incident>,
    /// Open incidents by entity, for grouping.
    pub opened: Opened,
    /// Alerts somebody touched, by id.
    pub triage: HashMap<String, Triage>,
    /// The incident of each alert that is in one.
    pub incident_of: HashMap<String, u64>,
    /// Exceptions by number.
    pub exceptions: BTreeMap<u64, Exception>,
    /// What is decided about rules, by id.
    pub rules: BTreeMap<String, RuleState>,
    /// Imported packs of rules, by name.
    pub packs: BTreeMap<String, Pack>,
    /// How many changes `rules` and `packs` have seen; another number means that rules are to be loaded anew.
    pub rules_version: u64,
    /// The newest planned outages by number.
    pub outages: BTreeMap<u64, Outage>,
    /// Legal holds by number.
    pub holds: BTreeMap<u64, Hold>,
    /// The newest jobs of deletion by number.
    pub drops: BTreeMap<u64, Dropped>,
    /// The newest erasures by number.
    pub erasures: BTreeMap<u64, Erasure>,
    /// The newest hunts by number.
    pub hunts: BTreeMap<u64, Hunt>,
    /// Reference data by name: assets, places of addresses, lists of indicators.
    pub references: BTreeMap<String, Reference>,
    /// How many changes `references` have seen; another number means that the tables are to be made anew.
    pub references_version: u64,
    /// Accounts by name.
    pub accounts: BTreeMap<String, Account>,
    /// Tokens by name.
    pub tokens: BTreeMap<String, Token>,
    /// Enrolments by number.
    pub enrollments: BTreeMap<u64, Enrollment>,
    /// The open first-start link, if there is one.
    pub setup: Option<SetupLink>,
}

impl RegisterState {
    /// The number the next incident gets.
    pub fn next_incident(&self) -> u64 {
        self.incidents.keys().next_back().map_or(1, |last| last + 1)
    }

    /// The token whose SHA-256 is `hash`, if it is in force.
    pub fn token_by_hash(&self, hash: &str) -> Option<&Token> {
        self.tokens.values().find(|token| token.hash == hash && !token.is_revoked)
    }

    /// Folds one change in.
    ///
    /// # Errors
    /// The change is refused; the state is then as before.
    pub fn apply(&mut self, change: &AnyChange, actor: &str, at: Timestamp) -> Result<(), Refused> {
        match change {
            AnyChange::Incident(number, change) => {
                match self.incidents.get_mut(number) {
                    Some(incident) => apply_in_place(incident, change, actor, at)?,
                    None => drop(self.incidents.insert(*number, apply(None, *number, change, actor, at)?)),
                }
                if let Change::Open { alerts, .. } | Change::AddAlerts { alerts } = change {
                    for alert in alerts {
                        self.incident_of.entry(alert.id.clone()).or_insert(*number);
                    }
                }
                if let Some(incident) = self.incidents.get(number) {
                    self.opened.note(incident);
                }
                Ok(())
            }
            AnyChange::Alert(id, change) => self.apply_triage(id, change, actor, at),
            AnyChange::Account(name, change) => self.apply_account(name, change),
            AnyChange::Token(name, change) => self.apply_token(name, change),
            AnyChange::Setup(SetupChange::Link { hash, expires_ns }) => {
                self.setup = Some(SetupLink { hash: hash.clone(), expires: Timestamp(*expires_ns) });
                Ok(())
            }
            AnyChange::Setup(SetupChange::Used) => match self.setup.take() {
                Some(_) => Ok(()),
                None => Err(Refused::Unknown),
            },
            AnyChange::SignIn(_) => Ok(()),
            AnyChange::Exception(number, change) => self.apply_exception(*number, change, actor, at),
            AnyChange::Rule(id, change) => self.apply_rule(id, change, actor, at),
            AnyChange::Pack(name, change) => self.apply_pack(name, change, actor, at),
            AnyChange::Enrollment(number, change) => self.apply_enrollment(*number, change, actor, at),
            AnyChange::Reference(name, change) => self.apply_reference(name, change, actor, at),
            AnyChange::Outage(number, change) => {
                let after = outage::apply(self.outages.get(number), change, actor, at)?;
                self.outages.insert(*number, after);
                if OUTAGES_MAX < self.outages.len() {
                    self.outages.pop_first();
                }
                Ok(())
            }
            AnyChange::Hold(number, change) => {
                if HOLDS_MAX <= self.holds.len() && !self.holds.contains_key(number) {
                    return Err(Refused::TooLong { what: "list of holds", max: HOLDS_MAX });
                }
                let after = hold::apply(self.holds.get(number), change, actor, at)?;
                self.holds.insert(*number, after);
                Ok(())
            }
            AnyChange::Drop(number, change) => {
                let after = hold::apply_drop(self.drops.get(number), change, at)?;
                self.drops.insert(*number, after);
                if DROPS_MAX < self.drops.len() {
                    self.drops.pop_first();
                }
                Ok(())
            }
            AnyChange::Erasure(number, change) => {
                let after = erasure::apply(self.erasures.get(number), change, at)?;
                self.erasures.insert(*number, after);
                if erasure::ERASURES_MAX < self.erasures.len() {
                    self.erasures.pop_first();
                }
                Ok(())
            }
            AnyChange::Hunt(number, change) => {
                let after = hunt::apply(self.hunts.get(number), *number, change, actor, at)?;
                self.hunts.insert(*number, after);
                if HUNTS_MAX < self.hunts.len() {
                    self.hunts.pop_first();
                }
                Ok(())
            }
        }
    }

    /// The number the next enrolment gets.
    pub fn next_enrollment(&self) -> u64 {
        self.enrollments.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// The fingerprints of all certificates that were revoked.
    pub fn revoked_certificates(&self) -> BTreeSet<String> {
        let revoked = self.enrollments.values().filter(|enrollment| enrollment.revoked.is_some());
        revoked.flat_map(|enrollment| &enrollment.certificates).map(|held| held.fingerprint.clone()).collect()
    }

    fn apply_enrollment(
        &mut self,
        number: u64,
        change: &EnrollmentChange,
        actor: &str,
        at: Timestamp,
    ) -> Result<(), Refused> {
        if ENROLLMENTS_MAX <= self.enrollments.len() && !self.enrollments.contains_key(&number) {
            return Err(Refused::TooLong { what: "list of enrolments", max: ENROLLMENTS_MAX });
        }
        let after = enrollment::apply(self.enrollments.get(&number), number, change, actor, at)?;
        self.enrollments.insert(number, after);
        Ok(())
    }

    /// The number the next planned outage gets.
    pub fn next_outage(&self) -> u64 {
        self.outages.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// The number the next legal hold gets.
    pub fn next_hold(&self) -> u64 {
        self.holds.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// The number the next job of deletion gets.
    pub fn next_drop(&self) -> u64 {
        self.drops.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// The number the next erasure gets.
    pub fn next_erasure(&self) -> u64 {
        self.erasures.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// The number the next hunt gets.
    pub fn next_hunt(&self) -> u64 {
        self.hunts.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// The number the next exception gets.
    pub fn next_exception(&self) -> u64 {
        self.exceptions.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    fn apply_exception(
        &mut self,
        number: u64,
        change: &ExceptionChange,
        actor: &str,
        at: Timestamp,
    ) -> Result<(), Refused> {
        if EXCEPTIONS_MAX <= self.exceptions.len() && !self.exceptions.contains_key(&number) {
            return Err(Refused::TooLong { what: "list of exceptions", max: EXCEPTIONS_MAX });
        }
        let after = exception::apply(self.exceptions.get(&number), number, change, actor, at)?;
        self.exceptions.insert(number, after);
        Ok(())
    }

    fn apply_reference(
        &mut self,
        name: &str,
        change: &ReferenceChange,
        actor: &str,
        at: Timestamp,
    ) -> Result<(), Refused> {
        if REFERENCES_MAX <= self.references.len() && !self.references.contains_key(name) {
            return Err(Refused::TooLong { what: "list of reference data", max: REFERENCES_MAX });
        }
        let after = reference::apply(self.references.get(name), name, change, actor, at)?;
        self.references.insert(name.to_owned(), after);
        self.references_version += 1;
        Ok(())
    }

    fn apply_rule(&mut self, id: &str, change: &RuleChange, actor: &str, at: Timestamp) -> Result<(), Refused> {
        if RULE_STATES_MAX <= self.rules.len() && !self.rules.contains_key(id) {
            return Err(Refused::TooLong { what: "list of decisions about rules", max: RULE_STATES_MAX });
        }
        let after = rule_state::apply_rule(self.rules.get(id), change, actor, at)?;
        self.rules.insert(id.to_owned(), after);
        self.rules_version += 1;
        Ok(())
    }

    fn apply_pack(&mut self, name: &str, change: &PackChange, actor: &str, at: Timestamp) -> Result<(), Refused> {
        if PACKS_MAX <= self.packs.len() && !self.packs.contains_key(name) {
            return Err(Refused::TooLong { what: "list of packs", max: PACKS_MAX });
        }
        let after = rule_state::apply_pack(self.packs.get(name), name, change, actor, at)?;
        self.packs.insert(name.to_owned(), after);
        self.rules_version += 1;
        Ok(())
    }

    fn apply_triage(&mut self, id: &str, change: &TriageChange, actor: &str, at: Timestamp) -> Result<(), Refused> {
        let mut triage = self.triage.get(id).cloned().unwrap_or_default();
        let is_closed = triage.disposition.is_some();
        match change {
            TriageChange::Note { text } if text.trim().is_empty() => return Err(Refused::Empty("note")),
            TriageChange::Note { .. } => {}
            TriageChange::Reopen { .. } if is_closed => triage.disposition = None,
            TriageChange::Reopen { .. } => return Err(Refused::NotClosed),
            _ if is_closed => return Err(Refused::Closed),
            TriageChange::Take {} => triage.owner = Some(actor.to_owned()),
            TriageChange::Release {} => triage.owner = None,
            TriageChange::Close { disposition, note } => {
                triage.disposition = Some(*disposition);
                triage.note.clone_from(note);
                triage.owner.get_or_insert_with(|| actor.to_owned());
            }
        }
        triage.changed = at;
        if triage.steps.len() < TRIAGE_STEPS_MAX {
            triage.steps.push((at, actor.to_owned(), change.clone()));
        }
        self.triage.insert(id.to_owned(), triage);
        Ok(())
    }

    fn apply_account(&mut self, name: &str, change: &AccountChange) -> Result<(), Refused> {
        if let AccountChange::Create { role, unit, password_hash } = change {
            if self.accounts.contains_key(name) {
                return Err(Refused::Exists);
            }
            if !is_account_name(name) {
                return Err(Refused::UnknownWord { what: "form of account name", word: name.to_owned() });
            }
            let account = Account {
                name: name.to_owned(),
                role: *role,
                unit: unit.clone(),
                password_hash: password_hash.clone(),
                language: None,
                is_disabled: false,
            };
            self.accounts.insert(name.to_owned(), account);
            return Ok(());
        }
        let account = self.accounts.get_mut(name).ok_or(Refused::Unknown)?;
        match change {
            AccountChange::Create { .. } => {}
            AccountChange::SetPassword { password_hash } => account.password_hash = Some(password_hash.clone()),
            AccountChange::SetLanguage { language } => account.language = Some(language.clone()),
            AccountChange::Disable => account.is_disabled = true,
        }
        Ok(())
    }

    fn apply_token(&mut self, name: &str, change: &TokenChange) -> Result<(), Refused> {
        match change {
            TokenChange::Create { .. } if self.tokens.contains_key(name) => Err(Refused::Exists),
            TokenChange::Create { .. } if !is_account_name(name) => {
                Err(Refused::UnknownWord { what: "form of token name", word: name.to_owned() })
            }
            TokenChange::Create { role, unit, hash } => {
                let token = Token {
                    name: name.to_owned(),
                    role: *role,
                    unit: unit.clone(),
                    hash: hash.clone(),
                    is_revoked: false,
                };
                self.tokens.insert(name.to_owned(), token);
                Ok(())
            }
            TokenChange::Revoke => {
                self.tokens.get_mut(name).ok_or(Refused::Unknown)?.is_revoked = true;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Role;
    use crate::rule_state::PackImport;

    #[test]
    fn changes_come_back_from_their_json() {
        let changes = [
            AnyChange::Incident(7, Change::Note { text: "Đã chặn".into() }),
            AnyChange::Alert("ab".into(), TriageChange::Take {}),
            AnyChange::Account("lan".into(), AccountChange::Disable),
            AnyChange::Token("web".into(), TokenChange::Revoke),
            AnyChange::Setup(SetupChange::Used),
            AnyChange::Exception(3, ExceptionChange::SetOwner { owner: "lan".into() }),
            AnyChange::Rule("5a/1".into(), RuleChange::SetLevel { level: "low".into(), reason: "ít rủi ro".into() }),
            AnyChange::Rule("5a".into(), RuleChange::ResetLevel {}),
            AnyChange::Pack("sigmahq".into(), PackChange::Import(PackImport::default())),
            AnyChange::Hunt(2, HuntChange::Begin { rule_id: "*".into(), rule_title: "x".into(), from_ns: 1, to_ns: 2 }),
        ];
        for change in changes {
            let read = AnyChange::read(&change.stream(), &change.json().to_string()).expect("is a change");
            assert_eq!(read, Some(change));
        }
        assert_eq!(AnyChange::read("report/3", "{}").expect("is skipped"), None);
        assert!(AnyChange::read("incident/3", "{\"kind\":\"explode\"}").is_err());
    }

    #[test]
    fn names_are_taken_once_and_disabled_accounts_keep_theirs() {
        let mut state = RegisterState::default();
        let create = AccountChange::Create { role: Role::Ward, unit: Some("DH01".into()), password_hash: None };
        let mut run = |name: &str, change: &AccountChange| {
            state.apply(&AnyChange::Account(name.into(), change.clone()), "admin", Timestamp(1))
        };
        assert_eq!(run("lan", &create), Ok(()));
        assert_eq!(run("lan", &create), Err(Refused::Exists));
        assert_eq!(run("nobody", &AccountChange::Disable), Err(Refused::Unknown));
        assert_eq!(run("lan", &AccountChange::Disable), Ok(()));
        assert_eq!(run("lan", &create), Err(Refused::Exists));
        assert!(run("a b/c", &create).is_err());
    }
}

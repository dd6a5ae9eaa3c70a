//! Who is asking: roles, accounts and the [`Viewer`] that every call to the desk carries.
//!
//! In: what the register knows of an account. Out: a [`Viewer`], made only by [`crate::auth`] (or by the
//! program itself for its own work). Promise: a viewer with a unit limit must be shown nothing of another
//! unit. Roles: contract, `nhatle user add --role`.

use serde::{Deserialize, Serialize};

/// The longest account name, in bytes.
pub const USER_BYTES_MAX: usize = 64;

/// What an account may do. The order is the order of the table in the documentation, nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything an analyst may, and accounts and settings.
    Admin,
    /// Works on alerts and incidents of the whole city.
    Analyst,
    /// The focal point of a ward: sees and works on its own unit only.
    Ward,
    /// Layer 3: reads everything in its scope, changes nothing.
    Auditor,
    /// A machine that pushes events and may do nothing else.
    Ingest,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 5] = [Role::Admin, Role::Analyst, Role::Ward, Role::Auditor, Role::Ingest];

    /// The word of the command line and of the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Analyst => "analyst",
            Role::Ward => "ward",
            Role::Auditor => "auditor",
            Role::Ingest => "ingest",
        }
    }

    /// The role of this word.
    pub fn parse(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// The languages every page exists in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// Vietnamese, the first.
    #[default]
    #[serde(rename = "vi")]
    Vietnamese,
    /// English.
    #[serde(rename = "en")]
    English,
}

impl Language {
    /// Both.
    pub const ALL: [Language; 2] = [Language::Vietnamese, Language::English];

    /// The tag for `lang=` (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Language::Vietnamese => "vi",
            Language::English => "en",
        }
    }

    /// The language of this tag.
    pub fn parse(tag: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.tag() == tag)
    }
}

/// A text in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Localized {
    /// Vietnamese; where empty, the English text stands in.
    pub vi: String,
    /// English; where empty, the Vietnamese text stands in.
    pub en: String,
}

impl Localized {
    /// One text for both languages: a name, a title nobody translated.
    pub fn same(text: impl Into<String>) -> Localized {
        let text = text.into();
        Localized { vi: text.clone(), en: text }
    }

    /// A text in each language.
    pub fn new(vi: impl Into<String>, en: impl Into<String>) -> Localized {
        Localized { vi: vi.into(), en: en.into() }
    }

    /// The text in this language, else in the other.
    pub fn get(&self, language: Language) -> &str {
        let (first, second) = match language {
            Language::Vietnamese => (&self.vi, &self.en),
            Language::English => (&self.en, &self.vi),
        };
        if first.is_empty() { second } else { first }
    }
}

/// An account as the register has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name it signs in with.
    pub user: String,
    /// The person's name, shown instead of the account name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The one unit it may see (code); `None` = all. A [`Role::Ward`] account without one sees nothing.
    pub unit: Option<String>,
    /// The language the person chose.
    pub language: Option<Language>,
    /// PHC string made by [`crate::session::hash_password`]; `None` = cannot sign in with a password.
    pub password_hash: Option<String>,
    /// May no longer do anything.
    pub is_disabled: bool,
}

impl Account {
    /// The account as the one who asks.
    pub fn viewer(&self) -> Viewer {
        Viewer { user: self.user.clone(), name: self.name.clone(), role: self.role, unit: self.unit.clone() }
    }
}

/// Who asks. Every call of [`crate::Desk`] that reads or changes anything carries one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Account name; the actor of every change.
    pub user: String,
    /// The person's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The unit limit: `Some(code)` = that unit (and units below it) only.
    pub unit: Option<String>,
}

impl Viewer {
    /// Whether something of this unit may be shown to this viewer, for units without a tree. Something of
    /// no unit is the city's: a limited viewer does not see it. A ward account without a unit sees nothing.
    pub fn may_see(&self, unit: Option<&str>) -> bool {
        match &self.unit {
            Some(limit) => unit == Some(limit),
            None => self.role != Role::Ward,
        }
    }

    /// Whether this viewer may change alerts and incidents it may see.
    pub fn may_work(&self) -> bool {
        matches!(self.role, Role::Admin | Role::Analyst | Role::Ward)
    }
}

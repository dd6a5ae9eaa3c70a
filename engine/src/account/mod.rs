//! Accounts, roles and access tokens: who may do what, for which organization unit.
//!
//! Like incidents, they are the fold of changes in the register. Passwords and tokens stand here only as
//! hashes that others made (argon2 for passwords, SHA-256 for tokens, which are 256 random bits).

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

/// What an account or token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, accounts included.
    Admin,
    /// Works on alerts and incidents of all units.
    Analyst,
    /// A ward's focal point: sees and reports for its own unit.
    Ward,
    /// Reads everything, changes nothing.
    Auditor,
    /// Sends events, reads nothing.
    Ingest,
}

impl Role {
    /// The word in commands and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Analyst => "analyst",
            Role::Ward => "ward",
            Role::Auditor => "auditor",
            Role::Ingest => "ingest",
        }
    }

    /// The role of a word.
    pub fn from_name(name: &str) -> Option<Role> {
        [Role::Admin, Role::Analyst, Role::Ward, Role::Auditor, Role::Ingest]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// A person's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The sign-in name, lower case.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The unit it is limited to (always for `ward`).
    pub unit: Option<String>,
    /// argon2 hash in PHC text form; `None` until one is set.
    pub password_hash: Option<String>,
    /// `vi` or `en`.
    pub language: Option<String>,
    /// Switched off; its name stays taken.
    pub is_disabled: bool,
}

/// A program's access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The unit it is limited to, and that its events belong to.
    pub unit: Option<String>,
    /// SHA-256 of the token, hexadecimal.
    pub hash: String,
    /// Switched off.
    pub is_revoked: bool,
}

/// One step in the life of an account (stream `account/NAME`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AccountChange {
    /// It begins.
    Create {
        /// What it may do.
        role: Role,
        /// Its unit.
        unit: Option<String>,
        /// argon2 hash in PHC text form.
        password_hash: Option<String>,
    },
    /// Another password.
    SetPassword {
        /// argon2 hash in PHC text form.
        password_hash: String,
    },
    /// Another language.
    SetLanguage {
        /// `vi` or `en`.
        language: String,
    },
    /// Switched off.
    Disable,
}

/// One step in the life of a token (stream `token/NAME`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TokenChange {
    /// It begins.
    Create {
        /// What it may do.
        role: Role,
        /// Its unit.
        unit: Option<String>,
        /// SHA-256 of the token, hexadecimal.
        hash: String,
    },
    /// Switched off.
    Revoke,
}

/// The one-time link of the first start (stream `setup`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SetupChange {
    /// A link was made.
    Link {
        /// SHA-256 of its secret, hexadecimal.
        hash: String,
        /// Until when it works, nanoseconds.
        expires_ns: i64,
    },
    /// It was used; it works no more.
    Used,
}

/// Whether a name may be a sign-in name: 1 to 64 of letters, digits, `.`, `_`, `-`, `@`.
pub fn is_account_name(name: &str) -> bool {
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    !name.is_empty() && name.chars().count() <= 64 && name.chars().all(good)
}

/// An open setup link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupLink {
    /// SHA-256 of its secret, hexadecimal.
    pub hash: String,
    /// Until when it works.
    pub expires: Timestamp,
}

//! Whom an alert is about: hosts, users and addresses, as far as they tell one thing from another.
//!
//! Accounts that every machine has (`root`, `SYSTEM`, machine accounts) and addresses that every machine
//! has (loopback, unspecified) are no entities: they would tie together what has nothing in common.

use std::net::IpAddr;

use nhatle_event::{Field, Stored, Value};
use nhatle_rules::Meta;
use serde::{Deserialize, Serialize};

use super::{ALERT_ENTITIES_MAX, shown};
use crate::local::{COMMON_USERS, Names};

/// What kind of thing an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// A machine, by name.
    Host,
    /// An account, by name.
    User,
    /// An address that something came from or went to.
    Ip,
}

impl EntityKind {
    /// The ECS field that holds this kind in an alert's event.
    pub fn field(self) -> Field {
        match self {
            EntityKind::Host => Field::HOST_NAME,
            EntityKind::User => Field::USER_NAME,
            EntityKind::Ip => Field::SOURCE_IP,
        }
    }

    /// The word for it in addresses and JSON.
    pub fn name(self) -> &'static str {
        match self {
            EntityKind::Host => "host",
            EntityKind::User => "user",
            EntityKind::Ip => "ip",
        }
    }
}

/// One machine, account or address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// Its name or address, lower case.
    pub value: String,
}

impl Entity {
    /// Whether another unit may have one of the same name.
    pub fn is_local(&self) -> bool {
        let names = match self.kind {
            EntityKind::Host => Names::Machine,
            EntityKind::User => Names::Account,
            EntityKind::Ip => Names::Any,
        };
        names.is_local(&self.value)
    }
}

/// Where entities are looked for when the rule does not say.
const DEFAULT: &[(Field, EntityKind)] = &[
    (Field::HOST_NAME, EntityKind::Host),
    (Field::USER_NAME, EntityKind::User),
    (Field::USER_TARGET_NAME, EntityKind::User),
    (Field::SOURCE_IP, EntityKind::Ip),
];

/// The entities of a match: of the fields the rule names (`nhatle.entity`), else of host, user and source
/// address, over all its events; the values of `group-by` come first.
pub fn of(meta: &Meta, events: &[&Stored], group: &[(String, String)]) -> Vec<Entity> {
    let named: Vec<(Field, EntityKind)> =
        meta.entity.iter().filter_map(|name| Field::lookup(name).map(|field| (field, kind_of(name)))).collect();
    let fields = if named.is_empty() { DEFAULT } else { named.as_slice() };
    let mut entities = Vec::new();
    let mut add = |kind: EntityKind, value: &str| {
        let entity = Entity { kind, value: value.trim().to_lowercase() };
        if tells_apart(&entity) && entities.len() < ALERT_ENTITIES_MAX && !entities.contains(&entity) {
            entities.push(entity);
        }
    };
    for (name, value) in group {
        if let Some(kind) = group_kind(name) {
            add(kind, value);
        }
    }
    for stored in events.iter().rev() {
        for (field, kind) in fields {
            for value in stored.event.get(*field).into_iter().flat_map(Value::each) {
                add(*kind, &shown(value));
            }
        }
    }
    entities
}

fn kind_of(name: &str) -> EntityKind {
    group_kind(name).unwrap_or(EntityKind::Host)
}

fn group_kind(name: &str) -> Option<EntityKind> {
    let lower = name.to_ascii_lowercase();
    if lower.contains("user") || lower.contains("account") {
        Some(EntityKind::User)
    } else if lower.ends_with("ip") || lower.ends_with("address") {
        Some(EntityKind::Ip)
    } else if lower.contains("host") || lower.contains("computer") {
        Some(EntityKind::Host)
    } else {
        None
    }
}

fn tells_apart(entity: &Entity) -> bool {
    match entity.kind {
        EntityKind::Host => !entity.value.is_empty() && entity.value != "-" && entity.value != "localhost",
        EntityKind::User => {
            !entity.value.is_empty() && !entity.value.ends_with('$') && !COMMON_USERS.contains(&entity.value.as_str())
        }
        EntityKind::Ip => {
            entity.value.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
        }
    }
}

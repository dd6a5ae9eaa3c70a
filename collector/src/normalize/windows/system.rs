//! `WindowsEvent`: what every form of a Windows event (EVTX, XML, JSON) is read into before it becomes
//! ECS, and the table of the parts of `System`.
//!
//! In: parts and data fields, one at a time. Out: a struct that `ecs` turns into an `Event`. Promise: data
//! fields keep their name as sent, under `winlog.event_data.` or `winlog.user_data.`; they never touch a
//! System part of the same name (`Channel` of a cleared log, `Version` of Sysmon 4).
//! Source: the event schema of [MS-EVEN6] section 2.2.12 and Winlogbeat's field names.

use nhatle_event::field::Marks;
use nhatle_event::{Field, Text, Timestamp, Value};

/// Where data fields of `EventData` live.
pub(crate) const EVENT_DATA: &str = "winlog.event_data.";
/// Where data fields of `UserData` live.
pub(crate) const USER_DATA: &str = "winlog.user_data.";
/// How many values without a name one event keeps.
pub(crate) const UNNAMED_MAX: usize = 256;

/// Declares the parts and their table together, so that a part is its row's number.
macro_rules! parts {
    ($($part:ident $element:literal $attribute:literal $field:literal [$($flat:literal),*];)*) => {
        /// A part of `System` or `RenderingInfo`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Part { $(
            #[doc = concat!("`", $element, "` `", $attribute, "`")]
            $part,
        )* }
        /// All parts; a part's number is its place.
        pub(crate) const PARTS: &[Row] = &[
            $(Row { part: Part::$part, element: $element, attribute: $attribute, field: $field, flat: &[$($flat),*] },)*
        ];
    };
}

/// How one part is called in the forms it comes in.
#[derive(Debug)]
pub(crate) struct Row {
    /// The part.
    pub part: Part,
    /// The element under `System`; `RenderingInfo/…` for what was rendered by the sender.
    pub element: &'static str,
    /// Its attribute; empty for its text.
    pub attribute: &'static str,
    /// The field it becomes; empty where `ecs` decides.
    pub field: &'static str,
    /// Its names in flat JSON, the surest first.
    pub flat: &'static [&'static str],
}

parts! {
    ProviderName "Provider" "Name" "winlog.provider_name" ["Provider_Name", "ProviderName", "SourceName", "Provider"];
    ProviderGuid "Provider" "Guid" "winlog.provider_guid" ["Provider_Guid", "ProviderGuid"];
    EventSourceName "Provider" "EventSourceName" "winlog.event_source_name" ["Provider_EventSourceName"];
    EventId "EventID" "" "winlog.event_id" ["System_EventID", "EventID", "EventId", "event_id"];
    Qualifiers "EventID" "Qualifiers" "winlog.qualifiers" ["EventID_Qualifiers", "Qualifiers"];
    Version "Version" "" "winlog.version" ["System_Version", "Version"];
    Level "Level" "" "winlog.level" ["System_Level", "Level"];
    Task "Task" "" "winlog.task" ["System_Task", "Task"];
    Opcode "Opcode" "" "winlog.opcode" ["System_Opcode", "OpcodeValue", "Opcode"];
    Keywords "Keywords" "" "winlog.keywords" ["System_Keywords", "Keywords"];
    TimeCreated "TimeCreated" "SystemTime" "" ["@timestamp", "timestamp", "UtcTimeCreated", "SystemTime", "TimeCreated_SystemTime", "TimeCreated", "EventTime", "time", "date"];
    RecordId "EventRecordID" "" "winlog.record_id" ["System_EventRecordID", "EventRecordID", "RecordNumber"];
    ActivityId "Correlation" "ActivityID" "winlog.activity_id" ["Correlation_ActivityID", "ActivityID"];
    RelatedActivityId "Correlation" "RelatedActivityID" "winlog.related_activity_id" ["Correlation_RelatedActivityID", "RelatedActivityID"];
    ProcessId "Execution" "ProcessID" "winlog.process.pid" ["Execution_ProcessID", "ExecutionProcessID"];
    ThreadId "Execution" "ThreadID" "winlog.process.thread.id" ["Execution_ThreadID", "ExecutionThreadID"];
    Channel "Channel" "" "winlog.channel" ["System_Channel", "Channel"];
    Computer "Computer" "" "winlog.computer_name" ["System_Computer", "Computer", "ComputerName", "Hostname"];
    UserId "Security" "UserID" "winlog.user.identifier" ["Security_UserID", "UserID"];
    Message "RenderingInfo/Message" "" "" ["Message", "message"];
    LevelText "RenderingInfo/Level" "" "" [];
    TaskText "RenderingInfo/Task" "" "" [];
    OpcodeText "RenderingInfo/Opcode" "" "" [];
}

/// The number of parts.
pub(crate) const PART_COUNT: usize = PARTS.len();
const _: () = assert!(PART_COUNT <= 32, "a bit for each part");

impl Part {
    /// The part of an element of `System` and its attribute (empty: its text).
    pub fn of_element(element: &str, attribute: &str) -> Option<Part> {
        PARTS.iter().find(|row| row.element == element && row.attribute == attribute).map(|row| row.part)
    }

    /// The part of an element of `RenderingInfo`.
    pub fn of_rendering(element: &str) -> Option<Part> {
        PARTS.iter().find(|row| row.element.strip_prefix("RenderingInfo/") == Some(element)).map(|row| row.part)
    }
}

/// One Windows event on its way to ECS.
#[derive(Debug)]
pub(crate) struct WindowsEvent {
    /// When it happened, where the sender says so in so many words; `TimeCreated` otherwise.
    pub time: Option<Timestamp>,
    /// The moment that `TimeCreated` tells, where it was read already.
    pub written: Option<Timestamp>,
    /// The parts of `System`; `Null` where there is none.
    system: [Value; PART_COUNT],
    /// The parts that were set, a bit for each.
    told: u32,
    /// Data fields under their full name.
    data: Vec<(Field, Value)>,
    /// Of `data`.
    marks: Marks,
    /// Values of `<Data>` without a name, in order.
    unnamed: Vec<Value>,
    /// Data fields whose name the register of fields does not take.
    overflow: Vec<(Text, Value)>,
}

impl Default for WindowsEvent {
    fn default() -> WindowsEvent {
        WindowsEvent {
            time: None,
            written: None,
            system: [const { Value::Null }; PART_COUNT],
            told: 0,
            data: Vec::with_capacity(32),
            marks: Marks::default(),
            unnamed: Vec::new(),
            overflow: Vec::new(),
        }
    }
}

impl WindowsEvent {
    /// What `System` says of this part; `Null` where it says nothing.
    pub fn part(&self, part: Part) -> &Value {
        &self.system[part as usize]
    }

    /// Takes a part out.
    pub fn take(&mut self, part: Part) -> Value {
        std::mem::replace(&mut self.system[part as usize], Value::Null)
    }

    /// Sets a part.
    pub fn set(&mut self, part: Part, value: Value) {
        self.told |= 1 << part as u32;
        self.system[part as usize] = value;
    }

    /// Takes a part out that was set, the lowest first; `None` where none is left.
    pub fn take_next(&mut self) -> Option<(usize, Value)> {
        let at = usize::try_from(self.told.trailing_zeros()).unwrap_or(usize::MAX);
        let value = self.system.get_mut(at)?;
        self.told &= self.told - 1;
        Some((at, std::mem::replace(value, Value::Null)))
    }

    /// Adds a data field; a name that comes twice becomes a list.
    pub fn add(&mut self, field: Field, value: Value) {
        if !self.marks.may_hold(field) {
            return self.add_new(field, value);
        }
        match self.data.iter_mut().find(|(known, _)| *known == field) {
            Some((_, held)) => held.push(value),
            None => self.add_new(field, value),
        }
    }

    /// Adds a data field that the caller knows is not there yet.
    pub fn add_new(&mut self, field: Field, value: Value) {
        self.marks.mark(field);
        self.data.push((field, value));
    }

    /// Adds a data field by the place it stands in and its name.
    pub fn add_named(&mut self, home: &str, name: &str, value: Value) {
        let full = [home, name].concat();
        match Field::intern(&full) {
            Some(field) => self.add(field, value),
            None => self.overflow.push((Text::from(full), value)),
        }
    }

    /// Adds the value of a `<Data>` without a name; a list is as many of them.
    pub fn add_unnamed(&mut self, value: Value) {
        match value {
            Value::List(values) => values.into_iter().for_each(|one| self.add_unnamed(one)),
            one if self.unnamed.len() < UNNAMED_MAX => self.unnamed.push(one),
            one => self.overflow.push((Text::from("winlog.event_data.Data"), one)),
        }
    }

    /// Whether there are no data fields yet.
    pub fn has_no_data(&self) -> bool {
        self.data.is_empty()
    }

    /// The data field of this name, if there is one.
    pub fn get(&self, field: Field) -> Option<&Value> {
        if !self.marks.may_hold(field) {
            return None;
        }
        self.data.iter().find(|(known, _)| *known == field).map(|(_, value)| value)
    }

    /// How many data fields there are.
    pub fn data_count(&self) -> usize {
        self.data.len()
    }

    /// Takes the data fields out, in the order they were added.
    pub fn drain_data(&mut self) -> std::vec::Drain<'_, (Field, Value)> {
        self.marks = Marks::default();
        self.data.drain(..)
    }

    /// Takes the values without a name out, and the fields whose name the register of fields does not take.
    pub fn take_others(&mut self) -> (Vec<Value>, Vec<(Text, Value)>) {
        (std::mem::take(&mut self.unnamed), std::mem::take(&mut self.overflow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_its_row() {
        assert!(PARTS.iter().enumerate().all(|(at, row)| row.part as usize == at));
        assert_eq!(Part::of_element("Provider", "Name"), Some(Part::ProviderName));
        assert_eq!(Part::of_element("Provider", ""), None);
        assert_eq!(Part::of_rendering("Message"), Some(Part::Message));
    }
}

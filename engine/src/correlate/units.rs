//! `Units`: sets of organization units as numbers, so that a hit knows whose it is in two bytes.
//!
//! In: the unit of an event; sets to be joined. Out: numbers, and the names behind them. [`CITY`] is no set of units:
//! what is of no unit, or of more than can be told apart, is the city's, and so is all that it is joined with. Bounded
//! by [`SETS_MAX`] and [`UNITS_MAX`].

use std::sync::Arc;

use hashbrown::HashMap;
use nhatle_event::Text;

/// The number of what is of no unit.
pub const CITY: u16 = 0;
/// So many sets are told apart; a city has some hundred units.
const SETS_MAX: usize = 1 << 16;
/// So many units make a set.
const UNITS_MAX: usize = 1_024;

/// See the module.
#[derive(Clone, Debug)]
pub struct Units {
    /// By number: names in order; none for [`CITY`].
    sets: Vec<Arc<[Text]>>,
    numbers: HashMap<Arc<[Text]>, u16>,
    /// Numbers of sets of one.
    ones: HashMap<Text, u16>,
    /// The number given out last: events of a source are alike.
    last: u16,
}

impl Default for Units {
    fn default() -> Units {
        Units { sets: vec![Arc::from([])], numbers: HashMap::new(), ones: HashMap::new(), last: CITY }
    }
}

impl Units {
    /// All sets, by number.
    pub fn sets(&self) -> &[Arc<[Text]>] {
        &self.sets
    }

    /// The number of an event's unit.
    pub fn number(&mut self, unit: Option<&str>) -> u16 {
        let Some(unit) = unit.filter(|unit| !unit.is_empty()) else { return CITY };
        if let [known] = &*self.sets[self.last as usize]
            && known == unit
        {
            return self.last;
        }
        self.last = match self.ones.get(unit) {
            Some(known) => *known,
            None => self.insert(Arc::from([Text::from(unit)])),
        };
        self.last
    }

    /// The number of all of them together.
    pub fn joined(&mut self, numbers: &[u16]) -> u16 {
        match numbers {
            [one] => return *one,
            _ if numbers.is_empty() || numbers.contains(&CITY) => return CITY,
            _ => {}
        }
        let of_each = numbers.iter().filter_map(|number| self.sets.get(*number as usize));
        let mut names: Vec<Text> = of_each.flat_map(|set| set.iter()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        if UNITS_MAX < names.len() { CITY } else { self.insert(names.into()) }
    }

    /// The number of a set whose names are in order.
    pub fn insert(&mut self, set: Arc<[Text]>) -> u16 {
        if let Some(known) = self.numbers.get(&set) {
            return *known;
        }
        let Some(number) = u16::try_from(self.sets.len()).ok().filter(|_| self.sets.len() < SETS_MAX) else {
            return CITY;
        };
        if set.is_empty() {
            return CITY;
        }
        if let [one] = &*set {
            self.ones.insert(one.clone(), number);
        }
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        number
    }

    /// The names of a set.
    pub fn names(&self, number: u16) -> Vec<String> {
        self.sets.get(number as usize).into_iter().flat_map(|set| set.iter()).map(Text::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_joined_and_the_city_takes_all() {
        let mut units = Units::default();
        let (a, b) = (units.number(Some("DH01")), units.number(Some("DH02")));
        assert_eq!((units.number(Some("DH01")), units.number(Some(""))), (a, CITY));
        let both = units.joined(&[b, a, b]);
        assert_eq!(units.names(both), ["DH01", "DH02"]);
        assert_eq!((units.joined(&[a]), units.joined(&[both, a]), units.joined(&[a, CITY])), (a, both, CITY));
        assert_eq!((units.joined(&[]), units.names(CITY).len()), (CITY, 0));
    }

    #[test]
    fn past_the_bounds_it_is_the_citys() {
        let mut units = Units::default();
        let all: Vec<u16> = (0..=UNITS_MAX).map(|number| units.number(Some(&format!("DH{number}")))).collect();
        assert_eq!(units.joined(&all), CITY);
        assert_ne!(units.joined(&all[1..]), CITY);
        for number in 0..SETS_MAX {
            units.number(Some(&format!("x{number}")));
        }
        assert_eq!((units.number(Some("one more")), units.sets().len()), (CITY, SETS_MAX));
        assert_eq!(units.number(Some("DH7")), all[7]);
    }
}

//! Lines of the programs in the tables, names and addresses made up, among them hostile ones.
#![cfg(test)]

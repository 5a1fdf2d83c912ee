//! As much of JSON as `data/layouts.json` needs.

use std::collections::BTreeMap;

/// A value.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Number(i128),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    pub(super) fn map(&self) -> &BTreeMap<String, Value> {
        let Self::Map(map) = self else { panic!("no map: {self:?}") };
        map
    }

    pub(super) fn list(&self) -> &[Value] {
        let Self::List(list) = self else { panic!("no list: {self:?}") };
        list
    }

    pub(super) fn text(&self) -> &str {
        let Self::Text(text) = self else { panic!("no text: {self:?}") };
        text
    }

    pub(super) fn number(&self) -> i128 {
        let Self::Number(number) = self else { panic!("no number: {self:?}") };
        *number
    }
}

pub(super) fn parse(text: &str) -> Value {
    let mut rest = text;
    let value = value(&mut rest);
    assert!(rest.trim().is_empty(), "text behind the value");
    value
}

/// Whether the next character is `wanted`, which is then consumed.
fn eat(rest: &mut &str, wanted: char) -> bool {
    let start = rest.trim_start();
    let found = start.strip_prefix(wanted);
    *rest = found.unwrap_or(start);
    found.is_some()
}

fn string(rest: &mut &str) -> String {
    let end = rest.find('"').expect("an unfinished string");
    let text = &rest[..end];
    assert!(!text.contains('\\'), "escapes are not read: {text}");
    *rest = &rest[end + 1..];
    text.to_string()
}

fn value(rest: &mut &str) -> Value {
    if eat(rest, '{') {
        let mut map = BTreeMap::new();
        while !eat(rest, '}') {
            assert!(eat(rest, '"'));
            let key = string(rest);
            assert!(eat(rest, ':'));
            assert!(map.insert(key, value(rest)).is_none(), "a key twice");
            eat(rest, ',');
        }
        return Value::Map(map);
    }
    if eat(rest, '[') {
        let mut list = Vec::new();
        while !eat(rest, ']') {
            list.push(value(rest));
            eat(rest, ',');
        }
        return Value::List(list);
    }
    if eat(rest, '"') {
        return Value::Text(string(rest));
    }
    let end = rest.find([',', '}', ']', '\n', ' ']).unwrap_or(rest.len());
    let word = &rest[..end];
    *rest = &rest[end..];
    if word == "null" { Value::Null } else { Value::Number(word.parse().unwrap_or_else(|_| panic!("{word}"))) }
}

//! Every structure, field and constant against `data/layouts.json`.

use super::describe::Struct;
use super::json::{Value, parse};
use super::{A2a3, A5, Arch, a2a3, a5, common, constants};
use std::collections::{BTreeMap, BTreeSet};

fn layouts() -> Value {
    parse(include_str!("../../../data/layouts.json"))
}

/// All structures of the file are declared, and none else.
fn check_structs(arch: &BTreeMap<String, Value>, own: &[Struct]) {
    let declared: Vec<&Struct> = common::STRUCTS.iter().chain(own).collect();
    let names: BTreeSet<&str> = declared.iter().map(|declared| declared.name).collect();
    let wanted: BTreeSet<&str> = arch.keys().map(String::as_str).filter(|name| *name != "constants").collect();
    assert_eq!(names, wanted);
    assert_eq!(names.len(), declared.len());
    for Struct { name, size, align, fields } in declared {
        let wanted = arch[*name].map();
        assert_eq!((*size as i128, *align as i128), (wanted["size"].number(), wanted["align"].number()), "{name}");
        let (nested, plain): (Vec<_>, Vec<_>) =
            wanted["fields"].list().iter().map(Value::map).partition(|field| field["name"].text().contains('.'));
        assert_eq!(fields.len(), plain.len(), "fields of {name}");
        for ((field, offset, size), wanted) in fields.iter().zip(plain) {
            assert_eq!(field.trim_start_matches("r#"), wanted["name"].text(), "{name}");
            assert_eq!(*offset as i128, wanted["offset"].number(), "{name}.{field}");
            assert_eq!(*size as i128, wanted["size"].number(), "{name}.{field}");
        }
        // Members of a union are words of an array here.
        for wanted in nested {
            let (outer, _) = wanted["name"].text().split_once('.').unwrap();
            let (_, offset, size) = fields.iter().find(|(field, ..)| *field == outer).unwrap();
            let inside = wanted["offset"].number() - *offset as i128;
            assert!(inside >= 0 && inside % 4 == 0 && inside + wanted["size"].number() <= *size as i128, "{name}");
        }
    }
}

fn check_constants(arch: &BTreeMap<String, Value>, own: &[(&str, u64)]) {
    let wanted = arch["constants"].map();
    for (key, value) in constants::CONSTANTS.iter().chain(own) {
        assert_eq!(i128::from(*value), wanted[*key].number(), "{key}");
    }
}

/// `names` pairs a table of the file with the enumerator of its type.
fn check_events<const N: usize>(arch: &BTreeMap<String, Value>, prefix: &str, events: &[(u32, [u32; N])]) {
    let constants = arch["constants"].map();
    let tables = constants["pmu_event_tables"].map();
    assert_eq!(tables.len(), events.len());
    for (table, name) in [
        ("ARITHMETIC", "ARITHMETIC_UTILIZATION"),
        ("PIPE_UTIL", "PIPE_UTILIZATION"),
        ("MEMORY", "MEMORY"),
        ("MEMORY_L0", "MEMORY_L0"),
        ("RESOURCE_CONFLICT", "RESOURCE_CONFLICT"),
        ("MEMORY_UB", "MEMORY_UB"),
        ("L2_CACHE", "L2_CACHE"),
    ] {
        let kind = constants[&format!("PmuEventType::{name}")].number();
        let (_, ids) = events.iter().find(|(number, _)| i128::from(*number) == kind).unwrap();
        let wanted = tables[&format!("{prefix}{table}")].map()["ids"].list();
        assert_eq!(ids.len(), wanted.len());
        assert!(ids.iter().zip(wanted).all(|(id, wanted)| i128::from(*id) == wanted.number()), "{table}");
    }
}

#[test]
fn layouts_of_a2a3() {
    let file = layouts();
    let arch = file.map()["a2a3"].map();
    check_structs(arch, a2a3::STRUCTS);
    check_constants(arch, a2a3::CONSTANTS);
    check_events(arch, "PMU_EVENTS_A2A3_", &a2a3::PMU_EVENTS);
}

#[test]
fn layouts_of_a5() {
    let file = layouts();
    let arch = file.map()["a5"].map();
    check_structs(arch, a5::STRUCTS);
    check_constants(arch, a5::CONSTANTS);
    check_events(arch, "PMU_EVENTS_A5_", &a5::PMU_EVENTS);
}

#[test]
fn sizes_of_data_types() {
    let file = layouts();
    for arch in ["a2a3", "a5"] {
        let constants = file.map()[arch].map()["constants"].map();
        assert_eq!(constants["DataType::DATA_TYPE_NUM"].number(), constants::DATA_TYPE_SIZES.len() as i128);
        for (key, size) in constants.iter().filter_map(|(key, size)| Some((key.strip_prefix("element_size.")?, size))) {
            let number = constants[&format!("DataType::{key}")].number() as usize;
            assert_eq!(i128::from(constants::DATA_TYPE_SIZES[number]), size.number(), "{key}");
        }
    }
}

/// The sizes of whole regions follow from headers and states.
#[test]
fn regions() {
    fn check<A: Arch>(arch: &BTreeMap<String, Value>) {
        let derived = |name: &str| arch["constants"].map()[&format!("derived.{name}")].number() as usize;
        let cores = A::MAX_CORES as usize;
        let threads = A::MAX_THREADS as usize;
        let pool = size_of::<common::ChipSwimlaneAicpuTaskPool>();
        assert_eq!(A::SWIMLANE.size + pool * 2 * (cores + threads), derived("chip_swimlane_shm_bytes_max_cores"));
        assert_eq!(A::PMU.size + size_of::<a5::PmuBufferState>() * cores, derived("pmu_shm_bytes_max_cores"));
        assert_eq!(A::DEP_GEN.size + size_of::<common::DepGenBufferState>(), derived("dep_gen_shm_bytes"));
        let dumps = size_of::<common::DumpBufferState>() * threads;
        assert_eq!(A::ARGS_DUMP.size + dumps, derived("dump_shm_bytes_max_threads"));
        assert_eq!(A::SCOPE_STATS.size + size_of::<common::ScopeStatsBufferState>(), derived("scope_stats_shm_bytes"));
        assert_eq!(A::BUDGET, derived("backpressure_timeout_cycles") as u64);
    }
    let file = layouts();
    check::<A2a3>(file.map()["a2a3"].map());
    check::<A5>(file.map()["a5"].map());
}

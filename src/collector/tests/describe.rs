//! What is derived from the device's forms agrees with the structures of the layout.

use super::rig::{Reach, Rig, TestArch, everywhere};
use crate::collector::describe::Module;
use crate::collector::{Chip, Config, Subsystem};
use crate::layout::runtime::common::*;
use crate::layout::runtime::constants::*;
use crate::layout::runtime::{A2a3, A5, a2a3, a5};
use crate::status::Status;
use std::mem::offset_of;

everywhere! {
    header = the_header_is_written;
}

fn module<A: TestArch>(subsystem: Subsystem, change: impl FnOnce(&mut Config)) -> Module {
    let device = super::rig::Device::new(Reach::Shared);
    let (mut config, _, _) = Rig::config::<A>(&device, subsystem);
    change(&mut config);
    config.settle().unwrap();
    Module::new(&config)
}

/// DE appendix: sizes of the regions at the most cores and threads, from the layout file.
#[test]
fn regions_are_as_large_as_the_layout_says() {
    fn sizes<A: TestArch>() -> [usize; 5] {
        let all = [Subsystem::Swimlane, Subsystem::Pmu, Subsystem::DepGen, Subsystem::ArgsDump, Subsystem::ScopeStats];
        let (threads, cores) = A::CHIP.limits();
        all.map(|subsystem| {
            let full = |config: &mut Config| {
                (config.threads, config.cores, config.scheduler_threads) = (threads, cores, threads);
            };
            module::<A>(subsystem, full).region_size
        })
    }
    assert_eq!(sizes::<A2a3>(), [156352, 32320, 1280, 9344, 1344]);
    assert_eq!(sizes::<A5>(), [276544, 55424, 1536, 14208, 1664]);
}

/// 1.6: the order of the pools, the stride of the phases, and who is served at which level.
#[test]
fn pools_of_the_swimlane() {
    let pools = module::<A5>(Subsystem::Swimlane, |_| ());
    let header = size_of::<a5::ChipSwimlaneDataHeader>();
    let pool = size_of::<ChipSwimlaneAicpuTaskPool>();
    let at = |kind: usize, instance| pools.streams[kind].state_at(instance);
    assert_eq!([at(0, 0), at(0, 5)], [header, header + 5 * pool]);
    assert_eq!(at(3, 0), header + 6 * pool);
    assert_eq!([at(1, 0), at(2, 0)], [header + 12 * pool, header + 17 * pool]);
    assert_eq!(pools.streams.iter().map(|stream| stream.instances).collect::<Vec<_>>(), [6, 2, 1, 6]);
    let buffers: Vec<(u32, u32)> = pools.streams.iter().map(|stream| (stream.buffers, stream.max_buffers)).collect();
    assert_eq!(buffers, [(8, 16), (6, 12), (8, 16), (4, 8)]);
    let low = module::<A5>(Subsystem::Swimlane, |config| config.level = CHIP_SWIMLANE_LEVEL_AICORE_TIMING);
    assert_eq!(low.streams.iter().map(|stream| stream.instances).collect::<Vec<_>>(), [6, 0, 0, 6]);
    assert_eq!((low.instance(1, 0), low.instance(3, 0), low.instance(3, 6)), (None, Some(6), None));
}

/// DE 3.7, W4: with fewer buffers than instances can hold, those that are served first would leave the others none.
#[test]
fn instances_do_not_starve_each_other() {
    let most = |subsystem, buffers, max_buffers| {
        let change = |config: &mut Config| (config.buffers, config.max_buffers) = (buffers, max_buffers);
        module::<A5>(subsystem, change).streams.iter().map(|stream| stream.max_buffers).collect::<Vec<_>>()
    };
    assert_eq!(most(Subsystem::Pmu, 0, 0), [5]);
    assert_eq!(most(Subsystem::ArgsDump, 2, 2), [5]);
    assert_eq!(most(Subsystem::Swimlane, 1, 1), [5, 5, 1, 8]);
    assert_eq!(most(Subsystem::DepGen, 1, 1), [1]);
    assert_eq!(most(Subsystem::Pmu, 9, 11), [11]);
}

/// Cores belong to scheduler threads in groups of three, unless they are mapped.
#[test]
fn cores_have_owners() {
    let owners = |module: &Module| module.places.iter().map(|place| place.queue).collect::<Vec<_>>();
    assert_eq!(owners(&module::<A5>(Subsystem::Pmu, |_| ())), [0, 0, 0, 1, 1, 1]);
    let map = |config: &mut Config| config.core_to_thread = [2, 0, 1, 2, 0, 1].into();
    assert_eq!(owners(&module::<A5>(Subsystem::Pmu, map)), [2, 0, 1, 2, 0, 1]);
    assert_eq!(owners(&module::<A5>(Subsystem::DepGen, |_| ())), [2]);
    assert_eq!(owners(&module::<A5>(Subsystem::ArgsDump, |_| ())), [0, 1]);
}

/// Every word of an entry may hold anything.
#[test]
fn entries_are_checked() {
    let swimlane = module::<A5>(Subsystem::Swimlane, |_| ());
    let entry = |index: u64, kind: u64, seq: u64| [kind << 32 | index, 0x1000, seq, 0];
    assert_eq!(swimlane.decode(&entry(2, 0, 7)), (Some(2), 7));
    assert_eq!(swimlane.decode(&entry(5, 3, 9)), (swimlane.instance(3, 5), 9));
    assert_eq!(swimlane.decode(&entry(0, 2, 1)), (swimlane.instance(2, 0), 1));
    let far = u64::from(u32::MAX);
    for (index, kind) in [(6, 0), (far, 0), (0, 4), (0, far), (1, 2), (2, 1)] {
        assert_eq!(swimlane.decode(&entry(index, kind, 0)).0, None, "{index} {kind}");
    }
    // Of a single kind the place is padding.
    let counters = module::<A5>(Subsystem::Pmu, |_| ());
    assert_eq!(counters.decode(&entry(2, 0xDEAD, 3)), (Some(2), 3));
}

/// Numbers out of range are refused, each for itself.
#[test]
fn configurations_are_checked() {
    let refused = |subsystem, change: fn(&mut Config)| {
        let device = super::rig::Device::new(Reach::Shared);
        let (mut config, _, _) = Rig::config::<A5>(&device, subsystem);
        change(&mut config);
        let problem = crate::collector::Collector::new(config).err();
        assert_eq!(device.live(), 0);
        problem.map(|problem| problem.status)
    };
    let invalid = Some(Status::LANEPIPE_E_INVALID);
    use Subsystem::*;
    assert_eq!(refused(Pmu, |_| ()), None);
    for change in [
        (|config| config.threads = 0) as fn(&mut Config),
        |config| config.threads = 6,
        |config| config.cores = 0,
        |config| config.cores = 109,
        |config| config.scheduler_threads = 4,
        |config| config.orchestrator = 3,
        |config| config.level = 1,
        |config| config.shards = 4,
        |config| config.buffers = 5000,
        |config| config.max_buffers = 5000,
        |config| (config.buffers, config.max_buffers) = (3, 2),
        |config| config.core_to_thread = [0].into(),
        |config| config.core_to_thread = [3; 6].into(),
        |config| config.arena_size = 100,
        |config| config.arena_size = 1 << 33,
    ] {
        assert_eq!(refused(Pmu, change), invalid);
    }
    assert_eq!(refused(Swimlane, |config| config.level = 0), invalid);
    assert_eq!(refused(Swimlane, |config| config.level = 5), invalid);
    assert_eq!(refused(ArgsDump, |config| config.level = 4), invalid);
}

/// 1.3, 5.4: the words that the host writes before a run, on the device.
fn the_header_is_written<A: TestArch>(mode: Reach) {
    macro_rules! word {
        ($rig:ident, $header:ident, $field:ident) => {{
            let at = match A::CHIP {
                Chip::A2a3 => offset_of!(a2a3::$header, $field),
                Chip::A5 => offset_of!(a5::$header, $field),
            };
            $rig.word32(at).load(std::sync::atomic::Ordering::Relaxed)
        }};
    }
    let rig = Rig::new::<A>(mode, Subsystem::Swimlane);
    assert_eq!(
        (word!(rig, ChipSwimlaneDataHeader, num_cores), word!(rig, ChipSwimlaneDataHeader, chip_swimlane_level)),
        (6, 4)
    );
    let site = rig.collector().site();
    assert_eq!((site.flag, site.table_count), (SIMPLER_DFX_FLAG_CHIP_SWIMLANE, 6));
    assert_eq!(site.host == site.base, mode == Reach::Shared);
    rig.finish();
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    assert_eq!((word!(rig, PmuDataHeader, num_cores), word!(rig, PmuDataHeader, event_type)), (6, 2));
    assert_eq!(rig.collector().site().table != 0, A::RING.is_some());
    rig.finish();
    let rig = Rig::new::<A>(mode, Subsystem::DepGen);
    assert_eq!((word!(rig, DepGenDataHeader, num_instances), rig.collector().site().table), (1, 0));
    rig.finish();
    let rig = Rig::new::<A>(mode, Subsystem::ScopeStats);
    assert_eq!(word!(rig, ScopeStatsDataHeader, num_instances), 1);
    rig.finish();
    let rig = Rig::new::<A>(mode, Subsystem::ArgsDump);
    assert_eq!((word!(rig, DumpDataHeader, num_dump_threads), word!(rig, DumpDataHeader, dump_args_level)), (2, 2));
    assert_eq!(
        (word!(rig, DumpDataHeader, magic), word!(rig, DumpDataHeader, records_per_buffer)),
        (ARGS_DUMP_MAGIC, 256)
    );
    assert_eq!(word!(rig, DumpDataHeader, arena_size_per_thread), 4096);
    rig.finish();
}

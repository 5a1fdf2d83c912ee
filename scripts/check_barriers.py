#!/usr/bin/env python3
"""Checks where the device contract's barriers stand in the aarch64 code of the device archive.

  scripts/check_barriers.py ARCHIVE [--objdump PROGRAM]

Of each function in STEPS the listing is reduced to what the order of memory accesses is about, in the order of the code:

  load      any plain load but from the stack       acquire   ldar
  store     any plain store but to the stack        release   stlr
  rmb       dsb ld                                  wmb       dsb st

A step is a piece of that, as a regular expression over these words; a function has it as often as its row says. An access
that moved across its barrier, or a barrier that is missing or of another kind, leaves no match.

B11 and B12 are the scheduler's, around its registers. What the library has to do with them stands here: the barrier behind a
core's head (B10), and the one behind the id of a staging slot.
"""

import argparse
import re
import subprocess
import sys

# Barrier of the contract (device engine, 2.5), function, step, how often: twice where both architectures are inlined.
STEPS = [
    ("B2: entry, wmb, tail", "lanepipe::device::swimlane::aicore::publish_deferred",
     "store store store store wmb release", 1),
    ("B2: wmb, tail", "lanepipe_device_ready_commit", "wmb release", 1),
    ("B8: tail, freeze, rmb", "lanepipe::device::swimlane::aicore::publish_deferred",
     "release (load |store )*acquire rmb", 1),
    ("B8: freeze, rmb", "lanepipe_device_push_gate", "acquire rmb", 1),
    ("B8: signal, freeze, rmb", "lanepipe_device_release", "acquire acquire rmb", 1),
    ("B1: tail, rmb", "lanepipe_device_free_look", "acquire rmb", 1),
    ("B3: slot, rmb, head", "lanepipe_device_free_take", "load rmb release", 1),
    ("B1, B3: rmb, slot, rmb, head", "lanepipe_dep_gen_init", "rmb load rmb release", 2),
    ("B4, B5: count, wmb, pointer and seq, wmb", "lanepipe_dep_gen_init", "release store wmb store store wmb", 2),
    ("B1, B3: tail, rmb, slot, rmb, head", "lanepipe::device::swimlane::aicore::rotate",
     "acquire rmb load rmb release", 1),
    ("B6: losses, count, wmb", "lanepipe::device::engine::Engine<M,C>::give_up",
     "^(load )*store (load )*store store wmb$", 1),
    ("B7: pointer and seq, wmb, tail", "lanepipe::device::pmu::Pmu<lanepipe::layout::runtime::arch::A2a3>::record_task",
     "acquire rmb (load )*store store wmb (load |store )*acquire rmb", 1),
    ("B9, B2: payloads, wmb, entry, wmb, tail", "lanepipe::device::args_dump::ArgsDump<A>::arg_record",
     "load store wmb (load )*store store store wmb release", 3),
    ("B10: count, wmb, pointer, wmb, seq, wmb", "lanepipe::device::swimlane::aicore::rotate",
     "store wmb store wmb release wmb", 1),
    ("id of a staging slot, rmb", "lanepipe_pmu_complete_record", "^(load )*acquire rmb", 1),
]
BARRIERS = {"ld": "rmb", "st": "wmb"}


def event(instruction, operands):
    """The word of an instruction, or None."""
    if instruction in ("dsb", "dmb"):
        return BARRIERS.get(operands, "other") if instruction == "dsb" else "other"
    if re.search(r"\[(sp|x29)\b", operands):
        return None
    if instruction.startswith("ldar"):
        return "acquire"
    if instruction.startswith("stlr"):
        return "release"
    if instruction.startswith("ld"):
        return "load"
    return "store" if instruction.startswith("st") else None


def functions(listing):
    """Pairs of the name of a function and its words."""
    for block in re.split(r"\n\n+", listing):
        match = re.match(r"[0-9a-f]+ <(.*)>:$", block, re.M)
        if match:
            lines = (line.split("\t") for line in block.splitlines()[1:])
            # Comments of the disassembler follow a tab of their own.
            words = (event(line[1].strip(), line[2].strip() if len(line) > 2 else "") for line in lines if len(line) > 1)
            yield match.group(1), " ".join(word for word in words if word)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive")
    parser.add_argument("--objdump", default="aarch64-linux-gnu-objdump")
    arguments = parser.parse_args()
    command = [arguments.objdump, "-d", "-C", "--no-show-raw-insn", arguments.archive]
    listing = list(functions(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    failed = 0
    for what, name, step, count in STEPS:
        # One that is generic is there once per architecture.
        found = [words for function, words in listing if re.sub(r"::h[0-9a-f]{16}$", "", function) == name]
        good = bool(found) and all(len(re.findall(rf"\b{step}\b", words)) == count for words in found)
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}: {what}")
        for words in () if good else found or ["no such function"]:
            print(f"     {words}")
    print(f"{len(STEPS) - failed} of {len(STEPS)} steps have their barriers")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

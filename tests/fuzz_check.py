"""Damage a store, read it, check it and make it whole again; compare what comes of it.

::

    python tests/fuzz_check.py --flips 1000 --of-each 300 --others 300 --seed 0 [--store mixed]

Single bits of files are flipped, half of them of a random file and half of a random byte; then as
many of each array in shards; then files are cut, zeroed, removed and so on. What is read of the
damaged store has to be an error or what it was before. ``check`` has to find all damage that a read
notices, and ``--repair`` has to bring every file back, bit for bit.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import fuzz_store
import mtfast
from fuzz_store import OtherValuesError, damaged, small_chunks, stores
from mtfast.errors import MtfastError

SHARDS = ("semantic", "images/file", "crop_index/bits", "crop_index/dc", "crop_index/crc32c")
OTHERS = ("cut", "lengthen", "zero", "remove", "exchange", "exchange_chunks")


class Damage(NamedTuple):
    """What is damaged, and how; ``other`` is exchanged with it."""

    store: str
    key: str
    how: str
    other: str
    seed: int


class Outcome(NamedTuple):
    """What came of it.

    Attributes
    ----------
    read : {"error", "same", "other"}
        Of everything that can be read: an error, the same values, or other ones.
    found : bool
        Whether check finds anything.
    named : bool
        Whether it names just the files that were changed.
    repaired : bool
        Whether all files are as they were, and check says so.
    """

    read: str
    found: bool
    named: bool
    repaired: bool

    @property
    def problem(self) -> str:
        """What should not be so; empty if all is as it should be."""
        if self.read == "other":
            return "read as other values"
        if self.read == "error" and not self.found:
            return "not found by check"
        return "" if self.repaired or not self.found else "not repaired bit for bit"


def source_of(store: str) -> Path:
    folder = stores()[store].parent
    return folder / "set" if store == "flakes" else folder / "mixed" / "set" / "annotations.json"


@cache
def content(store: str) -> dict[str, bytes]:
    """Files of a store, by their paths in it."""
    path = stores()[store]
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def now_in(path: Path) -> dict[str, bytes]:
    files = (file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def one_trial(damage: Damage) -> Outcome:
    path, whole = stores()[damage.store], content(damage.store)
    fuzz_store.expected(damage.store)
    with damaged(path, damage.key, damage.how, damage.other, damage.seed):
        there = now_in(path)
        changed = {key for key in whole.keys() | there.keys() if whole.get(key) != there.get(key)}
        read = read_of(damage.store)
        errors = [f for f in mtfast.check_store(path).findings if f.severity == "error"]
        repaired = bool(errors) and is_repaired(damage.store)
        return Outcome(read, bool(errors), {f.file for f in errors} == changed, repaired)


def read_of(store: str) -> str:
    try:
        fuzz_store.read_everything(store)
    except OtherValuesError:
        return "other"
    except MtfastError:
        return "error"
    return "same"


def is_repaired(store: str) -> bool:
    with small_chunks(store):
        done = mtfast.check_store(stores()[store], repair=source_of(store))
    return done.is_whole and now_in(stores()[store]) == content(store)


# --- what is damaged


def flips(names: list[str], n: int, rng: random.Random) -> Iterator[Damage]:
    """Choose bits: of a random file and of a random byte of all files by turns."""
    for number in range(n):
        store = rng.choice(names)
        files = content(store)
        weights = [len(data) if number % 2 else 1 for data in files.values()]
        (key,) = rng.choices(list(files), weights)
        yield Damage(store, key, "flip", key, rng.getrandbits(32))


def flips_of(names: list[str], array: str, n: int, rng: random.Random) -> Iterator[Damage]:
    """Choose bits of the shards of an array."""
    for _ in range(n):
        store = rng.choice(names)
        shards = [key for key in content(store) if f"/{array}/c." in key]
        key = rng.choice(shards)
        yield Damage(store, key, "flip", key, rng.getrandbits(32))


def other_damage(names: list[str], n: int, rng: random.Random) -> Iterator[Damage]:
    """Choose files, and what happens to each; it may be exchanged with one of the same kind."""
    for _ in range(n):
        store = rng.choice(names)
        how = rng.choice(OTHERS)
        keys = [key for key in content(store) if how != "exchange_chunks" or "/c." in key]
        key = rng.choice(keys)
        alike = [k for k in keys if fuzz_store.kind_of(k) is fuzz_store.kind_of(key)]
        yield Damage(store, key, how, rng.choice(alike), rng.getrandbits(32))


def run_trials(
    names: list[str],
    n_flips: int,
    n_of_each: int,
    n_others: int,
    seed: int,
    say: Callable[[str], object] = print,
) -> list[str]:
    """Damage stores, and say what came of it; return what should not be so.

    Parameters
    ----------
    names : list of str
        Of stores of :mod:`fuzz_store`.
    n_flips, n_of_each, n_others : int
        Bits of all files, bits of each array in shards, other kinds of damage.
    seed : int
    say : callable
        Called with a line for each kind of damage.

    Returns
    -------
    list of str
    """
    rng = random.Random(seed)
    false_alarms = [f for name in names for f in mtfast.check_store(stores()[name]).findings]
    problems = [f"false alarm: {finding.found}" for finding in false_alarms]
    groups = {"all files": flips(names, n_flips, rng)}
    groups |= {array: flips_of(names, array, n_of_each, rng) for array in SHARDS}
    groups["other damage"] = other_damage(names, n_others, rng)
    for name, several in groups.items():
        began, outcomes = time.monotonic(), []
        for damage in several:
            outcome = one_trial(damage)
            outcomes.append(outcome)
            if outcome.problem:
                problems.append(f"{damage}: {outcome.problem}")
        if outcomes:
            say(summary(name, outcomes, time.monotonic() - began))
    return problems


def summary(name: str, outcomes: list[Outcome], seconds: float) -> str:
    read = Counter(outcome.read for outcome in outcomes)
    found = [outcome for outcome in outcomes if outcome.found]
    named = sum(outcome.named for outcome in found)
    repaired = sum(outcome.repaired for outcome in found)
    return (
        f"{name}: {len(outcomes)} damaged; read: {read['error']} errors, {read['same']} the same, "
        f"{read['other']} silent; check: {len(found)} found, {named} by name; "
        f"repaired: {repaired} bit for bit; {seconds:.0f} s"
    )


def main() -> None:
    """Run trials as the command line says; exit with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--of-each", type=int, default=300)
    parser.add_argument("--others", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", action="append", choices=["mixed", "flakes"])
    given = parser.parse_args()
    names = given.store or list(stores())
    problems = run_trials(names, given.flips, given.of_each, given.others, given.seed)
    print(f"{len(problems)} problems", *problems, sep="\n")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()

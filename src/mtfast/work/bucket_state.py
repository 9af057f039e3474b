"""What is below an address: which run is at work, what it has done, or something whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from mtfast.addresses import Address
from mtfast.errors import StoreError
from mtfast.parallel import map_threads
from mtfast.remote import Objects, Stat
from mtfast.work.records import DAMAGED, FileSum, Made, Plan, plan_of, read_record

__all__ = [
    "FOLDER",
    "RUN",
    "THREADS",
    "Run",
    "claim",
    "clear",
    "is_as_written",
    "is_there",
    "is_unfinished",
    "not_alone",
    "plan_at",
    "read_done",
    "read_plan",
    "read_run",
    "refusal_of_unfinished",
    "remove",
    "remove_remains",
    "write_plan",
]

FOLDER = ".mtfast"
"""Where the objects of unfinished work are, below what is made."""

RUN = f"{FOLDER}/run.json"
"""What says which run is at work."""

THREADS = 16
"""Requests at a time: small objects wait for answers, not for the processor."""


class Run(msgspec.Struct, frozen=True):
    """Which run is at work.

    Attributes
    ----------
    work : str
        Token of the work.
    run : str
        Token of the run.
    clearing : bool
        Whether it has not begun yet: it removes what was there.
    """

    work: str
    run: str
    clearing: bool = False

    @property
    def folder(self) -> str:
        """Key below which the objects of the work are."""
        return f"{FOLDER}/{self.work}"


def claim(address: Address, objects: Objects, run: Run, stamp: str | None) -> str:
    """Say that this run is at work, unless another has said so since it was looked.

    Parameters
    ----------
    address : Address
        For the message.
    objects : Objects
    run : Run
    stamp : str or None
        Of what said before which run is at work; None if nothing did.

    Returns
    -------
    str
        The stamp of what says it now.

    Raises
    ------
    StoreError
        If another run has begun.
    """
    text = msgspec.json.encode(run)
    try:
        return objects.write(RUN, text, new=stamp is None, over=stamp).stamp
    except (FileExistsError, FileNotFoundError) as error:
        now, stamp = read_run(objects)
        # A request of ours of which the answer was lost.
        if now == run and stamp is not None:
            return stamp
        raise not_alone(address) from error


def not_alone(address: Address) -> StoreError:
    """Return the error for a target at which another run has begun.

    Parameters
    ----------
    address : Address

    Returns
    -------
    StoreError
    """
    return StoreError(
        f"{address} is being written by another run, which has begun since; expected to be alone; "
        f"wait for it or choose another address"
    )


def read_run(objects: Objects) -> tuple[Run | None, str | None]:
    """Return which run is at work.

    Parameters
    ----------
    objects : Objects

    Returns
    -------
    run : Run or None
        None if nothing says so, or what does is damaged.
    stamp : str or None
        Of the object that says so; None if there is none.
    """
    try:
        stamp = objects.stat(RUN).stamp
        text = objects.read(RUN)
    except FileNotFoundError:
        return None, None
    try:
        return msgspec.json.decode(text, type=Run), stamp
    except DAMAGED:
        return None, stamp


def read_plan(objects: Objects, run: Run) -> Plan | None:
    """Read the plan of a run's work.

    Parameters
    ----------
    objects : Objects
    run : Run

    Returns
    -------
    Plan or None
        None if it is not there, or damaged.
    """
    try:
        return plan_of(objects.read(f"{run.folder}/plan.json"))
    except FileNotFoundError:
        return None


def write_plan(objects: Objects, run: Run, plan: Plan) -> None:
    """Write the plan of a run's work.

    Parameters
    ----------
    objects : Objects
    run : Run
    plan : Plan
    """
    objects.write(f"{run.folder}/plan.json", msgspec.json.encode(plan))


def is_as_written(there: Stat, wanted: FileSum) -> bool:
    """Return whether an object is the one that was written, by its size and its stamp.

    Parameters
    ----------
    there : Stat
    wanted : FileSum

    Returns
    -------
    bool
    """
    return bool(wanted.stamp) and there == (wanted.n_bytes, wanted.stamp)


def is_there(objects: Objects, key: str) -> bool:
    """Return whether there is an object of this key.

    Parameters
    ----------
    objects : Objects
    key : str

    Returns
    -------
    bool
    """
    try:
        objects.stat(key)
    except FileNotFoundError:
        return False
    return True


def read_done(objects: Objects, run: Run) -> dict[str, Made]:
    """Return the jobs that are done and of which all objects are as they were written.

    Parameters
    ----------
    objects : Objects
    run : Run

    Returns
    -------
    dict
        Key of each -> what it made.
    """
    there = dict(objects.walk())
    keys = [key for key in there if key.startswith(f"{run.folder}/done/")]
    records = [read_record(text) for text in map_threads(objects.read, keys, THREADS)]
    return {
        key: made
        for key, made in filter(None, records)
        if all(
            name in there and is_as_written(there[name], found)
            for name, found in made.files.items()
        )
    }


def clear(objects: Objects, last: str) -> None:
    """Remove what was there, first what makes it a whole.

    Parameters
    ----------
    objects : Objects
    last : str
        The object without which nobody takes it for whole.
    """
    objects.delete([last])
    remove(objects, objects.walk(), but=(RUN,))


def remove(objects: Objects, found: Iterable[tuple[str, Stat]], but: Sequence[str] = ()) -> None:
    """Remove objects; what says which run is at work goes last.

    Parameters
    ----------
    objects : Objects
    found : iterable of (str, Stat)
        As ``objects.walk`` lists them.
    but : sequence of str
        Keys that stay.
    """
    keys = sorted((key for key, _ in found), key=lambda key: key == RUN)
    ends = [key for key in keys if key == RUN and key not in but]
    objects.delete([key for key in keys if key not in (RUN, *but)])
    objects.delete(ends)


def remove_remains(objects: Objects) -> None:
    """Remove the objects of work that is whole and was not tidied up.

    Parameters
    ----------
    objects : Objects
        Below which something whole is.
    """
    found, _ = read_run(objects)
    # Another run may be about to replace it.
    if found is None or not found.clearing:
        remove(objects, objects.walk(FOLDER))


def plan_at(objects: Objects) -> tuple[bool, Plan | None]:
    """Return whether there is unfinished work, and its plan.

    Parameters
    ----------
    objects : Objects

    Returns
    -------
    is_begun : bool
    plan : Plan or None
        None if it cannot be read, or if the run was stopped while it removed what was there.
    """
    found, stamp = read_run(objects)
    plan = read_plan(objects, found) if found and not found.clearing else None
    return stamp is not None, plan


def is_unfinished(objects: Objects, last: str) -> bool:
    """Return whether a run is at work there, or was stopped.

    Parameters
    ----------
    objects : Objects
    last : str
        The object without which nobody takes what is there for whole.

    Returns
    -------
    bool
    """
    return is_there(objects, RUN) and not is_there(objects, last)


def refusal_of_unfinished(address: object) -> str:
    """Return the message for unfinished work that was given where a dataset or store is wanted.

    Parameters
    ----------
    address : object
        Of the target, for the message.

    Returns
    -------
    str
    """
    return (
        f"{address} is unfinished, its conversion was stopped or is still at work; expected a "
        f"complete store; run what began it again"
    )

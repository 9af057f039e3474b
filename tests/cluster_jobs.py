"""Jobs of tests that workers of a cluster import."""

from __future__ import annotations

import os
from pathlib import Path

from mtfast.atomic import new_file
from mtfast.work.folder_place import sum_of_file
from mtfast.work.records import Made


def write(job: tuple[Path, str]) -> Made:
    """Write a file with its name in it."""
    content, name = job
    with new_file(content / name) as partial:
        partial.write_text(name)
    return Made(name, {name: sum_of_file(content / name)})


def die_once(job: tuple[Path, str]) -> Made:
    """Die while the file is being written, unless another worker has."""
    content, name = job
    try:
        os.close(os.open(content.parent / f"died-{name}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return write(job)
    with new_file(content / name) as partial:
        partial.write_text(name)
        os._exit(1)


def write_when_told(job: tuple[Path, str, Path, Path]) -> Made:
    """Say through one pipe that the job has begun, and write when another one says so."""
    content, name, begun, go_on = job
    begun.write_bytes(b"!")
    go_on.read_bytes()
    try:
        return write((content, name))
    finally:
        begun.write_bytes(b"?")

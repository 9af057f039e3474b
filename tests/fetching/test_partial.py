"""What is noted of the stretches of a file that have arrived."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfast.errors import MtfastError
from mtfast.fetching.partial import Origin, Partial, folder_of, merged, missing

SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=9)


@settings(deadline=None)
@given(SPANS)
def test_stretches_are_those_of_the_bytes(pairs):
    spans = [(start, start + length) for start, length in pairs]
    there = {at for start, stop in spans for at in range(start, stop)}
    joined = merged(spans)
    assert [at for start, stop in joined for at in range(start, stop)] == sorted(there)
    gaps = missing(joined, 40)
    assert [at for start, stop in gaps for at in range(start, stop)] == sorted(
        set(range(40)) - there
    )


ORIGIN = Origin(100, "md5:abc", '"1"')


def started(tmp_path) -> Partial:
    there = Partial(tmp_path / "a.zip", ORIGIN)
    there.write(10, b"x" * 20)
    there.note(10, 30)
    there.close()
    return there


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (ORIGIN, True),
        (Origin(100, "", '"1"'), True),
        (Origin(100, "md5:abc", ""), True),
        (Origin(101, "md5:abc", '"1"'), False),
        (Origin(100, "md5:abd", '"1"'), False),
        (Origin(100, "md5:abc", '"2"'), False),
    ],
)
def test_only_the_same_file_is_gone_on_with(tmp_path, other, is_same):
    started(tmp_path)
    with closing(Partial(tmp_path / "a.zip", other)) as again:
        assert again.was_other is not is_same
        whole = [(0, other.n_bytes)]
        assert again.missing == ([(0, 10), (30, 100)] if is_same else whole)


@pytest.mark.parametrize(
    "end", [b"[40, 5", b"[40,\n", b"\xff\xff", b"[90,200]\n", b'{"n_bytes":5}\n', b"[-9,5]\n"]
)
def test_lines_that_are_none(tmp_path, end):
    """The last one of a run that was killed, or of a disk that was full; later ones are whole."""
    there = started(tmp_path)
    lines = there.folder / "arrived.jsonl"
    lines.write_bytes(lines.read_bytes() + end)
    with closing(Partial(tmp_path / "a.zip", ORIGIN)) as again:
        again.note(0, 5)
    with closing(Partial(tmp_path / "a.zip", ORIGIN)) as last:
        assert last.missing == [(5, 10), (30, 100)]


@pytest.mark.parametrize("damage", ["content", "arrived.jsonl"])
def test_a_part_without_its_record_is_begun_again(tmp_path, damage):
    there = started(tmp_path)
    (there.folder / damage).unlink()
    with closing(Partial(tmp_path / "a.zip", ORIGIN)) as again:
        assert again.missing == [(0, 100)]


def test_content_that_is_shorter_than_what_is_noted(tmp_path):
    there = started(tmp_path)
    there.content.write_bytes(b"x" * 12)
    with closing(Partial(tmp_path / "a.zip", ORIGIN)) as again:
        assert again.missing == [(0, 100)]


def test_threads_that_are_late_write_nothing(tmp_path):
    there = started(tmp_path)
    there.write(0, b"y" * 5)
    there.note(0, 5)
    assert there.content.read_bytes() == bytes(10) + b"x" * 20
    assert there.missing == [(0, 10), (30, 100)]


def test_a_link_in_its_place_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder_of(tmp_path / "a.zip").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MtfastError, match="is a symbolic link to"):
        Partial(tmp_path / "a.zip", ORIGIN)

"""Events in a JSON file, against a state machine that looks at one character at a time."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfast.kernels.files.json_scan import AT, DEPTH, EVENT, IN_STRING, STATE, WINDOW, scan_json

Event = tuple[int, str, int]

# Texts that are JSON in part: the scan has to cope with any.
ANYTHING = st.text(alphabet='{}[]",:\\ |ab', max_size=300)
RECORDS = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=90) | st.lists(st.integers())), max_size=9
)
FILES = st.dictionaries(st.text(max_size=4), RECORDS | st.integers() | RECORDS.map(str), max_size=4)


def events_of(text: bytes, max_records: int, max_bytes: int) -> tuple[list[Event], int, bool]:
    """The naive twin; also how many brackets stay open, and whether a string does."""
    found: list[Event] = []
    depth = n_records = last = 0
    in_string = in_list = escaped = False
    for place, character in enumerate(text.decode("latin-1")):
        is_event = False
        if escaped:
            escaped = False
            continue
        if character == '"':
            in_string = not in_string
            is_event = depth == 1
        elif in_string:
            escaped = character == "\\"
        elif character == ",":
            if depth == 2 and in_list:
                n_records += 1
                is_event = n_records >= max_records or place - last >= max_bytes
        elif character == ":":
            is_event = depth == 1
        elif character in "[{":
            depth += 1
            if depth == 2:
                in_list, n_records = character == "[", 0
                is_event = in_list
        elif character in "]}":
            if depth == 2 and in_list:
                n_records += 1
                is_event = True
            depth -= 1
        if is_event:
            found.append((place, character, n_records))
            n_records, last = 0, place
    return found, depth, in_string


def scanned(
    text: bytes, max_records: int, max_bytes: int, piece: int, n_events: int
) -> tuple[list[Event], int, bool]:
    """The same by the kernel, a piece and a few events at a time."""
    state = np.zeros(STATE, np.int64)
    guarded = np.full(EVENT * n_events + 3, -7)
    events = guarded[:-3]
    found: list[Event] = []
    for offset in range(0, len(text), piece):
        part = text[offset : offset + piece]
        data = np.frombuffer(part + bytes(WINDOW), np.uint8)
        state[AT] = 0
        while state[AT] < len(part):
            n = scan_json(data, len(part), offset, max_records, max_bytes, state, events)
            assert (guarded[-3:] == -7).all()
            rows = events[: EVENT * n].reshape(-1, EVENT).tolist()
            found += [(place, chr(character), m) for place, character, m in rows]
    return found, int(state[DEPTH]), bool(state[IN_STRING])


def check(text: bytes, max_records: int, max_bytes: int, piece: int, n_events: int) -> None:
    expected = events_of(text, max_records, max_bytes)
    assert scanned(text, max_records, max_bytes, piece, n_events) == expected


@settings(deadline=None, max_examples=300)
@given(
    ANYTHING.map(str.encode) | FILES.map(lambda document: json.dumps(document).encode()),
    st.integers(1, 4),
    st.sampled_from([1, 20, 10_000]),
    st.sampled_from([1, 2, 63, 64, 65, 100, 10_000]),
    st.sampled_from([1, 2, 5, 400]),
)
def test_events_are_those_of_the_twin(text, max_records, max_bytes, piece, n_events):
    check(text, max_records, max_bytes, piece, n_events)


@pytest.mark.parametrize("n", range(58, 70))
@pytest.mark.parametrize("piece", [64, 10_000])
def test_backslashes_at_the_end_of_a_window(n, piece):
    for n_backslashes in range(1, 5):
        text = '{"' + "a" * n + "\\" * n_backslashes + '": [1, 2], "b": [{}]}'
        check(text.encode(), 1, 10_000, piece, 3)


def test_commas_after_so_many_records_or_bytes():
    text = b'{"a": [1, 2, 3, 4, 5, 6, 7]}'
    places = [place for place, character, _ in events_of(text, 3, 100)[0] if character == ","]
    assert [text[:place].count(b",") + 1 for place in places] == [3, 6]
    check(text, 3, 100, 1000, 50)
    # From 7, the bracket, on: the first comma that is at least five bytes after the last event.
    places = [place for place, character, _ in events_of(text, 100, 5)[0] if character == ","]
    assert places == [11, 17, 23]
    check(text, 100, 5, 1000, 50)

"""Records found piece by piece, against json on the whole text."""

from __future__ import annotations

import io
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfast.sources.coco import stream
from mtfast.sources.coco.stream import RecordFile, UnreadableError

LISTS = ("images", "annotations", "categories")
records = st.recursive(
    st.none() | st.integers(-5, 5) | st.text(st.sampled_from('ab"\\[]{},: ü\n'), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
RECORDS = msgspec.json.Decoder(list[msgspec.Raw])


@pytest.fixture(params=[(1, 1), (7, 5), (64, 1 << 22)], autouse=True)
def blocks(request, monkeypatch):
    """Sizes of what is read, and cut, at once; and room for few events."""
    monkeypatch.setattr(stream, "_BLOCK_BYTES", request.param[0])
    monkeypatch.setattr(stream, "_PIECE_BYTES", request.param[1])
    monkeypatch.setattr(stream, "_EVENTS", 2)


def read(text: bytes, max_records: int) -> dict[str, list]:
    file = RecordFile(io.BytesIO(text), max_records)
    assert file.n_bytes == len(text)
    found = {}
    for name in LISTS:
        pieces = list(file.read(name, RECORDS))
        assert all(len(piece) <= max_records for piece in pieces)
        found[name] = [json.loads(bytes(raw)) for piece in pieces for raw in piece]
        assert len(found[name]) <= file.at_most(name) <= len(found[name]) + 1
    return found


@settings(deadline=None, max_examples=40)
@given(
    st.permutations([*LISTS, "info", 'odd "key"', "images2"]),
    st.lists(st.lists(records, max_size=6), min_size=6, max_size=6),
    st.sampled_from([None, 1]),
    st.integers(1, 4),
    st.booleans(),
)
def test_records_are_those_of_the_whole(keys, values, indent, max_records, mark):
    content = dict(zip(keys, values, strict=True))
    text = json.dumps(content, indent=indent, ensure_ascii=False).encode()
    found = read(b"\xef\xbb\xbf" * mark + text, max_records)
    assert found == {name: content[name] for name in LISTS}


def test_a_list_named_twice_is_the_last_one():
    text = b'{"images": [1, 2], "annotations": [], "im\\u0061ges": [3]}'
    assert read(text, 1) == {"images": [3], "annotations": [], "categories": []}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'"images"',
        b'{"images": [], "annotations": []',
        b'{"images": [], "annotations": []} x',
        b'{"images": [], "annotations": [], "info": nil}',
        b'{"images": [], "annotations": {}}',
        b'{"images": [], "annotations": [}',
        b'{"images": [}], "annotations": []}',
        b'{"images": [1,], "annotations": []}',
        b'{"images": [,1], "annotations": []}',
        b'{"images": [1,,1], "annotations": []}',
        b'{"images": [,], "annotations": []}',
        b'{"images": [1 2], "annotations": []}',
        b'{"images": [1], "annotations": [], "categories": "x',
    ],
)
def test_what_is_no_coco_file(text):
    for max_records in (1, 2, 9):
        with pytest.raises(UnreadableError):
            read(text, max_records)

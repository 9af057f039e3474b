"""Specs of masks against painting pixel by pixel with pycocotools."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pycocotools.mask as reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtfast
import naive
from mtfast import MtfastError, RLEError, RunTable, mask
from mtfast.painting.mask_kinds import KINDS, MaskSpec, known_categories, rename
from mtfast.painting.overlap import OVERLAPS
from tables import make_table, random_masks

SHAPE = (19, 27)


def painted(image, min_area, categories, mapping, kind, overlap):
    """Mask of an image, (height, width), or None where instances overlap that must not."""
    kept = []
    for k in range(image.n_instances):
        rle = {"size": list(SHAPE), "counts": image.text(k)}
        category = int(image.category_ids[k])
        if categories is not None and category not in categories:
            continue
        if min_area is not None and reference.area(rle) <= min_area:
            continue
        pixels = reference.decode(rle)
        number = len(kept) + 1
        value = {"instance": number, "binary": 1}.get(kind, mapping.get(category, category))
        kept.append((pixels, value))
    if overlap == "error" and kept and np.sum([pixels for pixels, _ in kept], 0).max() > 1:
        return None
    order = {
        "first": lambda k: -k,
        "largest": lambda k: (kept[k][0].sum(), k),
        "smallest": lambda k: (-int(kept[k][0].sum()), k),
    }.get(overlap, lambda k: k)
    frame = np.zeros(SHAPE, np.int64)
    for k in sorted(range(len(kept)), key=order):
        pixels, value = kept[k]
        if kind == "boundary":
            pixels = pixels & ~naive.eroded(pixels, 1, 8, 0)
        frame[pixels > 0] = value
    return frame


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32),
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.sampled_from([None, 0, 1, 20, 513]),
    st.sampled_from([None, (1,), (2, 3)]),
    st.sampled_from([{}, {1: 2, 2: 1}, {3: 7}, {1: 400}]),
    st.sampled_from(KINDS),
    st.sampled_from(OVERLAPS),
)
def test_masks_are_those_of_the_loop(seed, counts, min_area, categories, mapping, kind, overlap):
    rng = np.random.default_rng(seed)
    masks = [random_masks(rng, SHAPE, n) for n in counts]
    table = make_table(masks, SHAPE)
    if kind in ("instance", "binary"):
        mapping = {}
    pairs = tuple(mapping.items())
    spec = MaskSpec(min_area, categories, pairs, kind, overlap)
    expected = [
        painted(image, min_area, categories, mapping, kind, overlap)
        for image in map(table.image, range(table.n_images))
    ]
    if any(frame is None for frame in expected):
        with pytest.raises(MtfastError, match="overlap; expected masks that share no pixel"):
            spec.select(table)
        return
    chosen = spec.select(table)
    np.testing.assert_array_equal(mtfast.semantic(chosen), expected)
    # Image by image it is the same.
    for i, frame in enumerate(expected):
        np.testing.assert_array_equal(mtfast.semantic(spec.select(table.image(i)))[0], frame)


def test_nothing_to_select_copies_nothing(rng):
    table = make_table([random_masks(rng, SHAPE, 3)], SHAPE)
    assert MaskSpec().select(table) is table


def test_a_limit_means_more_pixels():
    """As in the files of a set: synth gives none of exactly 200 pixels to the _200 variant."""
    dot = np.zeros(SHAPE, np.uint8)
    dot[3, 3:7] = 1
    table = make_table([[dot]], SHAPE)
    assert MaskSpec(min_area=3).select(table).n_instances == 1
    assert MaskSpec(min_area=4).select(table).n_instances == 0


def test_a_limit_of_zero_drops_empty_instances():
    dot, empty = np.eye(*SHAPE, dtype=np.uint8), np.zeros(SHAPE, np.uint8)
    table = make_table([[empty, dot]], SHAPE)
    assert MaskSpec().select(table).n_instances == 2
    chosen = MaskSpec(min_area=0, kind="instance").select(table)
    assert chosen.instance_ids.tolist() == [2]
    assert chosen.category_ids.tolist() == [1]


def test_known_categories_are_those_listed_and_those_in_use():
    table = RunTable.of_texts((1, 6), [[b"132"]], [7])
    listed = replace(table, categories=((3, "unused"),))
    assert known_categories([listed]) == {3, 7}
    assert known_categories([]) == set()


def test_outlines_state_nothing():
    table = make_table([[np.ones(SHAPE, np.uint8)]], SHAPE)
    edges = MaskSpec(kind="boundary").select(table)
    assert edges.area().tolist() == [2 * sum(SHAPE) - 4]
    assert np.isnan(edges.stated_area).all()
    assert np.isnan(edges.stated_bbox).all()


def test_variants_of_a_set_are_selections(small_set):
    source = mtfast.open_source(small_set)
    full = source.table("train", "annotations_with_class_full")
    for area in (200, 300):
        variant = source.table("train", f"annotations_with_class_{area}")
        chosen = MaskSpec(min_area=area).select(full)
        assert chosen.instance_ids.tolist() == variant.instance_ids.tolist()


def test_renamed_categories(rng):
    table = make_table([random_masks(rng, SHAPE, 6)], SHAPE)
    assert rename(table, {}) is table
    renamed = rename(table, {3: 1, 2: 9})
    assert renamed.category_ids.tolist() == [1, 9, 1, 1, 9, 1]
    assert renamed.categories == ((1, "class 1"), (9, "class 2"))
    assert known_categories([table, renamed]) == {1, 2, 3, 9}
    assert table.category_ids.tolist() == [1, 2, 3, 1, 2, 3]


def test_overlapping_instances_are_named(rng):
    left, right, both = (np.zeros(SHAPE, np.uint8) for _ in range(3))
    left[:, :10], right[:, 10:], both[5, 9:11] = 1, 1, 1
    apart = make_table([[left, right], [], [right, left]], SHAPE)
    np.testing.assert_array_equal(mtfast.semantic(apart, overlap="error"), mtfast.semantic(apart))
    table = make_table([[left, right], [], [right, both, left]], SHAPE)
    with pytest.raises(MtfastError) as caught:
        mtfast.semantic(table, overlap="error")
    assert str(caught.value).startswith("annotations 3 and 4 of image '002.jpg' overlap; expected")
    with pytest.raises(MtfastError, match="annotations 3 and 4 of image '002.jpg' overlap"):
        mtfast.semantic(table.image(2), overlap="error")
    rles = [{"size": SHAPE, "counts": naive.text_of_mask(m)} for m in (right, left, both)]
    with pytest.raises(MtfastError, match="masks 0 and 2 of the list overlap; expected"):
        mask.to_label_map(rles, overlap="error")
    np.testing.assert_array_equal(mask.to_label_map(rles[:2], overlap="error"), 2 * left + right)


def test_a_malformed_text_is_found_before_an_overlap(rng):
    table = make_table([[np.ones(SHAPE, np.uint8)] * 2], SHAPE)
    rle = table.rle.copy()
    rle[-1] = 1
    for overlap in OVERLAPS:
        with pytest.raises(RLEError, match="annotation 2 "):
            mtfast.semantic(replace(table, rle=rle), overlap=overlap)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "outline"}, "kind is 'outline'; expected one of"),
        ({"overlap": "top"}, "overlap is 'top'; expected one of"),
        ({"min_area": -1}, "a minimum area of -1; expected pixels"),
        ({"min_area": float("nan")}, "a minimum area of nan; expected pixels"),
        ({"mapping": ((1, 2),), "kind": "binary"}, "a map of categories for binary masks"),
        ({"mapping": ((1, 2),), "kind": "instance"}, "a map of categories for instance masks"),
        ({"mapping": ((1, 0),)}, "category 1 is mapped to 0; expected 1 to 65535"),
        ({"mapping": ((1, 65536),)}, "category 1 is mapped to 65536; expected 1 to 65535"),
    ],
)
def test_bad_selections(options, words):
    with pytest.raises(MtfastError, match=words):
        MaskSpec(**options)

"""What may be passed as ``out``, for every function here that takes it."""

from __future__ import annotations

import re

import numpy as np
import pytest

import mtfast
from mtfast import MtfastError, mask
from mtfast.painting.frame import check_out
from tables import make_table, read_only_frames

SHAPE = (4, 6)
PIXELS = np.arange(24, dtype=np.uint8).reshape(SHAPE) % 5 == 0
RLE = mask.encode(PIXELS)

FUNCTIONS = {
    "semantic": (
        lambda out: mtfast.semantic(make_table([[PIXELS]], SHAPE), out=out),
        (1, *SHAPE),
        "C",
    ),
    "decode": (lambda out: mask.decode(RLE, out=out), SHAPE, "F"),
    "decode in C order": (lambda out: mask.decode(RLE, "C", out), SHAPE, "C"),
    "decode a list": (lambda out: mask.decode([RLE, RLE], out=out), (*SHAPE, 2), "F"),
    "decode a list in C order": (lambda out: mask.decode([RLE, RLE], "C", out), (2, *SHAPE), "C"),
    "to_label_map": (lambda out: mask.to_label_map([RLE], out=out), SHAPE, "C"),
}


@pytest.fixture(params=FUNCTIONS)
def case(request):
    """A function of ``out``, and the shape and memory order that it takes."""
    return FUNCTIONS[request.param]


def refused(case, out, words):
    """Call a function with an array that it must refuse and leave unchanged."""
    function, shape, order = case
    before = out.copy()
    with pytest.raises(MtfastError, match=words) as caught:
        function(out)
    assert f"; expected {shape}, uint8" in str(caught.value)
    assert f" uint16, in {order} order; " in str(caught.value).replace(" or uint32", "")
    np.testing.assert_array_equal(out, before)


def test_what_fits_is_filled_and_returned(case):
    function, shape, order = case
    for dtype in (np.uint8, np.uint16):
        out = np.full(shape, 77, dtype, order)
        assert function(out) is out
        assert set(np.unique(out)) == {0, 1}


def test_read_only_arrays_are_refused(case, tmp_path):
    _, shape, order = case
    for out in read_only_frames(tmp_path / "pixels", shape, np.uint8, order):
        refused(case, out, rf"out has shape {re.escape(str(shape))}, uint8, read-only; expected")


def test_other_shapes_dtypes_and_orders_are_refused(case):
    _, shape, order = case
    other = "C" if order == "F" else "F"
    refused(case, np.zeros((*shape, 1), np.uint8, order), r"out has shape .*, 1\), uint8; ")
    refused(case, np.zeros(shape[:-1], np.uint8, order), "out has shape .*, uint8; ")
    refused(case, np.zeros(shape, np.int32, order), ", int32; ")
    refused(case, np.zeros(shape, np.uint8, other), f", uint8, not in {order} order; ")
    refused(case, np.zeros(shape, ">u2", order), ", >u2; ")
    strided = np.zeros((*shape[:-1], 2 * shape[-1]), np.uint8)[..., ::2]
    refused(case, strided, f", uint8, not in {order} order; ")
    unaligned = np.zeros(2 * int(np.prod(shape)) + 1, np.uint8)[1:].view(np.uint16)
    refused(case, unaligned.reshape(shape, order=order), ", uint16, not aligned; ")


def test_what_is_no_array_is_refused(case):
    function, shape, _ = case
    for out in (np.zeros(shape).tolist(), bytearray(24)):
        with pytest.raises(MtfastError, match=f"out is a {type(out).__name__}; expected a numpy"):
            function(out)


def test_dtypes_are_listed():
    types = [np.dtype(t) for t in (np.uint8, np.uint16, np.uint32)]
    for n, listed in enumerate(("uint8", "uint8 or uint16", "uint8, uint16 or uint32"), 1):
        with pytest.raises(MtfastError, match=rf"expected \(1,\), {listed}, in F order; make"):
            check_out(np.zeros(2, np.uint8), (1,), types[:n], "F")

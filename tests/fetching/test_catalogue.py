"""What names stand for."""

from __future__ import annotations

import pytest

from mtfast.errors import MtfastError
from mtfast.fetching import SETS, find_set
from mtfast.fetching.catalogue import find_sets


def test_there_are_eight_real_sets_and_seven_synthetic_ones():
    assert [known.kind for known in SETS] == ["Real"] * 8 + ["Synthetic"] * 7
    assert len({known.name for known in SETS}) == 15
    assert sum(known.n_train for known in SETS) == 295_815
    assert sum(known.n_test for known in SETS) == 3_637


@pytest.mark.parametrize("known", SETS, ids=lambda known: known.name)
def test_each_is_found_by_its_name(known):
    assert find_set(known.name) == known


def test_a_material_that_one_set_is_of():
    twice = {"WSe2", "MoSe2", "WS2"}
    for known in SETS:
        if known.material not in twice:
            assert find_set(known.material) == known
    for name in twice:
        with pytest.raises(MtfastError) as refused:
            find_set(name)
        assert str(refused.value) == (
            f"{name!r} is the name of two sets; expected Real_{name} or Synthetic_{name}; name one "
            f"of them"
        )


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("graphenel", "'Real_GrapheneL'"),
        ("GRAPHENE", "'Synthetic_Graphene'"),
        ("hbn_thin", "'Real_hBN_Thin'"),
        ("real_wse2", "'Real_WSe2'"),
        ("wse2", "'Real_WSe2' or 'Synthetic_WSe2'"),
        ("Real_WSe2.zip", "'Real_WSe2'"),
    ],
)
def test_a_name_that_is_nearly_right(name, near):
    with pytest.raises(MtfastError, match=rf"^no published set '{name}'; .* did you mean {near}\?"):
        find_set(name)


def test_a_name_that_is_none():
    with pytest.raises(MtfastError, match=r"^no published set 'cats'; .*; see all with: mtfast"):
        find_sets(["Real_WS2", "cats"])

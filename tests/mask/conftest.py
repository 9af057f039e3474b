"""All tests of this room run twice: with compiled code that reads few masks, and without it."""

from __future__ import annotations

import pytest

from mtfast.mask import few


@pytest.fixture(scope="module", autouse=True, params=["few", "plain"])
def way(request):
    if request.param == "few":
        yield request.param
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in few.__all__:
            patch.setattr(few, name, lambda *arguments: False)
        yield request.param

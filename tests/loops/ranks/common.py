"""What the programs of two ranks share."""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.distributed

warnings.filterwarnings("error", module="mtfast")


def run(*scenarios: Callable[[Path, Path], Any]) -> None:
    """Run scenarios with (store, folder), and write what they return as RANK.json.

    One that fails is recorded as its traceback, so that the others still run; it fails on both
    ranks, or the other one waits until gloo gives up.
    """
    store, folder = map(Path, sys.argv[1:3])
    found = {}
    for scenario in scenarios:
        try:
            found[scenario.__name__] = scenario(store, folder)
        except Exception:
            found[scenario.__name__] = traceback.format_exc()
    rank = torch.distributed.get_rank()
    (folder / f"{rank}.json").write_text(json.dumps(found))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()

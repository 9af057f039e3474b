"""Short runs of the fuzzers, and what a fuzzer has to notice."""

from __future__ import annotations

import os
import pickle
import signal
import time

import numpy as np
import pytest

import fuzz_jpeg
import fuzz_mask
import fuzzing
from fuzz_inputs import a_table
from fuzzing import ANYTHING, MARGIN, REFUSED, Trial
from mtfast import MtfastError, mask


def test_a_short_run():
    report = fuzzing.fuzz(fuzz_mask.make_trial, seed=0, n_trials=2000, limit=60)
    assert report.problems == {}
    assert report.n_calls == 2000
    for name in (
        "decode",
        "area",
        "toBbox",
        "merge",
        "iou",
        "to_label_map",
        "frPyObjects",
        "paint_in_place",
    ):
        assert report.outcomes[name, "accepted"] > 20
        assert report.outcomes[name, "refused"] > 20


def test_a_short_run_on_jpegs():
    report = fuzzing.fuzz(fuzz_jpeg.make_trial, seed=0, n_trials=600, limit=60)
    assert report.problems == {}
    assert report.outcomes["windows_agree", "accepted"] > 300
    assert report.outcomes["cut_with", "accepted"] > 20
    assert report.outcomes["cut_with", "refused"] > 20


@pytest.mark.parametrize("fuzzer", [fuzz_mask, fuzz_jpeg])
def test_trials_are_the_same_for_a_seed(fuzzer):
    made = [[pickle.dumps(fuzzer.make_trial(seed, k)) for k in range(20)] for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]


def fine(out=None):
    return 1


def dies():
    os.kill(os.getpid(), signal.SIGSEGV)


def ends():
    os._exit(0)


def hangs():
    time.sleep(60)


def raises():
    raise IndexError


def refuses(out=None):
    if out is not None:
        out[0] = 1
    raise MtfastError("one line; expected two; write another")


def oversteps(out):
    out.base[MARGIN + out.size] = 1


def frame() -> np.ndarray:
    return np.full(2 * MARGIN + 3, 99, np.uint8)[MARGIN:-MARGIN]


def faulty(seed: int, number: int) -> Trial:
    trials = {
        3: Trial(dies, (), {}, 1),
        4: Trial(hangs, (), {}, 1),
        6: Trial(raises, (), {}, ANYTHING),
        7: Trial(fine, (), {}, 2),
        8: Trial(fine, (), {}, REFUSED),
        9: Trial(refuses, (), {}, 1),
        10: Trial(refuses, (), {"out": frame()}, REFUSED),
        11: Trial(oversteps, (), {"out": frame()}, ANYTHING),
        12: Trial(ends, (), {}, 1),
    }
    return trials.get(number, Trial(fine, (), {}, 1))


FINDINGS = {
    3: f"dies: died with exit status {-signal.SIGSEGV}",
    4: "hangs: hangs",
    6: "raises: IndexError in test_fuzz.py:raises",
    7: "fine: a wrong answer",
    8: "fine: accepted what is malformed",
    9: "refuses: refused what is sound",
    10: "refuses: wrote to out and refused",
    11: "oversteps: wrote outside of out",
    12: "ends: died with exit status 0",
}


def test_faults_are_found(tmp_path, monkeypatch, capsys):
    """Findings are printed and saved, and are findings again when they are replayed."""
    options = ["", "--trials", "20", "--limit", "2", "--findings", str(tmp_path)]
    monkeypatch.setattr("sys.argv", options)
    with pytest.raises(SystemExit, match="1"):
        fuzzing.main(faulty, None)
    said = capsys.readouterr().out.splitlines()
    found = [f"{tmp_path / f'0-{number}.pickle'}: {what}" for number, what in FINDINGS.items()]
    assert said[-10:] == ["9 findings", *found]
    saved = tmp_path / "0-7.pickle"
    monkeypatch.setattr("sys.argv", ["", "--replay", str(saved)])
    with pytest.raises(SystemExit, match="1"):
        fuzzing.main(faulty, None)
    assert capsys.readouterr().out == f"{saved}: fine: a wrong answer\n"


def test_a_page_that_must_not_be_read():
    """The table of a trial ends where reading on would kill the process."""
    rle = {"size": [2, 2], "counts": b"22"}
    assert mask.area(a_table([rle] * 3)).tolist() == [2, 2, 2]
    report = fuzzing.fuzz(reads_on, n_trials=1)
    assert list(report.problems) == [f"read_on: died with exit status {-signal.SIGSEGV}"]


def reads_on(seed: int, number: int) -> Trial:
    return Trial(read_on, (), {}, ANYTHING)


def read_on() -> int:
    text = a_table([{"size": [2, 2], "counts": b"22"}]).rle
    return int(np.lib.stride_tricks.as_strided(text, (8,)).sum())

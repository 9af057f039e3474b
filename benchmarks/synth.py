"""Making synthetic sets."""

from itertools import count
from pathlib import Path

from benchmarks import data
from mtfast.synth import make_set


class MakeSet:
    """A new set in a new folder, on one core: annotations alone, or with a few images."""

    params = ("labels", "images")
    param_names = ("kind",)
    number = 1

    def setup(self, kind: str) -> None:
        self.scratch = data.scratch()
        self.numbers = count()
        # Scenes and images are drawn by compiled kernels.
        self._make(2, kind)

    def teardown(self, kind: str) -> None:
        self.scratch.cleanup()

    def time_make_set(self, kind: str) -> None:
        self._make(data.scale.images // 4 if kind == "images" else data.scale.labels // 4, kind)

    def _make(self, n: int, kind: str) -> None:
        make_set(
            Path(self.scratch.name) / str(next(self.numbers)),
            train=n,
            test=0,
            size=data.scale.size,
            seed=data.SEED,
            images=kind == "images",
            workers=1,
        )

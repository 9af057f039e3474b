"""Lightning's Trainer over a Loader: fit, validate and resume, on one rank and on two."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
lightning = pytest.importorskip("lightning", reason="lightning is of the group 'loops'")

from loops.recorder import (
    STEPS,
    Recorder,
    each_epoch,
    each_steps,
    fit,
    make,
    trainer,
    validation,
)
from loops.records import BATCH, N_IMAGES, images_of, interleaved, of, twice

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    # Lightning's advice: more workers, a shorter interval of logging, a validation.
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:Be aware that when using .ckpt_path.:UserWarning"),
    # Lightning 2.6 with PyTorch 2.13
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),
]


@pytest.mark.parametrize("workers", [0, 2])
def test_fit(store, epochs, workers, table):
    model = fit(Recorder(), trainer(), make(store, workers=workers))
    assert model.epochs == dict(enumerate(epochs[:3]))
    table(f"Lightning fit, workers={workers}", list(model.epochs.values()))


def test_fit_and_validate(store, epochs):
    model = fit(Recorder(), trainer(), make(store), validation(store))
    assert model.epochs == dict(enumerate(epochs[:3]))
    sanity, *whole = map(images_of, model.validations)
    assert sanity == [0, 1, 2, 3]
    assert whole == [list(range(7))] * 3


def test_validation_in_mid_epoch(store, epochs):
    options = {"val_check_interval": 2, "num_sanity_val_steps": 0, "epochs": 2}
    model = fit(Recorder(), trainer(**options), make(store, workers=2), validation(store))
    assert model.epochs == dict(enumerate(epochs[:2]))
    assert [images_of(samples) for samples in model.validations] == [list(range(7))] * 6


def test_validate(store, table):
    model = Recorder()
    for _ in range(2):
        trainer().validate(model, validation(store), verbose=False)
    assert [images_of(samples) for samples in model.validations] == [list(range(7))] * 2
    table("Lightning validate", model.validations)


def test_limit_train_batches(store, epochs, table):
    model = fit(Recorder(), trainer(limit_train_batches=2), make(store))
    assert model.epochs == {e: epochs[e][: 2 * BATCH] for e in range(3)}
    table("Lightning, limit_train_batches=2", list(model.epochs.values()))


def test_steps_an_epoch_with_a_loader_for_each_loop(store):
    """A second fit goes through the epochs that Lightning numbers, not through those after."""
    loader = make(store)
    first = fit(Recorder(), trainer(epochs=2), loader)
    second = fit(Recorder(), trainer(epochs=2), loader)
    assert first.epochs == second.epochs


def test_overfit_batches(store, table):
    loader = make(store, shuffle=False)
    model = fit(Recorder(), trainer(overfit_batches=2), loader, validation(store))
    found = [images_of(samples) for samples in model.epochs.values()]
    assert found == [list(range(2 * BATCH))] * 3
    table("Lightning, overfit_batches=2", list(model.epochs.values()))


def test_resumed_from_the_end_of_an_epoch(store, epochs, tmp_path, table):
    fit(Recorder(), trainer(each_epoch(tmp_path), epochs=2), make(store))
    checkpoint = tmp_path / "epoch=1.ckpt"
    model = fit(Recorder(), trainer(epochs=4), make(store), ckpt_path=checkpoint)
    assert model.epochs == {2: epochs[2], 3: epochs[3]}
    table("Lightning, resumed at the end of epoch 1", epochs, resumed=model.epochs[2])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("steps", [2, STEPS + 2, 2 * STEPS])
def test_resumed_in_mid_epoch(store, epochs, tmp_path, steps, workers, table):
    """Also from a checkpoint after the last batch of an epoch, before its end."""
    runner = trainer(each_steps(tmp_path, steps))
    fit(Recorder(), runner, make(store, workers=workers))
    checkpoint = tmp_path / f"step={steps}.ckpt"
    model = fit(Recorder(), trainer(epochs=4), make(store), ckpt_path=checkpoint)
    epoch, batches = divmod(steps, STEPS)
    rest = {epoch: epochs[epoch][batches * BATCH :]}
    assert model.epochs == rest | {e: epochs[e] for e in range(epoch + 1, 4)}
    if steps == STEPS + 2:
        table(f"Lightning, resumed in epoch 1, workers={workers}", epochs, resumed=model.epochs[1])


def test_resumed_by_steps(store, epochs, tmp_path):
    """Of epochs that are left early; Lightning numbers them anew then, but never the first one."""
    options = {"epochs": -1, "limit_train_batches": 2}
    fit(Recorder(), trainer(each_epoch(tmp_path), max_steps=4, **options), make(store))
    checkpoint = tmp_path / "epoch=0.ckpt"
    model = fit(Recorder(), trainer(max_steps=6, **options), make(store), ckpt_path=checkpoint)
    found = [sample for samples in model.epochs.values() for sample in samples]
    assert len(found) == 4 * BATCH
    assert twice(epochs[0] + found) == 0


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return two_ranks("with_lightning")


def test_two_ranks_share_each_epoch(ranks, epochs, table):
    found = of(ranks, "whole")
    for epoch, parts in enumerate(zip(*found, strict=True)):
        assert interleaved(*parts)[:N_IMAGES] == epochs[epoch]
    table("Lightning DDP", *found)


def test_validation_on_two_ranks_counts_nothing_twice(ranks, table):
    found = of(ranks, "validations")
    for parts in zip(*found, strict=True):
        assert images_of(sample for part in parts for sample in part) == list(range(7))
    table("Lightning DDP, validation", *found)


@pytest.mark.parametrize(
    ("scenario", "done"), [("from_the_end_of_an_epoch", 0), ("in_mid_epoch", 2)]
)
def test_two_ranks_resume(ranks, epochs, scenario, done, table):
    found = of(ranks, scenario)
    first, *later = [interleaved(*parts) for parts in zip(*found, strict=True)]
    assert first[: N_IMAGES - 2 * BATCH * done] == epochs[1][2 * BATCH * done :]
    assert [samples[:N_IMAGES] for samples in later] == [epochs[2]]
    name = f"Lightning DDP, resumed {scenario.replace('_', ' ')}"
    table(name, *of(ranks, "whole"), resumed=found[0][0])

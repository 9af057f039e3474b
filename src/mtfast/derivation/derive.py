"""``mtfast.derive_dataset``: a new set made from others, in one of three ways."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from mtfast.arguments import ImagesOption
from mtfast.dataset import expect_source
from mtfast.derivation.merging import derive_merged
from mtfast.derivation.output import Derived
from mtfast.derivation.validation_split import derive_validation
from mtfast.derivation.variants import derive_variants
from mtfast.errors import MtfastError
from mtfast.progress import Progress, shows_progress
from mtfast.sources import Source

__all__ = ["derive_dataset"]

_MAX_SEED = 2**32 - 1


@shows_progress
def derive_dataset(
    source: Source | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    min_areas: Sequence[int] = (),
    max_categories: Sequence[int] = (),
    class_agnostic: bool = False,
    n_shot: Literal["upstream", "seeded"] | None = None,
    before: Sequence[int | str | os.PathLike[str]] = (),
    splits: Sequence[str] | None = None,
    variant: str | None = None,
    validation: float | None = None,
    merge: Sequence[Source | str | os.PathLike[str]] = (),
    seed: int = 0,
    images: ImagesOption = True,
    progress: Progress | None = None,
) -> Derived:
    """Make a new set from a dataset.

    One of three: more annotation files (``min_areas``, ``max_categories``, ``class_agnostic`` and
    ``n_shot``, in any combination), a validation split (``validation``), or several sets in one
    (``merge``). To do one after another, derive from the new set. What does not change is carried
    over, with everything that the files of the source hold. A source that was opened with a
    ``mapping``, or ``variant`` alone, makes a set that has other numbers of classes, or one
    annotation file, and else is the same.

    Parameters
    ----------
    source : Source, str or path-like
        See :func:`mtfast.open_source`.
    out : str or path-like
        Folder of the new set, a MaskTerial folder. It must be empty or not exist; it appears when
        the set is complete.
    min_areas : sequence of int
        For each, make ``annotations_with_class_PX`` from the instances larger than PX pixels.
        Areas are measured from the RLE, not taken from what the files state.
    max_categories : sequence of int
        For each, make ``…_max_ID`` with the categories up to ID beside every with-class file.
    class_agnostic : bool
        Make the class-agnostic file beside every with-class one; annotations keep their ids.
    n_shot : {"upstream", "seeded"}, optional
        Draw n-shot subsets of ``train`` from ``annotations_with_class_300``: as those of the
        published sets were drawn, or from ``seed`` and the ids and classes of the annotations.
    before : sequence of int or path
        With ``n_shot="upstream"``: the published sets that were drawn before this one, or the
        number of annotations in their file of the same name; 0 for the first. See
        :data:`mtfast.derivation.n_shot.UPSTREAM_SETS`.
    splits : sequence of str, optional
        The splits to make annotation files for, all by default; the others are carried over.
    variant : str, optional
        The only annotation file of each split to derive from and to carry over; all by default, of
        which layouts other than MaskTerial's have one.
    validation : float, optional
        Move about this share of the images of ``train`` to a new split ``val``, whole exfoliation
        runs at a time.
    merge : sequence of Source or path
        Other sets to merge into the same set.
    seed : int
        For ``n_shot="seeded"`` and ``validation``, from 0 to 2**32 - 1.
    images : bool, "keep" or "none"
        Whether to link the images and semantic masks of the source, which takes no space. Files
        on another disk are copied.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    Derived
        The numbers of files made, copied and linked, and notes.

    Raises
    ------
    MtfastError
        If the options do not go together, the source lacks what is asked for, or the set cannot
        be written; nothing is left of it.

    Examples
    --------
    >>> done = mtfast.derive_dataset("Graphene", "Graphene_100", min_areas=[100])
    >>> done.n_made
    2

    Notes
    -----
    n-shot subsets: the MaskTerial data sets, https://zenodo.org/records/15765514.
    """
    makes_files = bool(min_areas or max_categories or class_agnostic or n_shot)
    changes = bool(variant or (isinstance(source, Source) and source.mapping))
    if not changes or makes_files or validation is not None or merge:
        _expect_one_of_three(makes_files, validation is not None, bool(merge))
    if splits and not makes_files:
        raise MtfastError(
            "splits are named, but no annotation files are made; expected them with min_areas=[…] "
            "and the like; leave out splits=[…]"
        )
    if before and n_shot != "upstream":
        raise MtfastError(
            "sets before this one are named, but subsets are not drawn as upstream drew them; "
            "expected both or neither; leave out before=[…], or add n_shot='upstream'"
        )
    if not 0 <= seed <= _MAX_SEED:
        raise MtfastError(f"seed {seed}; expected 0 to {_MAX_SEED}; choose another one")
    if variant:
        source, *merge = (replace(expect_source(s), only=variant) for s in (source, *merge))
    if merge:
        return derive_merged([source, *merge], out, images=images, progress=progress)
    if validation is not None:
        return derive_validation(
            source, out, validation, seed=seed, images=images, progress=progress
        )
    return derive_variants(
        source,
        out,
        min_areas=min_areas,
        max_categories=max_categories,
        class_agnostic=class_agnostic,
        n_shot=n_shot,
        before=before,
        seed=seed,
        splits=splits,
        images=images,
        progress=progress,
    )


def _expect_one_of_three(makes_files: bool, validation: bool, merge: bool) -> None:
    kinds = {"new annotation files": makes_files, "validation=…": validation, "merge=[…]": merge}
    given = [kind for kind, wanted in kinds.items() if wanted]
    if len(given) != 1:
        raise MtfastError(
            f"{' and '.join(given) or 'nothing'} to derive; expected one of min_areas=[…] and the "
            f"like, validation=… or merge=[…]; "
            f"{'derive one after another' if given else 'add one'}"
        )

"""The place of a new store in object storage."""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from mtfast.addresses import BUCKETS, Address
from mtfast.errors import StoreError
from mtfast.remote import Objects, objects_at
from mtfast.store.writing.replace import refuse_others
from mtfast.work.bucket import BucketWork, working_at
from mtfast.work.bucket_state import FOLDER, plan_at, remove_remains
from mtfast.work.records import DAMAGED, Plan

__all__ = ["BucketTarget"]

_ROOT = "zarr.json"


@dataclass(frozen=True)
class BucketTarget:
    """A prefix in a bucket. See :class:`mtfast.store.writing.target.StoreTarget`.

    Attributes
    ----------
    address : Address
    """

    address: Address

    def refuse_existing(self, overwrite: bool) -> None:
        """Refuse an address that is taken, or that cannot be written to."""
        self._refuse(overwrite)
        probe = f"{FOLDER}/probe-{secrets.token_hex(4)}"
        objects = objects_at(self.address)
        objects.write(probe, b"")
        objects.read(probe)
        objects.delete([probe])

    def writing(self, plan: Plan, overwrite: bool) -> AbstractContextManager[BucketWork]:
        """Write a store, of which the root goes last."""
        check = partial(self._refuse, overwrite)
        return working_at(self.address, plan, check, last=_ROOT, afresh=overwrite)

    def _refuse(self, overwrite: bool) -> None:
        address = self.address
        # Whether anything is known of the scheme.
        objects = objects_at(address)
        if address.scheme not in BUCKETS or not address.key:
            raise StoreError(
                f"{address} is no place for a store; expected a folder or an address in a bucket, "
                f"such as s3://bucket/graphene.zarr; choose another"
            )
        self._refuse_inside_store()
        files, folders = objects.list()
        names = [name for name, _ in files]
        there = [name for name in (*names, *folders) if name != FOLDER]
        if _ROOT in names:
            attributes = _attributes(objects)
            self._refuse_whole(objects, attributes, overwrite)
            refuse_others(address, there, attributes.get("splits"))
            return
        is_begun, plan = plan_at(objects) if FOLDER in folders else (False, None)
        if plan is not None:
            refuse_others(address, there, plan.options.get("splits"))
        elif there and not is_begun:
            raise StoreError(
                f"{address} has objects and is no mtfast store, such as {there[0]}; expected a new "
                f"address; choose another"
            )

    def _refuse_whole(self, objects: Objects, attributes: dict[str, Any], overwrite: bool) -> None:
        """Refuse a place with the root of a store, unless it may be replaced."""
        if "mtfast_format" not in attributes:
            raise StoreError(
                f"{self.address} is a Zarr group and no mtfast store; expected a new address; "
                f"choose another"
            )
        if not overwrite:
            remove_remains(objects)
            raise StoreError(
                f"{self.address} exists and is a complete store; expected a new address; "
                f"choose another or pass overwrite=True, which removes it first"
            )

    def _refuse_inside_store(self) -> None:
        folder = self.address.parent
        while folder.key:
            try:
                objects_at(folder).stat(_ROOT)
            except FileNotFoundError:
                folder = folder.parent
            else:
                raise StoreError(
                    f"{self.address} is inside {folder}, which is a Zarr store; expected an "
                    f"address outside of any; choose another"
                )


def _attributes(objects: Objects) -> dict[str, Any]:
    try:
        root = msgspec.json.decode(objects.read(_ROOT), type=dict[str, Any])
    except DAMAGED:
        return {}
    attributes = root.get("attributes")
    return attributes if isinstance(attributes, dict) else {}

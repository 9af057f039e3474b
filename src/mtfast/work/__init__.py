"""Long work that goes on where it was stopped: what it writes is whole or not there at all.

``records`` is what is written down of it, ``jobs`` what is under way. ``folder`` is work on a disk,
``folder_place`` where its jobs write, ``folder_state`` what is at a target; ``bucket``,
``bucket_place`` and ``bucket_state`` are the same in object storage.
"""

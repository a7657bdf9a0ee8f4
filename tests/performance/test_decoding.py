"""A model takes the memory of what it holds, and no more."""

from __future__ import annotations

import gc
import sys

import orjson

from benchmarks.load_server import VM, page
from openrelay_async.models import VmSummary
from openrelay_async.structuring import structure_list

COUNT = 1000


def test_a_decoded_item_allocates_its_fields_and_itself() -> None:
    """The object with its slots, each text, each time. Small numbers and empty texts are Python's own."""
    body = page(COUNT, 0)
    structure_list(orjson.loads(body)["items"], VmSummary)
    gc.collect()
    before = sys.getallocatedblocks()
    models = structure_list(orjson.loads(body)["items"], VmSummary)
    gc.collect()
    blocks = (sys.getallocatedblocks() - before) / len(models)
    texts_and_times = sum(isinstance(value, str) and len(value) > 1 for value in VM.values())
    assert len(models) == COUNT
    assert blocks <= 1 + texts_and_times + 0.1


def test_a_decoded_item_is_one_object_for_the_garbage_collector() -> None:
    """No dict, list or tuple beside it: a million items make collections no longer than they must."""
    body = page(COUNT, 0)
    structure_list(orjson.loads(body)["items"], VmSummary)
    gc.collect()
    before = len(gc.get_objects())
    models = structure_list(orjson.loads(body)["items"], VmSummary)
    gc.collect()
    assert (len(gc.get_objects()) - before) / len(models) <= 1.1

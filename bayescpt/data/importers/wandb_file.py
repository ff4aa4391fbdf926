"""``run-ID.wandb``, which a run of Weights & Biases writes beside what it sends: records in a log of LevelDB's form."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bayescpt.data.importers.record import Log, Record, missing_library, refusal

HEAD = struct.Struct("<4sHB")
IDENT, MAGIC, VERSION = b":W&B", 0xBEE1, 0
PIECE = struct.Struct("<IHB")
BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


class Damaged(Exception):
    """The file holds no further record that can be trusted."""


def read_wandb_file(path: Path) -> Log:
    """History of one run, with its id, name and settings as ``run_id``, ``run_name`` and ``config.*``.

    A run that still writes, or was killed, leaves a last record cut short: what stands before it is read, and a note
    says so.

    Raises:
        TableError: it is no such file, or wandb is not installed.
    """
    try:
        from wandb.proto import wandb_internal_pb2
    except ImportError as error:
        raise missing_library(path, "wandb") from error
    messages: Any = wandb_internal_pb2
    content = path.read_bytes()
    if len(content) < HEAD.size or HEAD.unpack_from(content) != (IDENT, MAGIC, VERSION):
        message = "expected a file that a run of wandb wrote, but it does not start like one; copy it again"
        raise refusal(path, "not_this_format", message)
    about: dict[str, Any] = {}
    records: list[Record] = []
    notes: tuple[str, ...] = ()
    try:
        for raw in payloads(content):
            message = messages.Record()
            message.ParseFromString(raw)
            kind = message.WhichOneof("record_type")
            if kind == "run":
                about |= {"run_id": message.run.run_id, "run_name": message.run.display_name}
                about |= _items(message.run.config.update, "config.")
            elif kind == "config":
                about |= _items(message.config.update, "config.")
            elif kind == "history":
                values = _items(message.history.item, "")
                records.append(Record(f"record {values.get('_step', len(records))}", values, about))
    except Damaged as error:
        notes = (f"{error}; what comes after {len(records)} records of history is not read",)
    return Log(records, notes)


def payloads(content: bytes) -> Iterator[bytes]:
    """The records of a file. Raises Damaged where one is cut short or does not match its checksum."""
    at, parts = HEAD.size, b""
    while at < len(content):
        left = BLOCK - at % BLOCK
        if left < PIECE.size:
            at += left  # too little room for a piece: padding
            continue
        if at + PIECE.size > len(content):
            raise Damaged("the file ends within a record, as of a run that still writes or was killed")
        checksum, length, kind = PIECE.unpack_from(content, at)
        if (checksum, length, kind) == (0, 0, 0) and not any(content[at:]):
            return
        data = content[at + PIECE.size : at + PIECE.size + length]
        if len(data) < length:
            raise Damaged("the file ends within a record, as of a run that still writes or was killed")
        if kind not in (FULL, FIRST, MIDDLE, LAST) or zlib.crc32(data, zlib.crc32(bytes([kind]))) != checksum:
            raise Damaged(f"the file is damaged at byte {at}")
        at += PIECE.size + length
        parts = data if kind in (FULL, FIRST) else parts + data
        if kind in (FULL, LAST):
            yield parts


def _items(items: Any, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        name = ".".join(item.nested_key) or item.key
        if not name.startswith("_wandb"):
            found |= _flat(f"{prefix}{name}", json.loads(item.value_json))
    return found


def _flat(name: str, value: Any) -> dict[str, Any]:
    """A value by its name; what a mapping holds by names joined with dots, as the site of W&B shows them."""
    if isinstance(value, dict):
        return {key: inner for part, held in value.items() for key, inner in _flat(f"{name}.{part}", held).items()}
    return {} if value is None else {name: value}

"""Train from WebDataset shards in object storage, through a wdsfs mount.

`StreamingWebDataset`, `StreamingDataLoader`, `WdsfsDataset` and `StreamDataset` want torch, which is
imported when the first of them is named; all else runs on Python alone.
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import decoders
from .decoders import register_decoder
from .errors import (
    BinaryNotFound,
    DecodeError,
    MountFailed,
    SchemaError,
    SplitError,
    StateError,
    WdsfsError,
)
from .ledger import Ledger
from .mount import Mount, find_binary
from .rank import RankFolder

if TYPE_CHECKING:
    from .dataset import StreamDataset, StreamingWebDataset, WdsfsDataset
    from .loader import StreamingDataLoader, collate

__version__ = "0.1.0"

__all__ = [
    "BinaryNotFound",
    "DecodeError",
    "Ledger",
    "Mount",
    "MountFailed",
    "RankFolder",
    "SchemaError",
    "SplitError",
    "StateError",
    "StreamDataset",
    "StreamingDataLoader",
    "StreamingWebDataset",
    "WdsfsDataset",
    "WdsfsError",
    "collate",
    "decoders",
    "find_binary",
    "register_decoder",
]

_WITH_TORCH = {
    "StreamDataset": "dataset",
    "StreamingDataLoader": "loader",
    "StreamingWebDataset": "dataset",
    "WdsfsDataset": "dataset",
    "collate": "loader",
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module 'wdsfs' has no attribute {name!r}")
    try:
        importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(
            f"wdsfs.{name} wants torch, which is not installed here: pip install torch. "
            "Without it there are wdsfs.Mount and wdsfs.RankFolder"
        ) from error
    return getattr(importlib.import_module(f".{_WITH_TORCH[name]}", __name__), name)

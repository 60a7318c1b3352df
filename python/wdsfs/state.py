"""What a checkpoint holds of the data: the cursors of all ranks, and the epoch under way."""

from typing import Any, Dict, List, Mapping

from . import world
from .errors import StateError
from .mount import Mount
from .rank import OtherLegsError, RankFolder, difference

_FORMAT = "wdsfs state"
_VERSION = 1


def save(folder: RankFolder, epoch: int) -> Dict[str, Any]:
    """The state of all ranks; with torch.distributed every rank must ask for it."""
    cursors = world.gathered(folder.cursor())
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "split": folder.split,
        "epoch": epoch,
        "cursors": cursors,
    }


def load(state: Mapping[str, Any], mount: Mount, split: str) -> int:
    """Moves a mount to where a state says, of whatever world size it is; returns the epoch."""
    cursors = _checked(state, split)
    folder = mount.rank(split)
    try:
        if len(cursors) != mount.world_size:
            raise difference(cursors[0], folder.cursor())
        folder.restore(cursors[mount.rank_number])
    except OtherLegsError:
        if not mount.is_own:
            raise
        mount.remount(cursors)
    return int(state["epoch"])


def _checked(state: Mapping[str, Any], split: str) -> List[str]:
    if not isinstance(state, Mapping) or state.get("format") != _FORMAT:
        raise StateError("this is no state of a wdsfs loader; give what its state_dict() returned")
    if state["version"] != _VERSION:
        raise StateError(
            f"the state has version {state['version']}, {_VERSION} is known here: use the wdsfs that made it"
        )
    if state["split"] != split:
        raise StateError(
            f"the state is of the split {state['split']!r}, and this dataset reads {split!r}: load it into a "
            "dataset of that split"
        )
    return list(state["cursors"])

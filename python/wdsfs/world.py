"""Which of how many ranks this process is."""

import os
import sys
from typing import Tuple

# As the mount itself would find it.
_VARIABLES = (
    ("WORLD_SIZE", "RANK"),
    ("SLURM_NTASKS", "SLURM_PROCID"),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
)


def is_distributed() -> bool:
    """Whether torch.distributed runs here; torch is not imported to find out."""
    distributed = sys.modules.get("torch.distributed")
    return bool(distributed and distributed.is_available() and distributed.is_initialized())


def rank_and_world_size() -> Tuple[int, int]:
    """By torch.distributed where it runs, else by the launcher's environment, else 0 of 1."""
    if is_distributed():
        distributed = sys.modules["torch.distributed"]
        return distributed.get_rank(), distributed.get_world_size()
    for size, rank in _VARIABLES:
        if size in os.environ and rank in os.environ:
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def gathered(value: object) -> list:
    """Everybody's value by rank; without torch.distributed just ours."""
    if not is_distributed():
        return [value]
    distributed = sys.modules["torch.distributed"]
    values: list = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values

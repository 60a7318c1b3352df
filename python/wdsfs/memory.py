"""Memory for batches: a fresh page costs a fault, which takes longer than to copy what goes into the page."""

import ctypes
from typing import Any, Dict, List, Optional, Tuple, Type, Union

import torch
from torch.utils.data import get_worker_info
from torch.utils.data._utils.collate import collate, collate_tensor_fn, default_collate_fn_map

# Of malloc.h and linux/mman.h; a kernel before 5.14 refuses the last, and nothing is lost.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MADV_POPULATE_WRITE = 23

_KEPT_BYTES = 128 << 20
# The most that glibc takes.
_LARGEST_KEPT_BYTES = 32 << 20
_PAGE_BYTES = 4096

try:
    _libc: Optional[ctypes.CDLL] = ctypes.CDLL(None)
    _madvise = _libc.madvise
    _madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
except (AttributeError, OSError):
    _libc = None


def keep() -> None:
    """Has this process keep what it frees, so that the next picture lies where the last one lay.

    By glibc's own rules each picture of half a megabyte goes back to the kernel, and comes again page by page.
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def touch(tensor: torch.Tensor) -> None:
    """Gets all of a tensor's pages at once, rather than one by one as it is written."""
    start = -(-tensor.data_ptr() // _PAGE_BYTES) * _PAGE_BYTES
    count = tensor.data_ptr() + tensor.nbytes - start
    if _libc is not None and count >= _PAGE_BYTES:
        _madvise(start, count // _PAGE_BYTES * _PAGE_BYTES, _MADV_POPULATE_WRITE)


def stacked(
    tensors: List[torch.Tensor],
    *,
    collate_fn_map: Optional[Dict[Union[Type, Tuple[Type, ...]], Any]] = None,
) -> torch.Tensor:
    """As torch's own: in a worker into memory that is shared with who trains."""
    first = tensors[0]
    is_plain = type(first) is torch.Tensor and first.layout == torch.strided and first.device.type == "cpu"
    if get_worker_info() is None or not is_plain or first.is_quantized:
        return collate_tensor_fn(tensors, collate_fn_map=collate_fn_map)
    size = (len(tensors), *first.shape)
    storage = first._typed_storage()._new_shared(len(tensors) * first.numel(), device="cpu")
    out = first.new(storage).resize_(*size)
    touch(out)
    return torch.stack(tensors, 0, out=out)


_BY_TYPE = {**default_collate_fn_map, torch.Tensor: stacked}


def default_collate(values: List[Any]) -> Any:
    """Torch's `default_collate`, by `stacked`."""
    return collate(values, collate_fn_map=_BY_TYPE)

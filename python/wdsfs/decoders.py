"""How a field's bytes become a value: the names that a schema knows, and the user's own."""

import ast
import functools
import io
import json
import math
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Union

from .errors import DecodeError, SchemaError

Decoder = Callable[[bytes], Any]


def _wants(package: str, name: str) -> ImportError:
    return ImportError(f"the decoder {name!r} wants {package}: pip install {package}")


def _pil(value: bytes) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise _wants("pillow", "PIL") from error
    image = Image.open(io.BytesIO(value))
    # Decoded here, in the worker, and not when somebody first looks at a pixel.
    image.load()
    return image


def _jpg(value: bytes) -> Any:
    try:
        import numpy
    except ImportError as error:
        raise _wants("numpy", "jpg") from error
    return numpy.asarray(_pil(value))


def _npy(value: bytes) -> Any:
    try:
        import numpy
    except ImportError as error:
        raise _wants("numpy", "npy") from error
    if value[:8] == b"\x93NUMPY\x01\x00":
        start = 10 + int.from_bytes(value[8:10], "little")
        kind, shape = _plain_array(bytes(value[10:start]))
        if kind is not None and len(value) - start == kind.itemsize * math.prod(shape):
            array = numpy.frombuffer(value, kind, offset=start).reshape(shape)
            # Torch wants arrays that it may write to.
            return array if isinstance(value, bytearray) else array.copy()
    return numpy.load(io.BytesIO(value), allow_pickle=False)


@functools.lru_cache(maxsize=64)
def _plain_array(header: bytes) -> Tuple[Any, Tuple[int, ...]]:
    """Type and shape of numbers in C order; None for what NumPy itself is to read, or to refuse.

    To read a header takes longer than to read a small array, and most arrays of a dataset have the same.
    """
    import numpy

    try:
        said = ast.literal_eval(header.decode("latin1"))
        kind, shape = numpy.dtype(said["descr"]), said["shape"]
        if not said["fortran_order"] and kind.kind in "biufc" and all(edge >= 0 for edge in shape):
            return kind, shape
    except (AttributeError, KeyError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        pass
    return None, ()


def _msgpack(value: bytes) -> Any:
    try:
        import msgpack
    except ImportError as error:
        raise _wants("msgpack", "msgpack") from error
    return msgpack.unpackb(value, raw=False)


def _torch(value: bytes) -> Any:
    import torch

    return torch.load(io.BytesIO(value), map_location="cpu", weights_only=True)


def _pickle(value: bytes) -> Any:
    import pickle

    return pickle.loads(value)


def _text(value: bytes) -> str:
    return value.decode("utf-8")


def _bytes(value: bytes) -> bytes:
    return value


_decoders: Dict[str, Decoder] = {
    "PIL": _pil,
    "jpg": _jpg,
    "json": json.loads,
    "txt": _text,
    "npy": _npy,
    "msgpack": _msgpack,
    "torch": _torch,
    "pickle": _pickle,
    "mp4": _bytes,
    "bytes": _bytes,
}

# Runs whatever code the bytes name.
_UNSAFE = {"pickle"}


def register_decoder(name: str, decoder: Decoder) -> None:
    """Has schemas made from now on know a decoder by a name."""
    _decoders[name] = decoder
    _UNSAFE.discard(name)


class Schema:
    """Which fields are decoded, and how; all others stay bytes.

    Fields are called in samples as they are in the schema: `.jpg` as in streaming-wds, or `jpg`; without
    a schema `.jpg`.
    """

    def __init__(
        self,
        schema: Optional[Mapping[str, Union[str, Decoder]]] = None,
        allow_pickle: bool = False,
        strict: bool = True,
    ) -> None:
        self.strict = strict
        self.decoders: Dict[str, Decoder] = {}
        self.names: Dict[str, str] = {}
        given = dict(schema or {})
        with_dot = [field.startswith(".") for field in given]
        if any(with_dot) and not all(with_dot):
            raise SchemaError(
                "some fields of the schema begin with a dot and some do not: "
                f"{', '.join(sorted(given))}; write all of them one way"
            )
        self.prefix = "." if not given or all(with_dot) else ""
        for field, decoder in given.items():
            # The mount shows fields in lower case, as webdataset does.
            bare = field[len(self.prefix) :].lower()
            self.names[bare] = decoder if isinstance(decoder, str) else "your decoder"
            self.decoders[bare] = self._decoder(field, decoder, allow_pickle)
        # What is decoded in place, if its bytes may be written to.
        self.in_place = frozenset(field for field, decoder in self.decoders.items() if decoder is _npy)

    @staticmethod
    def _decoder(field: str, decoder: Union[str, Decoder], allow_pickle: bool) -> Decoder:
        if not isinstance(decoder, str):
            if not callable(decoder):
                raise SchemaError(
                    f"the schema's {field}: give a decoder's name or a function of bytes, "
                    f"not {decoder!r}"
                )
            return decoder
        if decoder not in _decoders:
            raise SchemaError(
                f"the schema's {field}: no decoder is called {decoder!r}; there are "
                f"{', '.join(sorted(_decoders))}, or give a function of bytes, or name one by "
                "wdsfs.register_decoder"
            )
        if decoder in _UNSAFE and not allow_pickle:
            raise SchemaError(
                f"the schema's {field}: {decoder!r} runs any code that the dataset holds; "
                "if you trust it, say allow_pickle=True"
            )
        return _decoders[decoder]

    def decode(self, fields: Mapping[str, bytes], where: str) -> Dict[str, Any]:
        """A sample's fields under the schema's names, decoded."""
        if self.strict:
            for field in self.decoders:
                if field not in fields:
                    raise SchemaError(
                        f"{where} has no field {self.prefix + field!r}, which the schema names; it has "
                        f"{', '.join(self.prefix + name for name in fields) or 'none'}. Where only some "
                        "samples have it, say strict_schema=False"
                    )
        return {
            self.prefix + field: self._value(field, value, where) for field, value in fields.items()
        }

    def _value(self, field: str, value: bytes, where: str) -> Any:
        decoder = self.decoders.get(field)
        if decoder is None:
            return value
        try:
            return decoder(value)
        except ImportError:
            raise
        except Exception as error:
            raise DecodeError(
                f"{where}: the field {self.prefix + field!r} ({len(value)} bytes) cannot be decoded by "
                f"{self.names[field]}: {type(error).__name__}: {error}"
            ) from error

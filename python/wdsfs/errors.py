"""What can go wrong; every message says what helps.

Each takes one text, so that it comes out of a worker process as it went in.
"""


class WdsfsError(Exception):
    """All errors of this package."""


class BinaryNotFound(WdsfsError):
    """There is no wdsfs program where one could be."""


class MountFailed(WdsfsError):
    """`wdsfs mount` or another command of it said no; the text is its own."""

    code: int = 1


class SplitError(WdsfsError, ValueError):
    """The dataset has no such split, or several to choose from."""


class SchemaError(WdsfsError, ValueError):
    """A decoder that is not known, or a field that a sample does not have."""


class DecodeError(WdsfsError, ValueError):
    """A field's bytes are not what the schema says."""


class StateError(WdsfsError, ValueError):
    """A state that is none, or that belongs to another run."""

"""A field's bytes become a value as the schema says, or it is said why not."""

import numpy
import pytest
import torch

import wdsfs
from wdsfs.decoders import Schema

EVERY = {
    ".jpg": "jpg", ".png": "PIL", ".json": "json", ".txt": "txt", ".npy": "npy", ".msgpack": "msgpack",
    ".pth": "torch", ".pkl": "pickle", ".mp4": "mp4", ".bin": "bytes",
}


def test_every_name_decodes(formats):
    with wdsfs.Mount(formats.folder) as mount:
        raw = mount.rank().read(0)
        assert raw == formats.fields and list(raw) == list(formats.fields)
    sample = Schema(EVERY, allow_pickle=True).decode(raw, "a sample")
    assert list(sample) == ["." + field for field in formats.fields]
    assert sample[".jpg"].shape == (4, 6, 3) and sample[".jpg"].dtype == numpy.uint8
    assert sample[".png"].size == (6, 4) and sample[".png"].tobytes() == formats.picture.tobytes()
    assert sample[".json"] == {"label": 3} and sample[".txt"] == "Grüße"
    assert (sample[".npy"] == formats.array).all()
    assert sample[".msgpack"] == {"a": [1, 2]} and torch.equal(sample[".pth"]["w"], torch.ones(2))
    assert sample[".pkl"] == {"x": (1, 2)}
    assert sample[".mp4"] == formats.fields["mp4"] and sample[".bin"] == b"\x00\x01" and sample[".empty"] == b""


def test_fields_are_called_as_in_the_schema():
    raw = {"json": b"1", "cls": b"2"}
    assert Schema({"json": "json"}).decode(raw, "") == {"json": 1, "cls": b"2"}
    assert Schema({".JSON": "json"}).decode(raw, "") == {".json": 1, ".cls": b"2"}
    assert Schema().decode(raw, "") == {".json": b"1", ".cls": b"2"}
    with pytest.raises(wdsfs.SchemaError, match="write all of them one way"):
        Schema({".json": "json", "cls": "txt"})


def test_own_decoders_may_be_functions_or_have_a_name():
    assert Schema({"cls": int}).decode({"cls": b"12"}, "") == {"cls": 12}
    wdsfs.register_decoder("number", int)
    assert Schema({"cls": "number"}).decode({"cls": b"13"}, "") == {"cls": 13}


@pytest.mark.parametrize(
    "schema, said",
    [
        ({".jpg": "jpeg2"}, r"the schema's \.jpg: no decoder is called 'jpeg2'; there are PIL, bytes,"),
        ({".jpg": 3}, "give a decoder's name or a function of bytes, not 3"),
        ({".pkl": "pickle"}, "if you trust it, say allow_pickle=True"),
    ],
)
def test_a_wrong_schema_is_refused_before_anything_is_mounted(schema, said):
    with pytest.raises(wdsfs.SchemaError, match=said):
        wdsfs.StreamingWebDataset("/nowhere", schema=schema)


def test_a_field_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(wdsfs.SchemaError, match=r"here has no field '\.jpeg'.* it has \.jpg, \.cls\. Where only some"):
        Schema({".jpeg": "PIL"}).decode({"jpg": b"", "cls": b""}, "here")
    assert Schema({".jpeg": "PIL"}, strict=False).decode({"cls": b""}, "here") == {".cls": b""}


def test_what_cannot_be_decoded_says_where_and_why():
    with pytest.raises(wdsfs.DecodeError, match=r"here: the field 'jpg' \(3 bytes\) cannot be decoded by PIL: Unid"):
        Schema({"jpg": "PIL"}).decode({"jpg": b"abc"}, "here")
    array = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(128) + b"N."
    with pytest.raises(wdsfs.DecodeError, match="allow_pickle=False"):
        Schema({"npy": "npy"}).decode({"npy": array}, "here")

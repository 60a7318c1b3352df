"""A minute of what scripts/soak does for half an hour."""

import pytest

from harness import soak, trees


@pytest.mark.limit(180)
def test_a_minute_of_many_faults(binary, tmp_path):
    report = soak.soak(binary, tmp_path, minutes=1)
    print(report)
    assert report["complaints"] == []
    assert report["wrong"] == 0 and report["failed"] == 0
    assert report["fields"] > 1000 and report["faults"] > 20
    for unit in trees.compared:
        trees.compared[unit] += report[unit]

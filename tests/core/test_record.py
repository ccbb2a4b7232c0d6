"""Records: values with named fields."""

import pytest

from graphc.core.record import Record


class Point(Record):
    """Of the plane."""

    x: int
    y: int = 0


class Place(Record):
    """The same fields under another name."""

    x: int
    y: int = 0


def test_fields_come_by_place_by_name_or_by_default():
    assert Point(1, 2) == Point(y=2, x=1)
    assert Point(1).y == 0
    assert repr(Point(1)) == "Point(x=1, y=0)"


def test_equal_records_have_one_hash_and_other_classes_are_others():
    assert len({Point(1, 2), Point(1, y=2), Point(1, 3), Place(1, 2)}) == 3


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"z": 1})])
def test_what_does_not_fit_is_refused(values, named):
    with pytest.raises(TypeError, match="Point"):
        Point(*values, **named)

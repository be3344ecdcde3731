"""Shapes: what is let in, and that a mend never repeats what was entered."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1.vocabulary_pb2 import Purpose
from operators import shapes
from tests.operators.naive import DISTRICTS, in_district
from tests.operators.strategies import REGIONS

GOOD = {
    shapes.operator_id: ["abc", "a-1", "a" * 40],
    shapes.client_id: ["abc", "a" * 64],
    shapes.licence_number: ["L", "2025-GD-001", "x" * 64],
    shapes.item_code: ["a", "penalty.tax-1", "a" * 64],
    shapes.scope_name: ["credit.records:read", "usage:read"],
    shapes.region_code: ["*", "11", "1101", "110101"],
    shapes.certificate_thumbprint: ["A" * 43, "_-" * 21 + "8"],
    shapes.credit_code: ["91110000600037341L"],
    shapes.display_name: ["Alpha", "某某征信有限公司", "x" * 200],
}
BAD = {
    shapes.operator_id: ["", "ab", "Abc", "1abc", "-abc", "a" * 41, "abc\n", "a_bc", "ａbc"],
    shapes.client_id: ["", "ab", "a" * 65, "a b c", "administrator:abc"],
    shapes.licence_number: ["", "x" * 65, "L 1", "L/1", "L\n", "许可"],
    shapes.item_code: ["", "1a", "A", "a_b", "a" * 65, "a\n"],
    shapes.scope_name: ["", "read", "usage.of:", ":write", "usage of:write", "a:b:c"],
    shapes.region_code: ["", "1", "110", "11010", "1101011", "**", "1*", "１１"],
    shapes.certificate_thumbprint: ["", "A" * 42, "A" * 44, "A" * 42 + "B", "A" * 42 + "="],
    shapes.credit_code: ["", "91110000600037341", "91110000600037342L", "9111000060003734IL"],
    shapes.display_name: ["", "  ", "x" * 201, "a\nb", "a\x00", "\u3000"],
}
Check = Callable[[str], str]


@pytest.mark.parametrize(("check", "text"), [(c, t) for c, texts in GOOD.items() for t in texts])
def test_a_good_text_is_returned_as_it_is(check: Check, text: str) -> None:
    assert check(text) == text


@pytest.mark.parametrize(("check", "text"), [(c, t) for c, texts in BAD.items() for t in texts])
def test_a_bad_text_is_refused_with_a_mend_that_does_not_repeat_it(check: Check, text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+") as refused:
        check(text)
    assert len(text) < 5 or text not in str(refused.value)


@given(st.text(max_size=70))
def test_ids_hold_nothing_but_what_their_mend_says(text: str) -> None:
    try:
        shapes.operator_id(text)
    except ValueError:
        return
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert text[0].isalpha()
    assert 3 <= len(text) <= 40


def test_an_enum_is_stated_or_known() -> None:
    stated, known = shapes.stated(Purpose), shapes.known(Purpose)
    assert stated(Purpose.PURPOSE_BIDDING) == known(Purpose.PURPOSE_BIDDING)
    assert known(0) == 0
    for check, number in ((stated, 0), (stated, 999), (known, 999), (known, -1)):
        with pytest.raises(ValueError, match="PURPOSE_BIDDING"):
            check(number)


def test_an_instant_fits_a_timestamp() -> None:
    assert [shapes.instant(at) for at in (0, shapes.END_OF_TIME)] == [0, 253_402_300_799]
    for at in (-1, shapes.END_OF_TIME + 1):
        with pytest.raises(ValueError, match="9999-12-31"):
            shapes.instant(at)


@given(REGIONS, st.sampled_from(DISTRICTS))
def test_a_region_covers_the_districts_below_it(codes: frozenset[str], district: str) -> None:
    assert shapes.covers(codes, district) == in_district(codes, district)


def test_no_region_covers_one_above_it() -> None:
    assert not shapes.covers({"1101"}, "11")
    assert not shapes.covers(set[str](), "110101")
    assert not shapes.covers({"11"}, "*")


@given(REGIONS, REGIONS, st.sampled_from(DISTRICTS))
def test_common_regions_cover_what_both_cover(
    first: frozenset[str], second: frozenset[str], district: str
) -> None:
    common = shapes.common_regions(first, second)
    assert shapes.covers(common, district) == (
        in_district(first, district) and in_district(second, district)
    )
    assert common <= first | second

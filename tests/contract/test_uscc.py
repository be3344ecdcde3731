"""Unified social credit codes to GB 32100-2015."""

import csv
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.uscc import ALPHABET, check_character, fault, is_valid
from creditgate.uscc_bulk import all_valid

LETTERS = st.sampled_from(ALPHABET)
STEMS = st.builds(
    "".join,
    st.tuples(
        st.text(LETTERS, min_size=2, max_size=2),
        st.text("0123456789", min_size=6, max_size=6),
        st.text(LETTERS, min_size=9, max_size=9),
    ),
)
CODES = STEMS.map(lambda stem: stem + check_character(stem))

# Sample codes that other implementations of the standard publish and test with:
# python-stdnum (stdnum.cn.uscc) and hutool (CreditCodeUtil).
PUBLISHED = ("91110000600037341L", "91350100M000100Y43")


@pytest.mark.parametrize("code", PUBLISHED)
def test_published_sample_code_is_valid(code: str) -> None:
    assert fault(code) is None
    assert check_character(code[:17]) == code[17]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "USCC_LENGTH"),
        ("91110000600037341", "USCC_LENGTH"),
        ("91110000600037341L0", "USCC_LENGTH"),
        ("91110000600037342L", "USCC_CHECK_CHARACTER"),
        ("91110000600037341l", "USCC_ALPHABET"),
        ("9111000060003734IL", "USCC_ALPHABET"),
        ("911100A0600037341L", "USCC_ALPHABET"),
        ("９1110000600037341L", "USCC_ALPHABET"),
        ("91110000600037341\n", "USCC_ALPHABET"),
    ],
)
def test_faulty_code_is_refused_with_its_reason(code: str, reason: str) -> None:
    assert fault(code) == reason
    assert not is_valid(code)


@given(STEMS)
def test_a_stem_with_its_check_character_is_valid(stem: str) -> None:
    assert is_valid(stem + check_character(stem))


@given(CODES, st.integers(0, 17), LETTERS)
def test_any_single_substitution_is_caught(code: str, position: int, letter: str) -> None:
    changed = code[:position] + letter + code[position + 1 :]
    assert is_valid(changed) is (changed == code)


@given(CODES, st.integers(0, 16))
def test_swapping_two_neighbours_is_caught(code: str, position: int) -> None:
    first, second = code[position], code[position + 1]
    changed = code[:position] + second + first + code[position + 2 :]
    assert is_valid(changed) is (first == second)


@given(st.text(max_size=20))
def test_any_text_gets_an_answer(text: str) -> None:
    assert is_valid(text) is (fault(text) is None)


def test_real_codes_pass_but_for_the_known_dirt(data_folder: Path) -> None:
    codes: list[str] = []
    for path in sorted((data_folder / "enterprises").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            codes += [row["uscc"] for row in islice(csv.DictReader(file), 500)]
    valid = sum(map(is_valid, codes))
    assert len(codes) >= 1000
    assert 0.98 < valid / len(codes) < 1.0


def mistyped(code: str, at: int, put: str) -> str:
    """Return ``code`` with another character, or none or two, at a place."""
    return code[:at] + put + code[at + 1 :]


MISTYPED = st.builds(
    mistyped,
    CODES,
    st.integers(0, 17),
    st.sampled_from([*ALPHABET, "I", "o", "", "00", "一", "\x00"]),
)


@given(st.lists(CODES | MISTYPED, max_size=20))
def test_codes_checked_at_once_are_judged_as_one_by_one(codes: list[str]) -> None:
    assert all_valid(codes) == all(is_valid(code) for code in codes)

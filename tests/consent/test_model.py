"""Terms of a consent are checked before anybody can agree to them."""

from hashlib import sha256
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from pydantic import ValidationError

from consent.model import (
    MOST_DATA_LIFE_SECONDS,
    MOST_VALIDITY_SECONDS,
    ONCE,
    TIMES_PER_DAY,
    Consent,
    ConsentItem,
    ConsentNotice,
    ConsentTerms,
)
from tests.clock import NOW
from tests.consent.world import EVALUATION, any_consent, consent, terms


@given(any_consent())
def test_a_consent_is_read_as_it_was_written(written: Consent) -> None:
    read = Consent.model_validate_json(written.model_dump_json())
    assert read == written
    assert read.model_dump_json() == written.model_dump_json()


def test_the_document_does_not_depend_on_the_order_of_sets() -> None:
    one = terms(regions=frozenset(["11", "3101", "44"]), purposes=frozenset([3, 1]))
    other = terms(regions=frozenset(["44", "3101", "11"]), purposes=frozenset([1, 3]))
    assert one.model_dump_json() == other.model_dump_json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"items": ()},
        {"items": (ConsentItem(item=EVALUATION), ConsentItem(item=EVALUATION))},
        {"items": tuple(ConsentItem(item=f"item.no-{number}") for number in range(65))},
        {"purposes": frozenset[int]()},
        {"purposes": frozenset({0})},
        {"purposes": frozenset({999})},
        {"regions": frozenset[str]()},
        {"regions": frozenset({"1"})},
        {"regions": frozenset({"北京"})},
        {"regions": frozenset({"١١"})},
        {"access_mode": 0},
        {"access_mode": TIMES_PER_DAY},
        {"access_mode": TIMES_PER_DAY, "times_per_day": 1_001},
        {"access_mode": ONCE, "times_per_day": 1},
        {"times_per_day": -1},
        {"answer_form": 0},
        {"data_life_seconds": 0},
        {"data_life_seconds": MOST_DATA_LIFE_SECONDS + 1},
        {"data_life_end": 0},
        {"valid_until": NOW},
        {"valid_from": -1},
        {"valid_until": NOW + MOST_VALIDITY_SECONDS + 1},
        {"scope": "everything"},
    ],
)
def test_terms_that_nobody_could_keep_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        terms(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"consent_id": "x" * 41},
        {"subject": "91000000DEM000011B"},
        {"state": 0},
        {"state": 99},
        {"request_id": ""},
        {"request_id": "r 1"},
        {"request_id": "x" * 65},
        {"language": "zh_CN"},
        {"language": "zh-CN\n"},
        {"message": "x" * 501},
        {"message": "two\nlines"},
        {"message": "turned \u202eround"},
        {"message": "\0"},
        {"way": "post"},
    ],
)
def test_what_does_not_fit_a_consent_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        consent(**wrong)


@pytest.mark.parametrize("digest", ["", "0" * 63, "A" * 64, "g" * 64, "0" * 64 + "\n"])
def test_a_notice_names_the_text_that_was_shown(digest: str) -> None:
    with pytest.raises(ValidationError):
        ConsentNotice(policy_version="1", text_digest=digest, language="zh-CN")


def test_a_notice_keeps_the_very_text_its_digest_is_of() -> None:
    digest = sha256("读过的".encode()).hexdigest()
    kept = ConsentNotice(policy_version="1", text_digest=digest, language="zh-CN", text="读过的")
    assert kept.text == "读过的"
    with pytest.raises(ValidationError, match="digest"):
        ConsentNotice(policy_version="1", text_digest=digest, language="zh-CN", text="别的")


def test_terms_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        ConsentTerms.__setattr__(terms(), "valid_until", NOW)


@pytest.mark.parametrize("blank", ["\u3164", "\u2800", "\u115f\u1160", "\uffa0", " ", "——", "。"])
def test_a_message_that_shows_no_word_is_none(blank: str) -> None:
    with pytest.raises(ValidationError, match="letter, digit or ideograph"):
        consent(message=blank)
    for written in (f"{blank}贷", f"{blank}7", f"a{blank}", ""):
        assert consent(message=written).message == written


@pytest.mark.parametrize(
    "piled",
    [
        "审" + "\u0300\u0489\u20dd\u0363" * 110,
        "a" + "\u0300" * 5,
        "o" + "\u0305" * 3 + "\u0332" * 3,
        "贷款" + "\u0903" * 5 + "x",
    ],
)
def test_a_message_does_not_pile_marks_on_a_letter(piled: str) -> None:
    """They would be drawn over what the gateway itself says on the page."""
    with pytest.raises(ValidationError, match="marks"):
        consent(message=piled)


@pytest.mark.parametrize(
    "written",
    ["བསྒྲུབས", "ཧཱུྃ", "tiê\u0301ng Viê\u0323t", "กี่นี้", "ज़ीं", "قَدَّمَ", "ᠮᠣᠩᠭᠣᠯ", "کرێدىت"],
    ids=ascii,
)
def test_a_message_is_told_in_every_script(written: str) -> None:
    for spelt in (written, normalize("NFD", written)):
        assert consent(message=spelt).message == spelt


def test_what_is_wrong_with_a_consent_is_told_without_what_it_holds() -> None:
    with pytest.raises(ValidationError) as caught:
        consent(message="secret words\n")
    assert "secret" not in str(caught.value)

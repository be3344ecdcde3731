"""Everything a person may be asked to approve is said in words, in both languages."""

import pytest

from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.interaction.words import SCOPES
from gateway.pages.moments import moment
from gateway.pages.terms import PURPOSES
from operators.roles import scopes_of_role

ROLES = (ClientRole.CLIENT_ROLE_ADMINISTRATOR, ClientRole.CLIENT_ROLE_OPERATOR)


@pytest.mark.parametrize("role", ROLES)
def test_every_scope_a_person_may_approve_has_its_words(role: ClientRole.ValueType) -> None:
    assert scopes_of_role(role) - SCOPES.keys() == frozenset()


def test_no_words_are_left_of_scopes_that_are_gone() -> None:
    whole = frozenset[str]().union(*map(scopes_of_role, ROLES))
    assert SCOPES.keys() - whole == set()


def test_every_purpose_has_its_words() -> None:
    named = {name.removeprefix("PURPOSE_") for name, number in Purpose.items() if number}
    assert set(PURPOSES) == named


def test_words_differ_by_language_and_repeat_nothing() -> None:
    for words in (SCOPES, PURPOSES):
        for number in (0, 1):
            said = [each[number] for each in words.values()]
            assert len(set(said)) == len(said)
        assert all(zh.isascii() is False and en.isascii() for zh, en in words.values())


def test_times_are_chinas_in_chinese_and_utc_in_english() -> None:
    assert moment(1_775_000_000, "zh") == "2026-04-01 07:33（北京时间）"
    assert moment(1_775_000_000, "en") == "2026-03-31 23:33 UTC"

"""Refusal reasons: one closed set, one status each."""

import re

import pytest

from creditgate.refusal import STATUS, Refused, StatusCode, Violation, invalid, reason_name
from creditgate.v1.refusal_pb2 import RefusalReason
from docs.documented import documented_files

REASONS = tuple(value for value in RefusalReason.values() if value)


def test_every_reason_has_a_status_and_every_status_a_reason() -> None:
    assert set(STATUS) == set(REASONS)


def test_the_comment_of_a_reason_names_the_status_it_travels_with() -> None:
    enums = [enum for file in documented_files() for enum in file.enums]
    reasons = next(enum for enum in enums if enum.name == "RefusalReason")
    told = {
        value.number: {code for code in StatusCode if re.search(rf"\b{code.name}\b", value.comment)}
        for value in reasons.values
        if value.number
    }
    assert told == {reason: {status} for reason, status in STATUS.items()}


@pytest.mark.parametrize("reason", REASONS, ids=reason_name)
def test_reason_names_carry_no_prefix(reason: RefusalReason.ValueType) -> None:
    assert f"REFUSAL_REASON_{reason_name(reason)}" == RefusalReason.Name(reason)


def test_a_malformed_request_names_each_field_and_its_mend() -> None:
    refused = invalid(Violation("purpose", "name one"), Violation("subject", "send 18 characters"))
    assert isinstance(refused, Refused)
    assert refused.status is StatusCode.INVALID_ARGUMENT
    assert refused.violations[1].field == "subject"
    assert "purpose: name one; subject: send 18 characters" in refused.message

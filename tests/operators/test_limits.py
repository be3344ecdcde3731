"""Limits: whom those in force reach follows from the log alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from operators.authority import Authority
from operators.limits import Limit
from tests.limiting import limit, written

_MADE = st.lists(st.tuples(st.sampled_from(["", "alpha", "beta"]), st.booleans()), max_size=12)


@given(_MADE, st.integers(1, 5))
def test_who_is_reached_is_whom_a_limit_in_force_names(
    made: list[tuple[str, bool]], at_once: int
) -> None:
    named = {f"l-{number:02d}": place for number, place in enumerate(made)}
    changes = [
        written(number, limit(id_, operator_id=operator))
        for number, (id_, (operator, _)) in enumerate(named.items(), 1)
    ]
    changes += [
        written(len(named) + number, limit(id_, operator_id=operator, retired_at=2), 2)
        for number, (id_, (operator, retired)) in enumerate(named.items(), 1)
        if retired
    ]
    authority = Authority.empty()
    for start in range(0, len(changes), at_once):
        authority = authority.advanced(changes[start : start + at_once])
    limits = authority.limits
    for operator_id in ("alpha", "beta", "gamma"):
        assert [each.limit_id for each in limits.reaching(operator_id)] == [
            id_
            for id_, (operator, retired) in named.items()
            if operator in ("", operator_id) and not retired
        ]
    assert limits.most_reaching() == max(
        len(limits.reaching(operator_id)) for operator_id in ("alpha", "beta", "gamma")
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"client_id": "alpha-client"},
        {"item": "penalty"},
        {"purpose": 1},
        {"per": LimitPer.LIMIT_PER_ITEM},
        {"per": LimitPer.LIMIT_PER_ITEM, "item": "NO"},
        {"per": LimitPer.LIMIT_PER_PURPOSE, "purpose": 99},
        {"per": LimitPer.LIMIT_PER_CLIENT, "client_id": "N"},
        {"per": LimitPer.LIMIT_PER_SUBJECT, "unit": LimitUnit.LIMIT_UNIT_RECORDS},
        {"per": 0},
        {"unit": 0},
        {"count": 0},
        {"burst": 0},
        {"period_seconds": 0},
        {"period_seconds": 86_401},
        {"count": 10_001, "period_seconds": 1},
        {"operator_id": "N"},
    ],
    ids=str,
)
def test_a_limit_that_means_nothing_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        limit(**fields)


def test_a_limit_is_kept_as_it_was_entered() -> None:
    made = limit(per=LimitPer.LIMIT_PER_ITEM, item="penalty", operator_id="alpha")
    assert Limit.from_document(made.as_document(), version=0, changed_at=0) == made

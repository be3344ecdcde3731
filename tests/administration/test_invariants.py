"""Whatever is asked in whatever order: authority stays sound and its history complete."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.administration.machine import AdministrationMachine
from tests.administration.scope_machine import ScopeMachine
from tests.examples import rarely_on_postgresql
from tests.stores import PostgresStores, SqliteStores

MANY = pytest.mark.parametrize(
    "times", [pytest.param(1, id="few"), pytest.param(20, id="many", marks=pytest.mark.soak)]
)


@MANY
@rarely_on_postgresql
def test_any_sequence_of_calls_keeps_authority_sound(
    stores: SqliteStores | PostgresStores, times: int
) -> None:
    machine = type("Machine", (AdministrationMachine,), {"stores": stores})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=times * 4,
            stateful_step_count=40,
            deadline=None,
            # Each example works on a store of its own: shrinking would take minutes.
            phases=(Phase.reuse, Phase.generate),
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


@MANY
@rarely_on_postgresql
def test_scopes_are_never_wider_than_allowed_nor_widened_by_one_person_where_guarded(
    stores: SqliteStores | PostgresStores, times: int
) -> None:
    machine = type("Machine", (ScopeMachine,), {"stores": stores})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=times * 4,
            stateful_step_count=40,
            deadline=None,
            phases=(Phase.reuse, Phase.generate),
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )

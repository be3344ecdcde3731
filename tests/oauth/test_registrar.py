"""The registrar judges on the newest state of authority, or writes nothing."""

import pytest
from starlette.responses import Response

from creditgate.refusal import Refused, reason_name
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.oauth import registrar
from gateway.oauth.registrar import Registrar, Ruling, draft
from operators.authority import Authority
from operators.model import CLIENT
from tests.oauth.world import CLIENT as CLIENT_ID
from tests.oauth.world import OPERATOR, World, on_both_stores

SUSPENDED = OperatorState.OPERATOR_STATE_SUSPENDED


@on_both_stores
def test_a_change_that_comes_between_is_judged_again(world: World) -> None:
    seen: list[int] = []

    def judge(authority: Authority, now: int) -> Ruling:
        seen.append(authority.operators[OPERATOR].state)
        if len(seen) == 1:
            world.change("operator", OPERATOR, state=SUSPENDED)
        client = authority.clients[CLIENT_ID]
        removed = client.model_copy(update={"removed_at": now})
        return Ruling([draft(CLIENT, CLIENT_ID, removed)], Response(str(len(seen))))

    registering = Registrar(world.context("https://gateway.test"))
    answer = registering.write(judge, changed_by="x", reason="test")
    assert answer.body == b"2"
    assert seen == [OperatorState.OPERATOR_STATE_ACTIVE, SUSPENDED]
    assert world.snapshot().authority.clients[CLIENT_ID].version == 2


@on_both_stores
def test_where_others_keep_coming_first_nothing_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar, "_WAIT_SECONDS", 0)
    monkeypatch.setattr(registrar, "_ATTEMPTS", 3)

    def judge(authority: Authority, now: int) -> Ruling:
        world.change("operator", OPERATOR, display_name=f"Invented {authority.sequence}")
        client = authority.clients[CLIENT_ID]
        removed = client.model_copy(update={"removed_at": now})
        return Ruling([draft(CLIENT, CLIENT_ID, removed)], Response())

    with pytest.raises(Refused) as refused:
        Registrar(world.context("https://gateway.test")).write(judge, changed_by="x", reason="test")
    assert reason_name(refused.value.reason) == "TEMPORARILY_UNAVAILABLE"
    assert world.snapshot().authority.clients[CLIENT_ID].version == 1

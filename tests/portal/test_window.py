"""The window calls what is for reading one's own, for who represents the operator, and notes
what it refuses."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from google.protobuf.message import Message

from creditgate.refusal import Refused
from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.pages.methods import PageMethods
from gateway.portal.window import OWN_PORTAL, Window
from gateway.server.methods import contract_methods
from gateway.signin.identity import Identity
from gateway.storage.engines import open_engines
from operators.shapes import client_id
from operators.tables import METADATA
from tests.settle.world import World

SCOPE_NOT_GRANTED = RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED


@dataclass
class Notes:
    """Keeps refusals in a list."""

    kept: list[tuple[Caller, str]] = field(default_factory=list[tuple[Caller, str]])

    async def note(
        self, caller: Caller, method: str, request: Message | None, refused: Refused
    ) -> str:
        """Keep one."""
        self.kept.append((caller, method))
        return "d"


@dataclass
class Opened:
    """A window over real services, and what was refused there."""

    window: Window
    notes: Notes
    representative: Identity

    async def refused(self, who: Identity, operator_id: str, request: Message) -> object:
        """Return why somebody is refused."""
        with pytest.raises(Refused) as refused:
            await self.window.ask(who, operator_id, request, Message)
        return refused.value.reason


def signed_in(uscc: str) -> Identity:
    """Return somebody who acts for a company."""
    return Identity("https://idp.example", "one", "One", uscc, 1, "basic", "representative:1")


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """A window; the operators alpha and beta are registered."""
    engines = open_engines("sqlite", tmp_path)
    METADATA.create_all(engines.authority)
    world = World(engines)
    await world.start()
    notes = Notes()
    methods = contract_methods(
        {"UsageService": [world.usage_service], "SettlementService": [world.settlement_service]}
    )
    unary = {each.request.DESCRIPTOR.full_name: each for each in methods.values()}
    view = AuthorityView().advanced(world.log.since(0))
    yield Opened(
        Window(PageMethods(unary, notes), lambda: view, world.clock),
        notes,
        signed_in(view.authority.operators["alpha"].uscc),
    )
    engines.dispose()


async def test_a_representative_reads_what_is_their_operators(opened: Opened) -> None:
    found = await opened.window.ask(
        opened.representative, "alpha", pb.ListUsageRequest(), pb.ListUsageResponse
    )
    assert not found.entries
    assert not opened.notes.kept


@pytest.mark.parametrize("operator_id", ["beta", "nobody", ""])
async def test_another_operators_things_are_refused_and_that_is_noted(
    opened: Opened, operator_id: str
) -> None:
    who = opened.representative
    assert await opened.refused(who, operator_id, pb.ListUsageRequest()) == SCOPE_NOT_GRANTED
    ((caller, method),) = opened.notes.kept
    assert (caller.client_id, caller.principal) == (OWN_PORTAL, "representative:1")
    assert method == "UsageService/ListUsage"


async def test_an_answer_in_parts_is_judged_before_its_first(opened: Opened) -> None:
    parts = opened.window.each(opened.representative, "beta", pb.ListUsageRequest(), Message)
    with pytest.raises(Refused):
        await anext(parts)
    assert [method for _, method in opened.notes.kept] == ["UsageService/ListUsage"]


async def test_naming_another_operator_in_the_request_is_refused(opened: Opened) -> None:
    request = pb.ListUsageRequest(operator_id="beta")
    assert await opened.refused(opened.representative, "alpha", request) == SCOPE_NOT_GRANTED


async def test_whoever_acts_for_no_company_represents_nobody(opened: Opened) -> None:
    assert await opened.refused(signed_in(""), "alpha", pb.ListUsageRequest()) == SCOPE_NOT_GRANTED


async def test_what_is_not_for_reading_ones_own_is_refused(opened: Opened) -> None:
    request = settlement_pb.CreatePricePlanRequest()
    assert await opened.refused(opened.representative, "alpha", request) == SCOPE_NOT_GRANTED
    assert opened.notes.kept


def test_no_client_can_be_called_what_the_portal_is_called() -> None:
    with pytest.raises(ValueError, match="use"):
        client_id(OWN_PORTAL)

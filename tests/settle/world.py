"""The services over a real authority log, a feed that folds it, and a clock that stands still."""

import asyncio
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.rating.prices import PriceBook
from creditgate.uscc import check_character
from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.usage_service_pb2 import Statement
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.authenticate.caller import Caller
from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueItem
from gateway.settle.classes import ClassBook
from gateway.settle.service import SettlementService, UsageService
from gateway.settle.shares import SharingBook
from gateway.settlement.ledger_month import NOWHERE
from gateway.settlement.rated_past import SqlRatedPast
from gateway.settlement.store import SqlClosings
from gateway.storage.engines import Engines
from operators.authority import Authority
from operators.log import AuthorityLog, Draft
from operators.model import OPERATOR, Operator
from operators.sql import SqlAuthorityLog
from tests.clock import NOW, StandingClock
from tests.installation import item
from tests.settle.ledger import ListedUsage

OPERATORS = ("alpha", "beta")
MARCH = 1_772_323_200
"""2026-03-01T00:00:00Z."""
APRIL = 1_775_001_600
"""2026-04-01T00:00:00Z."""


MOST_BYTES = 4_096
"""Of a page of usage."""


@dataclass(frozen=True)
class View:
    """One state of authority, as far as settlement looks."""

    sequence: int = 0
    authority: Authority = field(default_factory=Authority.empty)
    prices: PriceBook = field(default_factory=PriceBook.empty)
    sharing: SharingBook = field(default_factory=SharingBook.empty)
    classes: ClassBook = field(default_factory=ClassBook.empty)


class FoldingFeed:
    """`gateway.settle.views.SettlementFeed` that reads the log when told to."""

    def __init__(self, log: AuthorityLog) -> None:
        self._log = log
        self._view = View()

    def current(self) -> View:
        """Return the state last read."""
        return self._view

    async def refresh(self) -> View:
        """Read the log's news."""
        changes = await asyncio.to_thread(self._log.since, self._view.sequence)
        if changes:
            self._view = View(
                changes[-1].sequence,
                self._view.authority.advanced(changes),
                self._view.prices.advanced(changes),
                self._view.sharing.advanced(changes),
                self._view.classes.advanced(changes),
            )
        return self._view


@dataclass
class World:
    """Both services and what they stand on; operators "alpha" and "beta" are registered."""

    engines: Engines
    usage: ListedUsage = field(default_factory=ListedUsage)
    clock: StandingClock = field(default_factory=StandingClock)

    def __post_init__(self) -> None:
        self.log = SqlAuthorityLog(self.engines.authority)
        self.feed = FoldingFeed(self.log)
        self.usage_service = UsageService(self.usage, self.feed, self.clock, MOST_BYTES)
        past = SqlRatedPast(self.engines, self.clock)
        self.settlement_service = SettlementService(self.log, past, self.feed)

    async def start(self) -> None:
        """Register the operators, and a catalogue item of each price class."""
        items = (("register", "basic"), ("licence", "extra"))
        self.log.append(
            [
                *(Draft(OPERATOR, name, 0, operator(name).as_document()) for name in OPERATORS),
                *(
                    Draft(CATALOGUE_ITEM, code, 0, priced(code, class_).as_document())
                    for code, class_ in items
                ),
            ],
            changed_by="admin",
            changed_at=0,
            reason="test",
        )
        await self.feed.refresh()


def make_bank(world: "World") -> None:
    """Give the operator "beta" the class "bank"."""
    bank = operator("beta").model_copy(update={"operator_class": "bank"})
    world.log.append(
        [Draft(OPERATOR, "beta", 1, bank.as_document())],
        changed_by="admin",
        changed_at=0,
        reason="test",
    )


def close_month(engines: Engines, month: str) -> None:
    """Close a month without use."""
    statement = Statement(operator_id="alpha", month=month)
    SqlClosings(engines.evidence).close(statement, NOWHERE, NOW, lambda: True, frozenset())


def priced(code: str, price_class: str) -> CatalogueItem:
    """Return a public catalogue item of a price class."""
    made = item(code, Openness.OPENNESS_PUBLIC)
    return made.model_copy(update={"price_class": price_class})


def operator(name: str) -> Operator:
    """Return an invented operator of this name."""
    stem = "91000000" + name.upper().replace("O", "0").ljust(9, "X")
    return Operator(
        operator_id=name,
        display_name=f"Invented firm {name}",
        uscc=stem + check_character(stem),
        state=OperatorState.OPERATOR_STATE_ACTIVE,
    )


def caller(role: str, operator_id: str = "") -> Caller:
    """Return a caller of ``role`` ("OPERATOR", ...)."""
    return Caller(
        client_id=f"{operator_id or role.lower()}-client",
        role=ClientRole.Value(f"CLIENT_ROLE_{role}"),
        operator_id=operator_id,
        token_scopes=frozenset(),
        token_expires_at=NOW + 300,
    )


ALPHA = caller("OPERATOR", "alpha")
ADMINISTRATOR = caller("ADMINISTRATOR")


def plan_request(
    plan_id: str, effective_from: int, **prices: int
) -> settlement_pb.CreatePricePlanRequest:
    """Return a good request for a price plan."""
    return settlement_pb.CreatePricePlanRequest(
        plan=settlement_pb.PricePlan(
            plan_id=plan_id,
            effective_from=Timestamp(seconds=effective_from),
            prices=[
                settlement_pb.ClassPrice(price_class=name, unit_price_micro_yuan=price)
                for name, price in prices.items()
            ],
        ),
        reason="yearly review",
    )


def rule_request(
    rule_id: str, effective_from: int, *parts: int
) -> settlement_pb.CreateSharingRuleRequest:
    """Return a request for a sharing rule; a good one when ``parts`` sum to 10,000."""
    source, region, platform = parts or (6_000, 3_000, 1_000)
    return settlement_pb.CreateSharingRuleRequest(
        rule=settlement_pb.SharingRule(
            rule_id=rule_id,
            effective_from=Timestamp(seconds=effective_from),
            source_basis_points=source,
            region_basis_points=region,
            platform_basis_points=platform,
        ),
        reason="agreed with the sources",
    )

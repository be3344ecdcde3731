"""A quarter of an operator with everything a statement can have."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from creditgate.rating.components import (
    CAP,
    FLAT,
    FREE_TIER,
    GRADUATED,
    PER_RECORD,
    PriceComponent,
    Tier,
)
from creditgate.rating.prices import PricePlan
from creditgate.transparency.note import VerifierKey
from creditgate.v1.settlement_service_pb2 import SourceDivision
from creditgate.v1.usage_service_pb2 import CreditedUse, CreditNote, RevenueShare, Statement
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.documents.extract import Extract, Wanted
from gateway.documents.signed import StatementSigner
from gateway.settle.shares import SharingRule
from gateway.settlement.statement import complete
from gateway.transparency.keys import LogKey
from operators.log import Draft
from tests.settle.month import Served
from tests.settle.world import APRIL, MARCH, priced
from tests.settlement.world import FEBRUARY, JANUARY, Ledger, Months
from tests.stores import PostgresStores, SqliteStores, engines_of

ISSUER = "https://gateway.invalid"
FEE = 10_001
NOW = APRIL + 40 * 86_400
_PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey("gateway.invalid/log/usage", _PRIVATE.public_key().public_bytes_raw())
PEM = _PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SIGNER = StatementSigner(LogKey(KEY.name, _PRIVATE))
POOLED = SharingRule(
    rule_id="pooled",
    effective_from=FEBRUARY,
    source_basis_points=6_000,
    region_basis_points=2_500,
    platform_basis_points=1_000,
    operator_basis_points=500,
    source_division=SourceDivision.SOURCE_DIVISION_BY_CONTRIBUTION,
)
TIERS = PricePlan(
    plan_id="tiers",
    effective_from=FEBRUARY,
    prices={"": FEE},
    components=(
        PriceComponent(component_id="gongyi", kind=FREE_TIER, records=1),
        PriceComponent(component_id="yue", kind=FLAT, amount=5_000_003),
    ),
)

MIXED = PricePlan(
    plan_id="mixed",
    effective_from=FEBRUARY,
    prices={"basic": FEE, "extra": FEE},
    components=(
        PriceComponent(
            component_id="jieti",
            kind=GRADUATED,
            items=frozenset({"penalty"}),
            purposes=frozenset({1}),
            tiers=(Tier(from_records=0, unit_price=FEE),),
        ),
        PriceComponent(
            component_id="chufa",
            kind=PER_RECORD,
            items=frozenset({"penalty"}),
            unit_price=FEE,
        ),
        PriceComponent(component_id="yue", kind=FLAT, items=frozenset({"penalty"}), amount=1_000),
        PriceComponent(component_id="zuigao", kind=CAP, amount=10**12),
    ),
)
"""Tiers for penalties, for other purposes than 1 a price, and one for each class of all else."""


def served(at: int, answer: int, subject: str = "x", source: str = "mem") -> Served:
    """Return one record served at the price in force."""
    item = "penalty" if source == "mem" else "tax"
    return Served(at, answer, subject, item, source, "11", 1, FEE)


def quarter(months: Months, ledger: Ledger) -> None:
    """Use three months, and close them; January's use comes late in part."""
    ledger.serve([served(JANUARY + 5, 1), served(JANUARY + 6, 2, "y", "税务")])
    months.close("2026-01", "r1")
    ledger.serve([served(JANUARY + 7, 3, "z", "税务"), served(FEBRUARY + 1, 4, "x")])
    ledger.serve([served(JANUARY + 8, 7, "w", "税务")])
    ledger.serve([served(FEBRUARY + 2, 5, "y"), served(FEBRUARY + 2, 5, "y", "税务")])
    ledger.reverse(0, 1)
    months.close("2026-02", "r2")
    ledger.serve([served(MARCH + 1, 6)])
    months.close("2026-03", "r3", NOW)


@asynccontextmanager
async def closed_quarter(
    stores: SqliteStores | PostgresStores,
) -> AsyncGenerator[tuple[Months, Ledger]]:
    """Give the quarter of operator "alpha", closed, and its ledger, on a store of its own."""
    with stores.database() as store, engines_of(*store) as engines:
        months, ledger = Months(engines), Ledger(engines)
        await months.start()
        months.put(FEBRUARY, POOLED, TIERS)
        await months.feed.refresh()
        quarter(months, ledger)
        yield months, ledger


@asynccontextmanager
async def partly_credited_february(
    stores: SqliteStores | PostgresStores,
) -> AsyncGenerator[Months]:
    """Give a closed February of operator "alpha" with kinds of use of which nothing is left.

    Answers 1, 2 and 3 were credited: 4 alone is of a kind of one of them. 7 came after the closing,
    alone of its kind. Taxes change their class when 3 is served.
    """
    with stores.database() as store, engines_of(*store) as engines:
        months, ledger = Months(engines), Ledger(engines)
        await months.start()
        for version, (at, price_class) in enumerate(((JANUARY, "basic"), (FEBRUARY + 9, "extra"))):
            tax = priced("tax", price_class).as_document()
            draft = Draft(CATALOGUE_ITEM, "tax", version, tax)
            months.log.append([draft], changed_by="admin", changed_at=at, reason="test")
        months.put(FEBRUARY, MIXED)
        await months.feed.refresh()
        ledger.serve(
            [
                served(FEBRUARY + 1, 1),
                served(FEBRUARY + 2, 2)._replace(region="12"),
                served(FEBRUARY + 9, 3, source="税务"),
                served(FEBRUARY + 3, 4, "y"),
                served(FEBRUARY + 4, 5, "y", "税务"),
                served(FEBRUARY + 5, 6)._replace(purpose=2),
            ]
        )
        for place in range(3):
            ledger.reverse(place, 1)
        months.close("2026-01", "r1")
        months.close("2026-02", "r2")
        ledger.serve([served(FEBRUARY + 6, 7)._replace(region="13")])
        yield months


def statements(months: Months, *names: str) -> list[Statement]:
    """Return operator alpha's statements of months."""
    return [months.statement(name) for name in names]


def credited(statement: Statement) -> Statement:
    """Return a statement with a credit note of one use."""
    note = CreditNote(
        credit_note_id="c1",
        operator_id=statement.operator_id,
        month=statement.month,
        amount_micro_yuan=10,
        uses=[CreditedUse(usage_index=1, item="tax", source="税务", region="11",
                          amount_micro_yuan=10, explanation_zh="多计", explanation_en="too much")],
        shares=[RevenueShare(beneficiary="sources/税务", amount_micro_yuan=7),
                RevenueShare(beneficiary="platform", amount_micro_yuan=3)],
        rule_ids=["pooled"],
        plan_ids=["tiers"],
    )  # fmt: skip
    changed = Statement()
    changed.CopyFrom(statement)
    changed.due_micro_yuan = changed.total_micro_yuan
    del changed.adjustments[:]
    complete(changed, statement.adjustments, [note])
    return changed


def extract(
    of: Sequence[Statement], source: str = "", region: str = "", operator_id: str = "alpha"
) -> Extract:
    """Return a document's extract of statements."""
    wanted = Wanted(operator_id, of[0].month, of[-1].month, source, region)
    return Extract(ISSUER, wanted, of)

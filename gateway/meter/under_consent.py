"""What of an answer that rests on a consent was served under it, as the ledger tells."""

from collections.abc import Collection
from typing import Final

from consent.model import Consent

RECOGNISED_PREFIX: Final = "recognised:"
"""How the ledger's request ids begin of what was recognised of other regions' documents under a
consent (`gateway.federation.recognition`): no records are behind them."""


def items_under(consent: Consent, asked_items: str) -> Collection[str]:
    """Return the items of which an answer that rests on ``consent`` was served its subject's
    records under it.

    ``asked_items`` are those that the consent opened to the answer, as
    `gateway.meter.tables.USAGE` has them: what was public by then was served to anybody, and of
    another company whole. It is "" where a record was asked for by its name, which rests on a
    consent only where it needs one, and of an answer older than they are kept.
    """
    return asked_items.split() or consent.terms.fields_by_item.keys()

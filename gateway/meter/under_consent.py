"""What of an answer that rests on a consent was served under it, as the ledger tells."""

from consent.model import Consent


def is_under(consent: Consent, asked_items: str, subject: str, item: str) -> bool:
    """Tell whether a record of an answer that rests on ``consent`` was served under it.

    ``asked_items`` are the items that the consent opened to the answer, as
    `gateway.meter.tables.USAGE` has them: what was public by then was served to anybody, and of
    another company whole. It is "" where a record was asked for by its name, which rests on a
    consent only where it needs one, and of an answer older than they are kept.
    """
    return subject == consent.subject and item in (
        asked_items.split() or consent.terms.fields_by_item
    )

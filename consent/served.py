"""What is served under a consent by others than the ledger, in their transaction: judged by the
consent as it stands until that is durable, and owed where it is over (guarantee G3)."""

from sqlalchemy import Connection

from consent.changing import Act, owe_more
from consent.model import Actor, Consent
from consent.owed import is_gone, is_told
from consent.parts import is_taken_back
from consent.rows import locked
from consent.states import EXHAUSTED, FINAL
from consent.uses import uses_of
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason


class Changed(Exception):
    """The consent is not what was decided by any more: decide anew."""


def require_unchanged(connection: Connection, consent: Consent, region: str) -> None:
    """Make sure that a consent is as it was decided by, and stays so until the transaction ends,
    and that its subject has not taken it back in ``region``, which gave what is to be passed on.

    Raises Changed; Refused CONSENT_REVOKED for what was taken back there; CONSENT_EXHAUSTED for a
    consent that is used up and whose copies are gone by its operator's word: another copy would be
    owed by nobody.
    """
    if locked(connection, consent.consent_id).version != consent.version:
        raise Changed
    if is_taken_back(connection, consent.consent_id, region):
        raise Refused(
            RefusalReason.REFUSAL_REASON_CONSENT_REVOKED,
            "The subject has taken the consent back in that region; ask it for a new one.",
        )
    if consent.state == EXHAUSTED and is_gone(connection, consent.consent_id):
        raise Refused(
            RefusalReason.REFUSAL_REASON_CONSENT_EXHAUSTED,
            "The consent is used up, and you said that its copies are gone: nothing is sent again.",
        )


def owe_served(connection: Connection, consent: Consent, now: int) -> None:
    """Write what is owed for what was served under a consent whose end is written already: it was
    used up by the question, and answered later. The consent must be as it was decided by."""
    if consent.state not in FINAL:
        return
    use = uses_of(connection, [consent.consent_id]).get(consent.consent_id)
    if use is None or use.last_at is None:
        return
    over_at = use.last_at + consent.terms.data_life_seconds
    if not is_told(connection, consent.consent_id, over_at):
        ended_at = now if consent.ended_at is None else consent.ended_at
        by_itself = Act(Actor.GATEWAY, "", "", ended_at)
        owe_more(connection, consent, use, by_itself, now)

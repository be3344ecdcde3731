"""Which requests were sent, and how often: what tells a retry from a charge that is called one.

That an answer repeats an earlier one is a mark on it, which only the gateway tells; and so is what a
refusal brings, that its request was charged before. Whoever sent a request once knows better.
"""

from typing import Final

from sqlalchemy import Engine, select, update
from sqlalchemy.dialects.sqlite import insert

from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.usage_log_pb2 import UsageLeaf
from sdk.usage_tables import SENT

SKEW_SECONDS: Final = 300
"""How far a gateway's clock may lie from the one here."""


class SentRequests:
    """The requests in a book's file. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def note(self, request_id: str, now: int, *, new: bool) -> None:
        """Note that a request is about to be sent, at ``now`` (seconds, UTC); ``new`` where nobody
        has sent it before. Of one that is neither new nor known nothing is noted: how often it was
        sent is not known."""
        again = {"times": SENT.c.times + 1}
        with self._engine.begin() as connection:
            if new:
                row = insert(SENT).values(request_id=request_id, first_at=now, times=1)
                connection.execute(
                    row.on_conflict_do_update(index_elements=["request_id"], set_=again)
                )
            else:
                of_it = update(SENT).where(SENT.c.request_id == request_id)
                connection.execute(of_it.values(again))

    def require_charged_before(self, leaf: UsageLeaf, request_id: str) -> None:
        """Raise ProofInvalid where a use that is told of by a retry cannot have been charged before:
        the request ``request_id`` was sent once, or not yet when it was charged."""
        query = select(SENT.c.first_at, SENT.c.times).where(SENT.c.request_id == request_id)
        with self._engine.connect() as connection:
            sent = connection.execute(query).first()
        if sent is None:
            return
        if sent.times < 2:
            raise ProofInvalid("a charge of before is told of, and its request was sent once")
        if leaf.serve_seconds < sent.first_at - SKEW_SECONDS:
            raise ProofInvalid("the use was charged before its request was sent")


def require_signed_again(receipt: Receipt) -> None:
    """Raise ProofInvalid where the gateway calls an answer a retry and did not sign that it is."""
    if not receipt.usage.again:
        raise ProofInvalid("the answer is marked as a retry, which is not signed")

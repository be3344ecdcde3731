"""Mutual recognition, composed: what sets it, and what recognises."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from gateway.administration.recognition import RecognitionRules
from gateway.federation.recognition.consented import ConsentedUses
from gateway.federation.recognition.home import HomeCalls
from gateway.federation.recognition.service import RecognitionDesk
from gateway.federation.recognition.store import SqlRecognitions
from gateway.federation.trust.book import RegionBook
from gateway.federation.witness.belief import Belief
from gateway.server.asking import Ways
from gateway.server.grounds import Grounds
from gateway.server.records import RecordPath
from gateway.shares import Shares
from operators.sql import SqlAuthorityLog


def recognising(
    grounds: Grounds,
    book: RegionBook,
    belief: Belief,
    ways: Ways,
    records: RecordPath,
    stack: AsyncExitStack,
) -> Sequence[object]:
    """Return what serves RecognitionService; its threads end with ``stack``."""
    shares = Shares("recognising")
    stack.callback(shares.close)
    engines, feed, clock = grounds.engines, grounds.feed, grounds.clock
    return [
        RecognitionRules(SqlAuthorityLog(engines.authority), feed, clock),
        RecognitionDesk(
            SqlRecognitions(engines.evidence),
            book,
            belief,
            HomeCalls(ways.links, ways.tokens),
            ConsentedUses(
                records.consents,
                records.committer,
                records.decisions,
                records.unsigned,
                feed,
                clock,
                records.limits.replay_seconds,
            ),
            feed,
            grounds.keys,
            grounds.issuer,
            clock,
            shares,
        ),
    ]

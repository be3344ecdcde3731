"""The authority log for who changes operators and items: what use is rated by is dated."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from creditgate.rating.classes import OperatorStanding
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.settle.classes import Rated, class_start, rated_by
from gateway.settle.entry_into_force import Present
from gateway.settle.month import utc_text
from gateway.settle.views import RatedPast
from operators.log import AuthorityLog, Change, Draft

_APART: Final = 5
"""How many seconds clocks of hosts may be apart (docs/decisions/0039)."""


class _RatedAnew(NamedTuple):
    """A change, and what use is rated by before and after it."""

    draft: Draft
    before: Rated | None
    after: Rated

    @property
    def of_operator(self) -> bool:
        """Whether it is one operator's."""
        return isinstance(self.after, OperatorStanding)

    @property
    def only_revokes(self) -> bool:
        """Whether an operator's class stays as it is: who is revoked must be so at once."""
        return (
            isinstance(self.before, OperatorStanding)
            and isinstance(self.after, OperatorStanding)
            and self.before.operator_class == self.after.operator_class
        )


class DatingLog:
    """`operators.log.AuthorityLog` whose changes of classes never count for what is past.

    A change of an operator's class or standing, or of an item's price class, counts from the first
    instant after all use and all closings. What else is written is written as it is.
    """

    def __init__(self, log: AuthorityLog, past: RatedPast) -> None:
        self._log = log
        self._past = past

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        changed_by: str,
        changed_at: int,
        reason: str,
        follows: int | None = None,
    ) -> tuple[Change, ...]:
        """Write all drafts or none; see `AuthorityLog.append`.

        Raises Refused STATE_CONFLICT, too, where a class could count only much later than now.
        """
        dated = [each for each in map(self._rated_anew, drafts) if each is not None]
        if not dated:
            return self._log.append(
                drafts, changed_by=changed_by, changed_at=changed_at, reason=reason, follows=follows
            )
        one_operator = dated[0].draft.id if len(dated) == 1 and dated[0].of_operator else ""
        with self._past.held(one_operator) as present:
            if not all(each.only_revokes for each in dated):
                _require_soon(present)
            starts = [class_start(each.draft, present.unrated_from) for each in dated]
            written = self._log.append(
                [*starts, *drafts],
                changed_by=changed_by,
                changed_at=changed_at,
                reason=reason,
                follows=follows,
            )
        return written[len(starts) :]

    def since(self, sequence: int) -> tuple[Change, ...]:
        """Return every change with a greater sequence, in order."""
        return self._log.since(sequence)

    def head(self) -> int:
        """Return the sequence of the newest change, 0 when there is none."""
        return self._log.head()

    def history(
        self,
        *,
        kind: str,
        id: str,  # noqa: A002  # the thing's id, as in Change
        after: int,
        limit: int,
    ) -> tuple[Change, ...]:
        """Return a page of changes; see `AuthorityLog.history`."""
        return self._log.history(kind=kind, id=id, after=after, limit=limit)

    def _rated_anew(self, draft: Draft) -> _RatedAnew | None:
        """Return a draft by which use is rated otherwise than by the version it follows; None
        where it is not, and of a first version, which no use came before."""
        after = rated_by(draft.kind, draft.document)
        if after is None or not draft.expected_version:
            return None
        # All there are of it: the last is the one it follows, or it will not be written.
        known = self._log.history(
            kind=draft.kind, id=draft.id, after=0, limit=draft.expected_version
        )
        before = rated_by(draft.kind, known[-1].document) if known else None
        return None if before == after else _RatedAnew(draft, before, after)


def _require_soon(present: Present) -> None:
    if present.unrated_from > present.now + _APART:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "Use was metered or a month closed by a clock that is ahead of this one, and a class"
            f" does not change for the past: change it from {utc_text(present.unrated_from)} on.",
        )

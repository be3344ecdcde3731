"""Changes of an operator's authority, as steps of a trace."""

from collections.abc import Callable, Iterator
from typing import Final

from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import AuthorityChange
from gateway.audit.steps import Kind, Place, Source, Step
from operators.log import AuthorityLog, Change
from operators.model import CLIENT, LICENCE, OPERATOR, SCOPE_GRANT

_AT_ONCE: Final = 1_000


class AuthoritySteps:
    """Reads the authority log. Calls block.

    ``message_of`` shows a change as administrators see it.
    """

    def __init__(self, log: AuthorityLog, message_of: Callable[[Change], AuthorityChange]) -> None:
        self._log = log
        self._message_of = message_of

    def of_operator(self, operator_id: str) -> Source:
        """Return the source of what was changed of an operator: itself, its licences, its
        clients and what was granted to it."""

        def source(after: Place, until: int) -> Iterator[Step]:
            changes: list[Change] = []
            for kind in (OPERATOR, LICENCE, CLIENT, SCOPE_GRANT):
                changes += (
                    change
                    for change in self._all(kind, operator_id if kind == OPERATOR else "")
                    if _concerns(change, operator_id)
                )
            steps = (
                Step(
                    Place(change.changed_at, Kind.AUTHORITY, change.sequence),
                    pb.TraceStep(authority=self._message_of(change)),
                )
                for change in changes
                if change.changed_at < until
            )
            yield from sorted((step for step in steps if step.place > after), key=_place)

        return source

    def _all(self, kind: str, thing: str) -> Iterator[Change]:
        after = 0
        while some := self._log.history(kind=kind, id=thing, after=after, limit=_AT_ONCE):
            yield from some
            after = some[-1].sequence


def _concerns(change: Change, operator_id: str) -> bool:
    if change.kind == OPERATOR:
        return change.id == operator_id
    owner = change.document.get("grantee" if change.kind == SCOPE_GRANT else "operator_id")
    return owner == operator_id


def _place(step: Step) -> Place:
    return step.place

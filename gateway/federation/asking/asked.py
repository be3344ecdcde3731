"""A question as it was admitted."""

from collections.abc import Sequence
from typing import NamedTuple

from creditgate.v1.federated_record_service_pb2 import QueryRegionsRequest
from gateway.federation.asking.claims import Decided
from gateway.federation.asking.deciding import Admitted
from gateway.meter.model import Left
from gateway.respond.left import tell_left
from gateway.respond.use import Use
from operators.limits import Limit


class LeftNow:
    """What is left of quota and limits, as the last charge of a question found it."""

    def __init__(self) -> None:
        self._found: tuple[Left, Sequence[Limit]] | None = None

    def found(self, left: Left, limits: Sequence[Limit]) -> None:
        """Take note of it."""
        self._found = left, limits

    def tell(self) -> None:
        """Keep it to be told at the end of the call that this task answers."""
        if self._found is not None:
            tell_left(*self._found)


class Asked(NamedTuple):
    """A question as it was admitted: what all its regions have in common. ``regions`` are how many
    are asked."""

    request: QueryRegionsRequest
    use: Use
    decided: Decided
    admitted: Admitted
    deadline: float
    left: LeftNow
    regions: int = 1

"""Stopping: what an emergency brake (刹车) makes of an ask. Pure.

Decided where passages are, and remembered with them, so that a brake costs a call nothing
while none reaches it. An answer is never cut silently: where an item that might be in it is
stopped, the whole of it is refused, and whoever leaves the item out by name is served.
"""

from collections.abc import Iterable
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.brakes import Brakes, Reach, Stop

_MESSAGES: Final[dict[Reach, str]] = {
    "EVERYTHING": (
        "The administrator has stopped all record answers for the time being; nothing is"
        " charged. Ask again when that has ended."
    ),
    "OPERATOR": (
        "The administrator has stopped record answers to this operator for the time being;"
        " nothing is charged. Ask the administrator."
    ),
    "ITEM": (
        "The administrator has stopped answers with an item asked for for the time being; name"
        " other items, or ask again when that has ended. Nothing is charged."
    ),
}


def require_running(brakes: Brakes, operator_id: str, items: Iterable[str]) -> None:
    """Raise Refused EMERGENCY_BRAKE where a brake reaches an answer with records of ``items``.

    ``operator_id`` is "" for an answer to a subject about itself.
    """
    stop = brakes.stops(operator_id, items)
    if stop is not None:
        raise braked(stop)


def braked(stop: Stop) -> Refused:
    """Return the refusal of an answer that is stopped."""
    metadata = {"reach": stop.reach}
    if stop.items:
        metadata["items"] = ",".join(sorted(stop.items))
    return Refused(
        RefusalReason.REFUSAL_REASON_EMERGENCY_BRAKE, _MESSAGES[stop.reach], metadata=metadata
    )

"""An answer leaves soon after it was judged, or not at all.

The ledger judges an answer and makes it durable; what is taken back from then on finds it given. A
process that stops in between (a host that pauses, a debugger) and goes on later would hand it out then,
long after the subject was told that its consent is over, or the public that a record is repaired. So it
is looked at the clock as the last thing before an answer goes to the network (guarantee G4).
"""

from contextvars import ContextVar
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import host_nanoseconds

MOST_SECONDS: Final = 1
"""From the judgement of an answer until it leaves; mostly it is milliseconds."""
_MOST_NANOSECONDS: Final = MOST_SECONDS * 1_000_000_000
_NOTHING: Final = 0

_judged: ContextVar[int] = ContextVar("judged", default=_NOTHING)


def keep_judged(at: int) -> None:
    """Take note of when what this task answers next was judged, in nanoseconds of `host_nanoseconds`."""
    _judged.set(at)


def now_judged() -> None:
    """Take note that what this task answers next is judged from here on."""
    _judged.set(host_nanoseconds())


def require_in_time() -> None:
    """Make sure that what is about to leave was judged just now, where it was.

    Raises Refused TEMPORARILY_UNAVAILABLE: it is charged, and a retry is judged anew.
    """
    at = _judged.get()
    if at and host_nanoseconds() - at > _MOST_NANOSECONDS:
        raise Refused(
            RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
            "The answer was held up after it was metered, so it was not sent; try again with the same"
            " request_id, which is charged once.",
            retry_after=1,
        )


def gone_out() -> None:
    """Forget it where the answer leaves: what the task sends besides was not judged."""
    _judged.set(_NOTHING)

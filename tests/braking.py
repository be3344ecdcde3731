"""Brakes for tests: engaged and released in a log, and over a channel."""

from typing import Final

from operators.brakes import BRAKE, Brake, Reach
from operators.log import Change, Draft

REASON: Final = "an invented emergency"


def brake(
    brake_id: str, reach: Reach = "EVERYTHING", target: str = "", *, released_at: int | None = None
) -> Brake:
    """Return a brake, engaged unless it was released."""
    return Brake(
        brake_id=brake_id,
        reach=reach,
        target=target,
        engaged_by="office",
        engaged_at=1,
        reason=REASON,
        released_at=released_at,
        release_reason="" if released_at is None else "over",
    )


def drafted(of: Brake, version: int = 0) -> Draft:
    """Return a brake as the version that follows ``version``."""
    return Draft(BRAKE, of.brake_id, version, of.as_document())


def written(sequence: int, of: Brake, version: int = 1) -> Change:
    """Return a brake as the log would have it."""
    return Change(sequence, BRAKE, of.brake_id, version, of.as_document(), "office", 1, REASON)

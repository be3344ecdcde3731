"""How long somebody stays signed in, told on the pages that hold a form.

Source: WCAG 2.2, success criterion 2.2.1: a time limit is told, and prolonged by a simple
action.
"""

from dataclasses import dataclass

from gateway.pages.moments import moment, span
from gateway.pages.rendering import Language


@dataclass(frozen=True, slots=True)
class Stay:
    """The time left, in words.

    ``idle`` is how long one may do nothing, ``until`` when that is over; ``last`` tells
    that nothing prolongs it any more, ``link`` is what does. Where something is being
    written, ``elsewhere`` has that open in a window of its own, so that nothing is lost.
    """

    idle: str
    until: str
    last: bool
    link: str
    elsewhere: bool


def staying(
    idle_seconds: int,
    idle_at: int,
    over_at: int,
    language: Language,
    *,
    link: str,
    elsewhere: bool = False,
) -> Stay:
    """Return until when somebody stays signed in: ``idle_at`` without doing anything for
    ``idle_seconds``, ``over_at`` whatever they do (UTC seconds)."""
    return Stay(
        idle=span(idle_seconds, language),
        until=moment(min(idle_at, over_at), language),
        last=idle_at >= over_at,
        link=link,
        elsewhere=elsewhere,
    )

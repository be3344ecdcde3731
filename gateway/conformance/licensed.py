"""Which events lie within what an operator is licensed for. Pure."""

from collections.abc import Iterable

from gateway.conformance.event_pages import WatchedEvent
from operators.authorization_details import AuthorizationDetail
from operators.model import Licence
from operators.shapes import covers


def within_licence(
    event: WatchedEvent,
    licences: Iterable[Licence],
    details: Iterable[AuthorizationDetail],
    now: int,
) -> bool:
    """Tell whether one of ``licences``, all in force, covers an event's item and region, and
    one of a token's ``details`` (RFC 9396), where it has any, covers the event too at ``now``
    (seconds, UTC)."""
    narrowing = tuple(details)
    return any(
        event.item in licence.items and covers(licence.regions, event.region)
        for licence in licences
    ) and (not narrowing or any(_covers(detail, event, now) for detail in narrowing))


def _covers(detail: AuthorizationDetail, event: WatchedEvent, now: int) -> bool:
    return (
        # One that rests on a consent is for calls that name the consent.
        detail.consent is None
        and detail.in_force(now)
        and detail.covers_subject(event.subject)
        and (not detail.items or event.item in detail.items)
        and (not detail.regions or covers(detail.regions, event.region))
    )

"""Requests of the audit service: what is asked for, checked."""

import re
from typing import Final, Protocol

from creditgate.refusal import Violation, invalid
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.audit.steps import Asked, place_of
from gateway.instants import period_of
from gateway.settle.paging import Filters
from operators.shapes import END_OF_TIME

MOST_LISTED: Final = 1_000
_USUAL: Final = 100
_MOST_ID: Final = 128
_VISIBLE: Final = re.compile(rf"[\x21-\x7e]{{1,{_MOST_ID}}}")


class PagedRequest(Protocol):
    """What the requests have in common."""

    @property
    def period(self) -> Interval:
        """Within which period."""
        ...

    @property
    def page_size(self) -> int:
        """Most to return."""
        ...

    @property
    def page_token(self) -> str:
        """Token from an earlier page."""
        ...

    @property
    def known_tree_size(self) -> int:
        """What the caller holds of the log."""
        ...


def asked_of(request: PagedRequest, filters: Filters, faults: list[Violation]) -> Asked:
    """Return what is asked for, ``filters`` being what the token is bound to.

    Raises Refused INVALID_REQUEST with ``faults`` and what is wrong besides.
    """
    from_, until = period_of("period", request.period, faults)
    if not 0 <= request.page_size <= MOST_LISTED:
        faults.append(Violation("page_size", f"use 1 to {MOST_LISTED}, or 0"))
    if request.known_tree_size < 0:
        faults.append(Violation("known_tree_size", "use a tree size, or 0"))
    bound = (*filters, from_, until)
    after = place_of(request.page_token, bound)
    if after is None:
        faults.append(Violation("page_token", "use the token of a page of the same request"))
    if faults or after is None:
        raise invalid(*faults)
    return Asked(
        after,
        from_ or 0,
        END_OF_TIME if until is None else until,
        request.page_size or _USUAL,
        bound,
        request.known_tree_size,
    )


def id_faults(field: str, value: str, *, required: bool) -> list[Violation]:
    """Return what is wrong with an id."""
    if (not value and not required) or _VISIBLE.fullmatch(value):
        return []
    return [Violation(field, f"use 1 to {_MOST_ID} visible ASCII characters")]


def name_faults(field: str, value: str, prefix: str) -> list[Violation]:
    """Return what is wrong with a resource name that begins with ``prefix``."""
    if value.startswith(prefix) and _VISIBLE.fullmatch(value.removeprefix(prefix)):
        return []
    return [Violation(field, f'use a name of the form "{prefix}..."')]

"""The consent port: does this subject's live consent cover these items?"""

from typing import Protocol


class ConsentPort(Protocol):
    """Answers which consent-only items a subject's live consents open."""

    def covering(
        self,
        *,
        subject: str,
        operator_id: str,
        items: frozenset[str],
        purpose: int,
        consent: str,
        now: int,
    ) -> frozenset[str]:
        """Return the subset of ``items`` that a consent live at ``now`` covers.

        ``subject`` is a unified social credit code, ``items`` catalogue item codes,
        ``purpose`` a value of the proto enum Purpose, ``consent`` the id of the consent
        the caller names ("" when it names none), ``now`` in seconds UTC. A consent
        counts only for its own subject, operator and purpose. What cannot be
        established is not covered.
        """
        ...


class NoConsents:
    """Covers nothing: the port of an installation without a consent engine."""

    def covering(
        self,
        *,
        subject: str,
        operator_id: str,
        items: frozenset[str],
        purpose: int,
        consent: str,
        now: int,
    ) -> frozenset[str]:
        """Return the empty set: without an engine no consent can be established."""
        del subject, operator_id, items, purpose, consent, now
        return frozenset()

"""The register of regions: who is enrolled, with which keys and codes, and who is cut off. Pure.

Immutable: each change gives a new register, with a higher number.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from operators.regions import MOST_REGIONS, DivisionCode, EntityId

MOST_REASON: Final = 500
_Instant = Annotated[int, Field(ge=0, lt=1 << 53)]


class NotPossible(ValueError):
    """The register does not allow the change; the message tells why, and the mend."""


class Enrolment(BaseModel):
    """One region. ``jwks`` are its federation keys, ``tls_roots`` the CAs (PEM) of its servers,
    ``codes`` the divisions it is home of (GB/T 2260).

    ``revision`` is the register's number when what is stated of it changed last; times in
    seconds, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    jwks: dict[str, Any]
    tls_roots: Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
    codes: Annotated[tuple[DivisionCode, ...], Field(min_length=1, max_length=1_000)]
    revision: _Instant
    enrolled_at: _Instant
    cut_off_at: _Instant | None = None
    cut_off_reason: Annotated[str, StringConstraints(max_length=MOST_REASON)] = ""


class Register(BaseModel):
    """All of it. ``life_seconds`` is how long a statement of the anchor lives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entity_id: EntityId
    life_seconds: Annotated[int, Field(ge=60, le=31 * 86_400)]
    number: _Instant
    regions: dict[EntityId, Enrolment] = Field(default_factory=dict)

    def enrolled(
        self,
        entity_id: str,
        jwks: Mapping[str, Any],
        tls_roots: str,
        codes: tuple[str, ...],
        now: int,
    ) -> "Register":
        """Return the register with a region enrolled, or enrolled anew with what it has now.

        A code belongs to one region: the longest code that fits a subject decides, so that a
        city may have a region of its own below its province's. Raises NotPossible, and
        ValueError for what has not the right form.
        """
        if entity_id == self.entity_id:
            raise NotPossible("The anchor is no region of its own.")
        if entity_id not in self.regions and len(self.regions) >= MOST_REGIONS:
            raise NotPossible(f"At most {MOST_REGIONS} regions can be enrolled.")
        for other, enrolment in self.regions.items():
            if other != entity_id and (taken := set(codes) & set(enrolment.codes)):
                raise NotPossible(f"{other} is home of {', '.join(sorted(taken))} already.")
        number = self._next(now)
        known = self.regions.get(entity_id)
        enrolment = Enrolment(
            jwks=dict(jwks),
            tls_roots=tls_roots,
            codes=codes,
            revision=number,
            enrolled_at=now if known is None else known.enrolled_at,
            cut_off_at=None if known is None else known.cut_off_at,
            cut_off_reason="" if known is None else known.cut_off_reason,
        )
        return self._with(number, entity_id, enrolment)

    def cut_off(self, entity_id: str, reason: str, now: int) -> "Register":
        """Return the register with a region cut off. Raises NotPossible."""
        known = self._known(entity_id)
        if known.cut_off_at is not None:
            raise NotPossible("The region is cut off already.")
        change = {"cut_off_at": now, "cut_off_reason": reason}
        return self._with(self._next(now), entity_id, known.model_copy(update=change))

    def restored(self, entity_id: str, now: int) -> "Register":
        """Return the register with a region that was cut off standing again.

        Raises NotPossible.
        """
        known = self._known(entity_id)
        if known.cut_off_at is None:
            raise NotPossible("The region is not cut off.")
        number = self._next(now)
        change = {"cut_off_at": None, "cut_off_reason": "", "revision": number}
        return self._with(number, entity_id, known.model_copy(update=change))

    def withdrawn(self, entity_id: str, now: int) -> "Register":
        """Return the register without a region. Raises NotPossible."""
        self._known(entity_id)
        left = {name: kept for name, kept in self.regions.items() if name != entity_id}
        return self.model_copy(update={"number": self._next(now), "regions": left})

    def as_bytes(self) -> bytes:
        """Return the register as its file has it."""
        document = self.model_dump(mode="json")
        return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"

    def _known(self, entity_id: str) -> Enrolment:
        known = self.regions.get(entity_id)
        if known is None:
            raise NotPossible("No region of this entity identifier is enrolled.")
        return known

    def _next(self, now: int) -> int:
        # Not less than the time: who puts an older copy of the file back is believed again
        # after the next change.
        return max(self.number + 1, now)

    def _with(self, number: int, entity_id: str, enrolment: Enrolment) -> "Register":
        regions = {**self.regions, entity_id: Enrolment.model_validate(enrolment.model_dump())}
        return self.model_copy(update={"number": number, "regions": regions})

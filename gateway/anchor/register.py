"""The register of regions: who is enrolled, with which keys and codes, and who is cut off. Pure.

A region stands right below the anchor, or below an intermediate (a province's, above its cities).
Of the latter the anchor states the intermediate alone, and who may stand below it; the intermediate
has a register of its own, with what it states of each.

Immutable: each change gives a new register, with a higher number.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from operators.regions import MOST_REGIONS, DivisionCode, EntityId

MOST_REASON: Final = 500
_Instant = Annotated[int, Field(ge=0, lt=1 << 53)]
Host = Annotated[str, StringConstraints(pattern=r"^\.?[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$")]
"""A host's name, or a domain's with a period before it."""


class NotPossible(ValueError):
    """The register does not allow the change; the message tells why, and the mend."""


class _Standing(BaseModel):
    """What every entry has: ``revision`` is the register's number when what is stated of it changed
    last; times in seconds, UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: _Instant
    enrolled_at: _Instant
    cut_off_at: _Instant | None = None
    cut_off_reason: Annotated[str, StringConstraints(max_length=MOST_REASON)] = ""


class Enrolment(_Standing):
    """One region, or an intermediate. ``jwks`` are its federation keys, ``tls_roots`` the CAs (PEM)
    of its servers, ``codes`` the divisions it is home of (GB/T 2260), or those below it may be.
    ``hosts`` are the hosts, and domains with a period before them, that entities below an
    intermediate may have; any where there are none.
    """

    jwks: dict[str, Any]
    tls_roots: Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
    codes: Annotated[tuple[DivisionCode, ...], Field(min_length=1, max_length=1_000)]
    intermediate: bool = False
    hosts: Annotated[tuple[Host, ...], Field(max_length=100)] = ()


class Below(_Standing):
    """A region below an intermediate, ``under``."""

    under: EntityId


class Register(BaseModel):
    """All of it. ``life_seconds`` is how long a statement of the anchor lives; ``superior`` is who
    states whose register it is, where it is an intermediate's. ``below`` are the regions that stand
    below intermediates of ``regions``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entity_id: EntityId
    life_seconds: Annotated[int, Field(ge=60, le=31 * 86_400)]
    number: _Instant
    regions: dict[EntityId, Enrolment] = Field(default_factory=dict)
    below: dict[EntityId, Below] = Field(default_factory=dict)
    superior: EntityId | None = None

    def enrolled(
        self,
        entity_id: str,
        jwks: Mapping[str, Any],
        tls_roots: str,
        codes: tuple[str, ...],
        now: int,
        *,
        intermediate: bool = False,
        hosts: tuple[str, ...] = (),
    ) -> "Register":
        """Return the register with a region, or an intermediate, enrolled, or enrolled anew with
        what it has now.

        A code belongs to one region: the longest code that fits a subject decides, so that a
        city may have a region of its own below its province's. Raises NotPossible, and
        ValueError for what has not the right form.
        """
        if entity_id == self.entity_id:
            raise NotPossible("The anchor is no region of its own.")
        if entity_id in self.below:
            raise NotPossible("It stands below an intermediate: withdraw it there first.")
        if hosts and not intermediate:
            raise NotPossible("Only an intermediate has hosts below it.")
        if not intermediate and entity_id in self._superiors():
            raise NotPossible("Regions stand below it: withdraw them first.")
        self._require_room(entity_id)
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
            intermediate=intermediate,
            hosts=hosts,
        )
        return self._with(number, entity_id, enrolment)

    def admitted_below(self, entity_id: str, under: str, now: int) -> "Register":
        """Return the register with a region that an intermediate states. Raises NotPossible."""
        superior = self.regions.get(under)
        if superior is None or not superior.intermediate:
            raise NotPossible("No intermediate of this entity identifier is enrolled.")
        if entity_id in (self.entity_id, *self.regions):
            raise NotPossible("It stands right below the anchor: withdraw it there first.")
        if entity_id in self.below:
            raise NotPossible("It stands below an intermediate already.")
        self._require_room(entity_id)
        number = self._next(now)
        return self._with(number, entity_id, Below(revision=number, enrolled_at=now, under=under))

    def standing(self) -> Mapping[str, int]:
        """Return the regions, those cut off too, each with the revision of what the anchor states
        of it, or of the intermediate above it."""
        direct = {
            name: each.revision for name, each in self.regions.items() if not each.intermediate
        }
        return direct | {
            name: self.regions[each.under].revision for name, each in self.below.items()
        }

    def cut_offs(self) -> Mapping[str, int]:
        """Return since when regions are cut off that are, by themselves or with the intermediate
        above them (seconds, UTC)."""
        found: dict[str, int] = {}
        for name in self.standing():
            entries = [self._known(name)]
            if name in self.below:
                entries.append(self.regions[self.below[name].under])
            times = [each.cut_off_at for each in entries if each.cut_off_at is not None]
            if times:
                found[name] = min(times)
        return found

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
        if entity_id in self._superiors():
            raise NotPossible("Regions stand below it: withdraw them first.")
        regions = {name: kept for name, kept in self.regions.items() if name != entity_id}
        below = {name: kept for name, kept in self.below.items() if name != entity_id}
        change = {"number": self._next(now), "regions": regions, "below": below}
        return self.model_copy(update=change)

    def as_bytes(self) -> bytes:
        """Return the register as its file has it."""
        document = self.model_dump(mode="json")
        return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"

    def _superiors(self) -> set[str]:
        return {each.under for each in self.below.values()}

    def _require_room(self, entity_id: str) -> None:
        known = {*self.regions, *self.below}
        if entity_id not in known and len(known) >= MOST_REGIONS:
            raise NotPossible(f"At most {MOST_REGIONS} regions can be enrolled.")

    def _known(self, entity_id: str) -> Enrolment | Below:
        known = self.regions.get(entity_id) or self.below.get(entity_id)
        if known is None:
            raise NotPossible("No region of this entity identifier is enrolled.")
        return known

    def _next(self, now: int) -> int:
        # Not less than the time: who puts an older copy of the file back is believed again
        # after the next change.
        return max(self.number + 1, now)

    def _with(self, number: int, entity_id: str, entry: Enrolment | Below) -> "Register":
        checked = type(entry).model_validate(entry.model_dump())
        if isinstance(checked, Below):
            change = {"below": {**self.below, entity_id: checked}}
        else:
            change = {"regions": {**self.regions, entity_id: checked}}
        return self.model_copy(update={"number": number, **change})

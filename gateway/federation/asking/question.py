"""Checks on what operators send, before anything is decided or looked up; and its limits."""

import re
from collections.abc import Sequence
from typing import Final

from creditgate.refusal import Violation, invalid
from creditgate.v1.federated_record_service_pb2 import QueryRegionsRequest
from gateway.respond.batch import check_subjects
from gateway.respond.request import common_faults

MOST_SUBJECTS: Final = 10_000
MOST_NAMED: Final = 64
LEAST_DEADLINE: Final = 0.1
DEADLINE: Final = 5.0
MOST_DEADLINE: Final = 60.0
_ENTITY: Final = re.compile(r"https://[A-Za-z0-9.\[\]:_~%/-]{1,248}")


async def check_question(request: QueryRegionsRequest) -> None:
    """Raise Refused INVALID_REQUEST unless a question is well formed."""
    faults = common_faults(request.request_id, request.items, request.consent, 0)
    if not request.items:
        faults.append(Violation("items", "name at least one catalogue item code"))
    if len(set(request.items)) != len(request.items):
        faults.append(Violation("items", "name each item once"))
    faults += _region_faults(request.regions)
    if request.HasField("region_deadline"):
        seconds = request.region_deadline.ToNanoseconds() / 1e9
        if not LEAST_DEADLINE <= seconds <= MOST_DEADLINE:
            faults.append(
                Violation("region_deadline", f"from {LEAST_DEADLINE} to {MOST_DEADLINE:g} seconds")
            )
    subjects: Sequence[str] = request.subjects
    await check_subjects(subjects, faults, most=MOST_SUBJECTS, resume_from=0, chunk=1)
    if request.consent and len(subjects) != 1:
        raise invalid(Violation("subjects", "with a consent, name the one who gave it"))


def deadline_of(request: QueryRegionsRequest) -> float:
    """Return the seconds each region has for its answer."""
    if not request.HasField("region_deadline"):
        return DEADLINE
    return request.region_deadline.ToNanoseconds() / 1e9


def _region_faults(regions: Sequence[str]) -> list[Violation]:
    faults: list[Violation] = []
    if len(regions) > MOST_NAMED:
        faults.append(Violation("regions", f"at most {MOST_NAMED} regions"))
    elif len(set(regions)) != len(regions):
        faults.append(Violation("regions", "name each region once"))
    faults += (
        Violation(f"regions[{index}]", "use an entity identifier, an https URL")
        for index, region in enumerate(regions[:MOST_NAMED])
        if _ENTITY.fullmatch(region) is None
    )
    return faults

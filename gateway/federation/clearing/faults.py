"""What is wrong with a request about clearing."""

import re
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Violation
from creditgate.shapes import END_OF_TIME

_REGION: Final = re.compile(r"[!-~]{1,255}", re.ASCII)


def region_faults(region: str, *, may_be_empty: bool = False) -> list[Violation]:
    """Return what is wrong with the name of a region."""
    if (may_be_empty and not region) or _REGION.fullmatch(region):
        return []
    return [Violation("region", "use the region's entity identifier")]


def time_faults(field: str, at: Timestamp) -> list[Violation]:
    """Return what is wrong with an instant in whole seconds."""
    if 0 < at.seconds <= END_OF_TIME and not at.nanos:
        return []
    return [Violation(field, "use an instant in whole seconds")]

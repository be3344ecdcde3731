"""What uses ought to count, as evidence proves it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from creditgate.v1.usage_log_pb2 import UsageLine

RightLines = Mapping[int, Sequence[UsageLine]]
"""What uses ought to count, by their place in the operator's log."""
NONE: Final[RightLines] = {}
"""All uses are right."""

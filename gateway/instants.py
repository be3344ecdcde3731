"""Times as requests bring them: whole seconds and half-open periods, faults by field."""

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Violation
from creditgate.v1.vocabulary_pb2 import Interval
from operators.shapes import END_OF_TIME


def instant_faults(field: str, time: Timestamp) -> list[Violation]:
    """Return what is wrong with an instant."""
    if 0 <= time.seconds <= END_OF_TIME and not time.nanos:
        return []
    return [Violation(field, "use a time in whole seconds from 1970 to 9999")]


def period_of(
    field: str, period: Interval, faults: list[Violation]
) -> tuple[int | None, int | None]:
    """Return the ends [from, until) of a period in seconds UTC, None where it has none.

    What is wrong with it is added to ``faults``.
    """
    from_ = until = None
    if period.HasField("start_time"):
        from_ = period.start_time.seconds
        faults += instant_faults(f"{field}.start_time", period.start_time)
    if period.HasField("end_time"):
        until = period.end_time.seconds
        faults += instant_faults(f"{field}.end_time", period.end_time)
    if from_ is not None and until is not None and until <= from_:
        faults.append(Violation(field, "must end after it starts"))
    return from_, until

"""Days apart from the statement: why use by day is not what a closed month's statement counts. Pure.

A closed statement never changes, while the days go on with the ledger.
"""

from creditgate.v1 import usage_service_pb2 as pb
from gateway.pages.moments import moment
from gateway.pages.rendering import Language
from gateway.pages.words import said


def apart(statement: pb.Statement, used: int, language: Language) -> str:
    """Return by how many records the days of a month, ``used`` in all, are apart from its statement,
    and why; "" where they are not, or the month is open and its statement goes on too."""
    beyond = used - statement.total_entries
    if not beyond or not statement.HasField("close_time"):
        return ""
    closed, number = moment(statement.close_time.seconds, language), f"{abs(beyond):,}"
    return said(
        language,
        (
            f"上图比下表{'多' if beyond > 0 else '少'} {number} 条：下表是 {closed} 结算时的账单，此后不再改变；"
            "上图还计入结算后补记和退还的记录，这些费用在以后月份的账单中作为调整列出。",
            f"The chart counts {number} {'more' if beyond > 0 else 'fewer'} than the table below,"
            f" which is the statement as it was closed on {closed} and changes no more. The chart has"
            " what was entered or credited since, too; its fees are adjustments in statements of"
            " later months.",
        ),
    )

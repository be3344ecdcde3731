"""What of a statement does not follow, in words. Pure."""

from typing import NamedTuple

from creditgate.rating.settled import LineKey
from creditgate.v1 import usage_service_pb2 as pb


class Fault(NamedTuple):
    """Something of a statement that does not follow: what it is of, as stated, as it ought to be."""

    where: str
    stated: str
    right: str

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.where}: {self.stated}, and ought to be {self.right}"


def require(faults: list[Fault], where: str, stated: int, right: int) -> None:
    """Add a fault where an amount is not what it ought to be."""
    if stated != right:
        faults.append(Fault(where, str(stated), str(right)))


def line_named(line: LineKey | pb.StatementLine | pb.StatementDetail) -> str:
    """Return what a line is about, in words."""
    return "/".join((line.item, line.source, line.region)) if line.item else "no use"

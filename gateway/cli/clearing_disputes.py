"""``creditgate federation clearing``: answers in dispute, as they are listed and named."""

import re
from collections.abc import Iterable
from typing import Final

from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1.federation_service_pb2 import ClearingEntry
from gateway.cli import calls
from gateway.cli.failures import CommandFailed
from gateway.cli.options import Profile
from gateway.cli.output import Sheet, yuan

_KIND: Final = "CLEARING_DISPUTE_KIND_"
_STAND: Final = "CLEARING_STAND_"
_RIGHT: Final = frozenset({"revision", "yuan"})
_SHOWN: Final = 12
_VERSION: Final = re.compile(rf"[0-9a-f]{{{_SHOWN},64}}", re.ASCII)


def disputes_sheet(disputes: Iterable[pb.ClearingDispute]) -> Sheet:
    """Return disputes as they are listed."""
    return Sheet(
        "Disputes",
        (
            "dispute",
            "region",
            "request",
            "what",
            "home has",
            "asking has",
            "receipt supports",
            "stands",
        ),
        [
            (
                each.dispute_id,
                each.region,
                f"{each.request_id} {each.chunk}",
                pb.ClearingDisputeKind.Name(each.kind).removeprefix(_KIND).lower(),
                _version(each.home, each.home_entry, each.home_version),
                _version(each.asking, each.asking_entry, each.asking_version),
                _stand(each.supported),
                _stand(each.stands),
            )
            for each in disputes
        ],
    )


def _version(version: pb.ClearingVersion, first: ClearingEntry, digest: str) -> str:
    if not digest:
        return ""
    more = f" and {version.entries - 1} more" if version.entries > 1 else ""
    return f"{first.record_id}{more} {yuan(version.fee_micro_yuan)} ({digest[:_SHOWN]})"


def _entries(side: str, entries: Iterable[ClearingEntry]) -> Iterable[tuple[str, ...]]:
    for each in entries:
        yield side, each.record_id, str(each.revision), each.item, yuan(each.fee_micro_yuan)


def records_sheet(one: pb.ListClearingDisputesResponse) -> Sheet:
    """Return the records of one dispute, by who has them."""
    rows = (*_entries("home", one.home_entries), *_entries("asking", one.asking_entries))
    columns = ("who has it", "record", "revision", "item", "yuan")
    return Sheet("Records", columns, list(rows), _RIGHT)


def whole_version(profile: Profile, dispute_id: str, stands: str, version: str) -> str:
    """Return the version that a dispute's side has, which begins as ``version`` does.

    Raises CommandFailed.
    """
    if not version:
        return ""
    if _VERSION.fullmatch(version) is None:
        raise CommandFailed(f"Give --version as it is listed: {_SHOWN} hexadecimal digits or more.")
    request = pb.ListClearingDisputesRequest(dispute_id=dispute_id)
    (dispute,) = calls.ask(profile, request, pb.ListClearingDisputesResponse).disputes
    shown: str = dispute.home_version if stands == "home" else dispute.asking_version
    if not shown.startswith(version):
        raise CommandFailed("That side has another version by now: `list --disputes` shows it.")
    return shown


def _stand(stand: pb.ClearingStand.ValueType) -> str:
    return pb.ClearingStand.Name(stand).removeprefix(_STAND).lower() if stand else ""

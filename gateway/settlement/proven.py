"""What evidence of a credit note proved, as it is kept with the note: judged once, by the keys of
that time. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from creditgate.v1.usage_log_pb2 import UsageLine
from gateway.settlement.right_lines import Overcharge
from gateway.settlement.statement_credit import WrongStatement


def proven_text(proven: Overcharge | WrongStatement, told: Mapping[str, Overcharge]) -> str | None:
    """Return what was proven of a use as it is kept, and what was ``told`` of older notes; of a
    statement the note itself has all that is asked for later."""
    if isinstance(proven, WrongStatement):
        return None
    kept = _kept(proven)
    if told:
        kept["told"] = {name: _kept(each) for name, each in told.items()}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def proven_in(text: str) -> Overcharge:
    """Return what was proven of a use, as `proven_text` keeps it."""
    return _overcharge(json.loads(text))


def told_in(text: str) -> Mapping[str, Overcharge]:
    """Return what is told of older notes, by their ids, as `proven_text` keeps it."""
    told = json.loads(text).get("told", {})
    return {name: _overcharge(each) for name, each in told.items()}


def _kept(proven: Overcharge) -> dict[str, Any]:
    lines = [
        json_format.MessageToDict(line, preserving_proto_field_name=True) for line in proven.right
    ]
    return {"kind": proven.kind, "usage_index": proven.usage_index, "right": lines}


def _overcharge(kept: Mapping[str, Any]) -> Overcharge:
    lines = [json_format.ParseDict(line, UsageLine()) for line in kept["right"]]
    return Overcharge(int(kept["kind"]), int(kept["usage_index"]), lines)

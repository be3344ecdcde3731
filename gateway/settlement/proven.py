"""What evidence of a credit note proved, as it is kept with the note: judged once, by the keys of
that time. Pure."""

import json

from google.protobuf import json_format

from creditgate.v1.usage_log_pb2 import UsageLine
from gateway.settlement.right_lines import Overcharge
from gateway.settlement.statement_credit import WrongStatement


def proven_text(proven: Overcharge | WrongStatement) -> str | None:
    """Return what was proven of a use as it is kept; of a statement the note itself has all that
    is asked for later."""
    if isinstance(proven, WrongStatement):
        return None
    lines = [
        json_format.MessageToDict(line, preserving_proto_field_name=True) for line in proven.right
    ]
    kept = {"kind": proven.kind, "usage_index": proven.usage_index, "right": lines}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def proven_in(text: str) -> Overcharge:
    """Return what was proven of a use, as `proven_text` keeps it."""
    kept = json.loads(text)
    lines = [json_format.ParseDict(line, UsageLine()) for line in kept["right"]]
    return Overcharge(int(kept["kind"]), int(kept["usage_index"]), lines)

"""What becomes of all usage logs, and of what operators agreed with, under another key."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, Table, select

from gateway.pki.files import write_private
from gateway.storage.engines import reading
from gateway.transparency.beginning import put_away_as
from gateway.usage.tables import AGREEMENT_DUTIES, COSIGNATURES, USAGE_LOGS

USAGE_TABLES: Final[Sequence[Table]] = (USAGE_LOGS, COSIGNATURES, AGREEMENT_DUTIES)
"""What goes with the usage logs where nothing links the next key to the former: the ledger's rows
make them again, and operators agree with them anew."""
LINKED_USAGE_TABLES: Final[Sequence[Table]] = (USAGE_LOGS,)
"""What goes with them where the former key names the next: what was agreed with stays agreed with,
since the logs that are made again have the same leaves."""


def keep_agreed(evidence: Engine, file: Path) -> None:
    """Write what operators have agreed with beside the key in ``file``, which is about to be put
    away: it stays proved by that key and their cosignatures. Raises OSError."""
    with reading(evidence) as connection:
        agreed = [{**row} for row in connection.execute(select(COSIGNATURES)).mappings()]
    write_private(put_away_as(file).with_suffix(".cosigned"), json.dumps(agreed).encode())

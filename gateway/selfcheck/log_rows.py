"""The check of what the logs' own rows say beside their entries."""

from sqlalchemy import Connection, Table, select

from gateway.storage.engines import Engines, snapshot
from gateway.transparency.faults import Fault
from gateway.transparency.tables import BUNDLES, CHECKPOINTS, LOGS, TILES, LogId, OperatorLogId
from gateway.usage.tables import USAGE_LOGS


def check_log_rows(engines: Engines) -> list[Fault]:
    """Check that only the disclosure log has salts, that the log that receipts of use are
    signed under has no entries, that each operator's log is an operator's, and that there is
    nothing of logs that are none; return what was wrong."""
    query = select(LOGS.c.log, LOGS.c.salts, LOGS.c.size).order_by(LOGS.c.log)
    with snapshot(engines.evidence) as connection:
        rows = connection.execute(query).all()
        owned = _numbers(connection, USAGE_LOGS)
        parts = {each.name: _numbers(connection, each) for each in (TILES, BUNDLES, CHECKPOINTS)}
    logs = {row.log for row in rows}
    faults = [
        Fault(f"logs, number {log}", "it has salts or entries, and should have none")
        for log, salts, size in rows
        if (salts is not None and log != LogId.DISCLOSURE) or (size and log == LogId.USAGE)
    ]
    operators = {log for log in logs if log >= OperatorLogId.FIRST}
    faults += [
        Fault(f"usage_logs, number {log}", "log and operator are not there both")
        for log in sorted(operators ^ owned)
    ]
    faults += [
        Fault(f"{name}, log {log}", "there is no such log, or it has no entries")
        for name, numbers in parts.items()
        # The checkpoints of the log of usage bind the operators' logs (`gateway.usage.anchor`).
        for log in sorted(numbers - (logs if name == CHECKPOINTS.name else logs - {LogId.USAGE}))
    ]
    return faults


def _numbers(connection: Connection, table: Table) -> set[int]:
    return set(connection.execute(select(table.c.log).distinct()).scalars())

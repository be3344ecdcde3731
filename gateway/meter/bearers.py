"""Which licences bear the records of a row of the ledger. Pure."""

from collections.abc import Mapping, Sequence

from gateway.meter.licences import borne_by, shares_of
from gateway.meter.model import UsageRow, lines_of


def borne(row: UsageRow) -> Mapping[str, int]:
    """Return the records of a row by the licence they count against, none of an older one."""
    if row.licences is None:
        return {}
    if shares := shares_of(row.licences):
        return {share.licence: sum(share.records) for share in shares if share.records}
    return {row.licence: row.entry_count + (row.region_records or 0)}


def bearers(
    licence: str, licences: str | None, lines: str, entry_lines: Sequence[int]
) -> list[str]:
    """Return the licence that each entry of a row counts against.

    ``licence``, ``licences`` and ``lines`` as `UsageRow` has them; ``entry_lines`` are the
    numbers of the entries' lines.
    """
    shares = shares_of(licences)
    if not shares:
        return [licence] * len(entry_lines)
    return borne_by([line.line_no for line in lines_of(lines)], shares, entry_lines)


def licences_of(licence: str, licences: str | None) -> tuple[str, ...]:
    """Return the licences a row rests on, first those that bear records; arguments as of
    `bearers`."""
    return tuple(share.licence for share in shares_of(licences)) or (licence,)


def bearers_of_lines(licence: str, licences: str | None, lines: str) -> list[str]:
    """Return of each line of a row the licences its records count against, by blanks."""
    shares = [share for share in shares_of(licences) if share.records]
    count = len(lines_of(lines))
    if not shares:
        return [licence] * count
    return [" ".join(share.licence for share in shares if share.records[at]) for at in range(count)]

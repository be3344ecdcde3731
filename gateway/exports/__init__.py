"""Exports of usage: what the ledger says, as CloudEvents to a file or a receiver, and as metrics.

May import settle, meter, disclose, storage, telemetry, configuration, the clock and the contract.
Promises that each receiver is told of every use at least once, by an id that never changes, that
none holds up the ledger or another, and that no record and no subject is named.
"""

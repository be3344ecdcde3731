"""Copies that an operator holds, read from its files for attestation and reconciliation.

A file of record, content and period is enough, however large; it is read a little at a
time. See `sdk.conformance` for what is done with it.
"""

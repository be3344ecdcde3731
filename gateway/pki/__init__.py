"""Certificates: thumbprints of RFC 8705 and the development certification authority.

Imports nothing of the gateway but the permission-guarded file writer that lives here.
Promises that private keys are written readable by their owner alone.
"""

"""The national trust anchor: enrols regions, signs statements about them, cuts them off.

A program of its own, with a home of its own; may import gateway/federation/trust, clock, pki
and oauth's HTTPS server. Knows no gateway's stores.
Promises that what it was told is on disk before it is said, and is said within a second.
"""

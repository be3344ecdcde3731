"""Authenticate: who is calling, from client certificate or proved key, and access token.

May import oauth's keys and algorithms, the PKI's thumbprints and operators; no I/O.
Promises tokens that work only with their client's certificate or key (G3), and that a
revoked token and a removed client, certificate or signing key stop at the next call,
cached or not (G4).
"""

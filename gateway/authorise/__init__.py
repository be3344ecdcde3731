"""Authorise: licence, scope, purpose, openness and consent, decided for one ask.

May import operators, consent, catalogue, settle and the authority view; no I/O but the
reading of consents that calls name.
Promises that nothing is served without authority at that instant (G3).
"""

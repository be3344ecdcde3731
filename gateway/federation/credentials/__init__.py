"""Licence credentials: an operator's licence, signed by the region that gave it, with a status.

May import what gateway.federation may, and the licence that gateway/federation/home reads.
Promises that a credential is worth nothing once its licence is suspended, revoked or over: its
status reaches other regions within 1 s while they hear from here, and past their lease they
refuse (G4, G10).
"""

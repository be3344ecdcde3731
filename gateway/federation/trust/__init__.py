"""Trust: which regions stand now, by OpenID Federation 1.0 under one national anchor.

May import operators, and the gateway's authority, clock, config, oauth keys, pki and storage.
Promises that a region the anchor has cut off is refused within 1 s of the news being known
here, and that a gateway which has not heard the news within its lease refuses (G4, G10).
"""

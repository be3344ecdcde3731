"""Backup: copies of an installation while it runs, and their restoring.

May import storage, installation, transparency's identity, authority's log and operators; nothing
that serves. Promises that a copy is what a power failure at one instant would have left (G12),
that no secret is in one unencrypted, and that what is restored serves nothing, and signs no
second history, until administrators say so (G4, G7).
"""

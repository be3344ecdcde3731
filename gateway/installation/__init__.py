"""The installation: where its files lie, and how it comes to be.

May import storage, pki, oauth's key rotation, config and operators; nothing that serves.
Promises that a second run changes nothing, and that private keys stay with their owner.
"""

"""The installation: where its files lie, and how it comes to be.

May import storage, pki, oauth's key rotation, config, operators and the SDK's profiles; nothing
that serves. Promises that a second run changes nothing, that one for another store changes nothing
of the first, and that private keys stay with their owner.
"""

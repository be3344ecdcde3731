"""Witnesses: regions cosign each other's checkpoints, so that none can show two histories.

May import trust, transparency, alerts and storage, and what reads a log from outside (sdk).
Promises that nothing is cosigned that contradicts what was, whatever ends this process; that
what is proved by a checkpoint without a quorum of cosignatures is not believed; and that two
histories of a log are found out, alarmed and kept as evidence (G1, G10).
"""

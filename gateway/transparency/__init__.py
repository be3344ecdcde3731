"""The disclosure made provable: the logs, the disclosure map, and proofs out of them.

May import disclose, storage and catalogue; knows nothing of who asks or what it costs.
Promises that what is disclosed can be checked against signed checkpoints (G1, G7), and that
the public log names neither subject nor record (G11).
"""

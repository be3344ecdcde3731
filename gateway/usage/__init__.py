"""Usage logs: what operators used, in a Merkle log for each, and what proves it to both sides.

May import meter's tables and leaves, transparency and storage.
Promises that what a receipt states is in the operator's log, once, in order (G5).
"""

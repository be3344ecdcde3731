"""The audit: every decision in a Merkle log of its own, and traces through all logs.

May import transparency, meter, disclose, settle and the authority view; what it shows of
administration and conformance it is given. Promises that what was decided can neither be
changed nor left out unnoticed (G7).
"""

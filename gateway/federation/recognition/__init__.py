"""Mutual recognition: documents of other regions, verified and accepted under mapping tables.

May import trust, witness, and what administration, licences and storage are. Promises that
nothing is recognised that does not verify and hold now, that no item is left out silently, and
that what is for another country went through an allow-list and two people (G10).
"""

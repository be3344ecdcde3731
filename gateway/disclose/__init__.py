"""The disclosure: what is published, its revisions and events, and how it is looked up.

May import storage and catalogue; knows nothing of who asks or what it costs.
Promises identity (G1), period (G2), removal at once (G9) and durability (G12).
"""

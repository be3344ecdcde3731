"""The installation's check of itself: which table is checked how, and all checks at once.

May import everything that keeps a table. Promises that a row changed, added or taken away
behind the gateway's back is found, in every table and column but those it names with reasons.
"""

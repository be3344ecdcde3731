"""What every process knows of authority: a snapshot of the log, kept fresh by a feed.

May import the folds of operators, catalogue, settle and oauth; nothing above them.
Promises that a change acts within the lease, and that not knowing refuses (G4).
"""

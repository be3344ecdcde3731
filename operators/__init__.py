"""Who may: operators, licences, clients, keys and scope grants, and the log of their changes.

May import creditgate and the standard stack; nothing of gateway/, consent/ or sdk/.
Promises that nothing passes without live authority (G3) and that every change is kept (G4, G7).
"""

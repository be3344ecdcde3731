"""Administration: operators, licences, clients and scope grants, changed with who, when and why.

May import operators, the authority feed, what checks catalogue entries and pages, the
words for scopes, the clock and the caller; nothing of the request path.
Promises that every change is judged against the present state and kept (G4, G7).
"""

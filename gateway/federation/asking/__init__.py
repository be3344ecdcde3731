"""Asking: an operator's question taken to the regions that may hold the subjects.

May import what gateway.federation may. Promises its half of G10: what is asked is never more
than the operator may have here, nothing is passed on that its region's checkpoint does not
prove, and every region is named with how it ended; and G5, that a use of another region is
durable here before it is passed on.
"""

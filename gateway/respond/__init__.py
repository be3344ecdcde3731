"""Respond: the path of a record call from ask to answer, and the answer's bytes.

May import every arrow before it: authenticate, authorise, disclose, meter.
Promises that what is sent is what was disclosed (G1), in period (G2), metered (G5).
"""

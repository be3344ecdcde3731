"""Clearing with other regions (清算): both ends meter what crosses regions, and agree on it entry
by entry.

Source: Opinions on improving the social credit system, article 9 (fair sharing of value).
"""

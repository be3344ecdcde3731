"""The home side of federation: what other regions ask, and that nothing widens it."""

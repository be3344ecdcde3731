"""Copies taken under load, restored where nothing is, and what is known of what was lost."""

"""Special credit reports: what they state, how they are proved, and how they end."""

"""The feed: changes of authority act within a second, and not knowing refuses (G4)."""

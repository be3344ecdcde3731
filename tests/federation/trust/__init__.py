"""Trust between regions: statements, chains, news, and who stands."""

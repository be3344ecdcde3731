"""Who agreed: the consent port and what stands in for an engine."""

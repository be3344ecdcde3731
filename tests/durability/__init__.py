"""What was acknowledged survives: processes killed in the middle of load (G5, G12)."""

"""Settlement of months: what closings, adjustments, credit notes and the journal promise."""

"""Who may: shapes, things, the decision rules and the authority log."""

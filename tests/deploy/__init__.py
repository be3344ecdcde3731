"""The files of deploy/: what they say is right, and what they start starts."""

"""The home side: what other regions ask of this one, for operators they licensed.

May import the record path, consents and oauth's extension points; nothing of the asking side.
Promises G10 and G3: all is checked again here, on each call and at each chunk, and what the
asking region says can only narrow; what cannot be known about it is refused.
"""

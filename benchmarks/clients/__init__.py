"""Load generators, each a program of its own: a round asked for on stdin, a result on stdout."""

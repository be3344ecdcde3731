"""The stack a user would build otherwise: FastAPI, PyJWT, SQLAlchemy, a commit per call.

It does the same work as the gateway's GetSubjectRecords, written as its documentation
teaches: a session per request, models, dependencies, response models. It is spared two
things the gateway does: checking that the token belongs to the connection's certificate,
and writing refusals down.
"""

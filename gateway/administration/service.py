"""OperatorService: who may, administered."""

from gateway.administration.clients import Clients
from gateway.administration.grants import Grants
from gateway.administration.history import History
from gateway.administration.licences import Licences
from gateway.administration.operators import Operators


class OperatorService(Operators, Licences, Clients, Grants, History):
    """Every method of creditgate.v1.OperatorService, over one journal.

    The methods take the request and the authenticated caller, whose scope was checked,
    and raise Refused.
    """

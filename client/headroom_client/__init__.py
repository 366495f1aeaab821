"""A client of Headroom: ``Headroom("http://localhost:8000").estimate({...})``."""

from headroom_client.answers import Estimate, Found, Listing, Partitions
from headroom_client.client import Headroom
from headroom_client.errors import HeadroomError, NotAllowedError, Problem, QuestionError, UnavailableError

__all__ = [
    "Estimate",
    "Found",
    "Headroom",
    "HeadroomError",
    "Listing",
    "NotAllowedError",
    "Partitions",
    "Problem",
    "QuestionError",
    "UnavailableError",
]
__version__ = "0.1.0"

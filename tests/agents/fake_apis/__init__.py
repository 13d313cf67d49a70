"""Model APIs on loopback that bill every call and remember the bill."""

from tests.agents.fake_apis.bill import Bill, Billed
from tests.agents.fake_apis.server import FakeApis, serving

__all__ = ["Bill", "Billed", "FakeApis", "serving"]

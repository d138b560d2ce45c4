"""On the path of the processes that a test of adversity starts: Python imports it while it starts."""

import os

if _chaos := os.environ.get("MT5CRS_TEST_CHAOS"):
    from tests.adversity.kills import install

    install(_chaos)

if _spoilt := os.environ.get("MT5CRS_TEST_SPOILT"):
    from tests.adversity.security.defences import spoil

    spoil(_spoilt)

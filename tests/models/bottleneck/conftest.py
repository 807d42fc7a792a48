import pytest

from sbnn.determinism import reproducible


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they gain on such small matrices."""
    with reproducible():
        yield

import pytest

from .synthetic import make_surfaces


@pytest.fixture(scope="session")
def six_bodies():
    """Six objects of one made-up category in random frames, and their true frames."""
    return make_surfaces(6)

"""What the tests of figures share."""

import matplotlib.pyplot as plt
import pytest


@pytest.fixture
def page(monkeypatch):
    """What reaches the notebook's page: a list of (bundle, metadata, options)."""
    shown = []

    def display(thing, metadata=None, **options):
        shown.append((thing, metadata or {}, options))

    monkeypatch.setattr("IPython.display.display", display)
    return shown


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")

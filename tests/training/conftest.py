"""What all tests of the training share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """With more threads, tiny steps wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

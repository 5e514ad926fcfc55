"""What all tests of the training share: one thread, and each precision that this machine computes in."""

import pytest
import torch

from course_lib.training import has_bf16

PRECISIONS = {"float32": "0", "bfloat16": "1"} if has_bf16(torch.device("cpu")) else {"float32": "0"}


@pytest.fixture(autouse=True, scope="module", params=PRECISIONS)
def precision(request):
    """With bfloat16 off, and where the processor has it, on as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_BF16", PRECISIONS[request.param])
        yield request.param


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """With more threads, tiny steps wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

"""Which precision is used, and who decides."""

import pytest
import torch

from course_lib.training import device, has_bf16

CPU = torch.device("cpu")


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("wanted", "expected"), [("0", False), ("1", True), (None, "native")])
def test_course_bf16_decides_and_else_the_processor(monkeypatch, native, wanted, expected):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.delenv("COURSE_BF16", raising=False)
    if wanted:
        monkeypatch.setenv("COURSE_BF16", wanted)
    assert has_bf16(CPU) == (native if expected == "native" else expected)


def test_another_value_is_refused(monkeypatch):
    monkeypatch.setenv("COURSE_BF16", "yes")
    with pytest.raises(ValueError, match="COURSE_BF16 must be 0 .never., 1 .always. or unset .*got 'yes'"):
        has_bf16(CPU)


def test_a_cpu_on_which_pytorch_cannot_tell_computes_in_float32(monkeypatch):
    monkeypatch.delenv("COURSE_BF16", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert has_bf16(CPU) is False


def test_the_doctor_says_what_course_bf16_decides(monkeypatch):
    from course_lib import doctor

    monkeypatch.setenv("COURSE_BF16", "0")
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: False)
    assert "float32 is used, as COURSE_BF16=0 says" in doctor._device()[1]


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_is_the_quickest_device_that_there_is(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device.pick_device() == expected and device.pick_device("cpu") == "cpu"


@pytest.mark.parametrize("turns", [True, False])
def test_only_a_model_with_turns_lets_processes_look_for_weights_without_gradients(turns):
    handler = device.accelerator_for("cpu", turns).ddp_handler
    assert (handler is not None and handler.find_unused_parameters) == turns


@pytest.mark.parametrize("wanted", ["gpu", None, ["cpu"], torch.device("cpu")], ids=repr)
def test_a_device_is_named_by_one_of_four_words(wanted):
    with pytest.raises(ValueError, match="there is no device .*; choose auto, cpu, cuda, mps"):
        device.pick_device(wanted)

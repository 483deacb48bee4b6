"""torch's settings: changed ones do not count, none is left changed; forked processes compute."""

import contextlib
import multiprocessing
import os
import threading

import pytest

pytest.importorskip("torch", reason="the settings are torch's")

import torch

from emotion_estimators.networks.torch_settings import limited_threads, torch_as_shipped


@contextlib.contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SETTINGS = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "meta": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


def _state():
    new = torch.empty(0)
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    return torch.get_default_dtype(), new.device, new.dtype, modes, torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("setting", SETTINGS)
def test_torch_as_shipped(setting):
    weight = torch.ones(2, 2)
    with SETTINGS[setting]():
        before = _state()
        with torch_as_shipped():
            inside = torch.nn.Linear(2, 2)(torch.zeros(1, 2))
            made = inside, torch.tensor(0.1), torch.full((2,), 0.5), torch.rand(3), weight @ weight
            n_bytes = torch.arange(3).element_size(), torch.tensor([1]).element_size()
            rounded = torch.tensor(0.1).double().item()
        assert _state() == before
    assert {(values.dtype, values.device.type) for values in made} == {(torch.float32, "cpu")}
    assert n_bytes == (8, 8)  # integers stay what they are
    assert rounded == pytest.approx(0.1, abs=1e-8)  # float32 of 0.1, which bfloat16 has not
    assert inside.requires_grad
    assert not inside.is_inference()


def test_limited_threads_are_not_those_of_a_thread_that_starts_meanwhile():
    n_threads = torch.get_num_threads()
    found = []

    def count():
        with torch_as_shipped():
            found.append(torch.get_num_threads())

    other = threading.Thread(target=count)
    with limited_threads(n_threads + 1):
        other.start()
        other.join(0.2)  # time enough to take that number, if nothing holds it back
    other.join()
    assert found == [n_threads]


def _multiply(queue):
    with limited_threads(4):
        queue.put(
            (torch.get_num_threads(), float((torch.ones(600, 600) @ torch.ones(600, 600))[0, 0]))
        )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_computes_on_one_thread():
    n_threads = torch.get_num_threads()
    with limited_threads(2):  # starts a thread that the child does not have
        torch.ones(600, 600).exp()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_multiply, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == (1, 600.0)
    child.join()
    assert torch.get_num_threads() == n_threads

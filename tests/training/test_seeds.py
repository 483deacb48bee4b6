"""seeded: the same numbers for a seed, and the global state as before."""

import multiprocessing
import os
import random
import threading

import numpy as np
import pytest

pytest.importorskip("torch", reason="seeded seeds torch")

import torch

from emotion_estimators.training.seeds import seeded

CPU = torch.device("cpu")


def _draw(seed):
    with seeded(seed, CPU) as generator:
        return torch.rand(4).tolist(), torch.rand(4, generator=generator).tolist()


def test_numbers_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = _draw(5)
    torch.manual_seed(2)
    assert _draw(5) == first
    assert _draw(6) != first
    assert first[0] != first[1]


def test_threads_take_turns():
    alone = {seed: _draw(seed) for seed in (5, 6)}
    state = torch.get_rng_state()
    drawn = {}
    other = threading.Thread(target=lambda: drawn.update({6: _draw(6)}))
    with seeded(5, CPU) as generator:
        other.start()
        other.join(0.2)  # time enough to seed torch again, if nothing holds it back
        drawn[5] = torch.rand(4).tolist(), torch.rand(4, generator=generator).tolist()
        assert 6 not in drawn
        with seeded(6, CPU):  # the same thread may
            torch.rand(1)
    other.join()
    assert drawn == alone
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_forked_inside_may_seed():
    context = multiprocessing.get_context("fork")
    inside, ended = threading.Event(), threading.Event()

    def hold():
        with seeded(5, CPU):
            inside.set()
            ended.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait()
    child = context.Process(target=_draw, args=(6,))
    child.start()
    child.join(30)
    exitcode = child.exitcode
    child.kill()
    ended.set()
    holder.join()
    assert exitcode == 0


def test_global_state_is_restored_also_after_an_error():
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002

    def draw_and_fail():
        with seeded(2**31 - 2, CPU):
            torch.rand(3)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        draw_and_fail()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])  # noqa: NPY002

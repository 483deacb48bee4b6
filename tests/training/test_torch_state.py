"""The state of a training as arrays: what comes back is what was there."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

pytest.importorskip("torch", reason="the state is torch's")

import torch
from torch import nn

from emotion_estimators.training.torch_state import (
    arrays_of,
    load_optimizer_state,
    optimizer_state,
    random_states,
    set_random_states,
    tensors_of,
    weights_of,
)


def test_arrays_and_back():
    state = {"a": [torch.ones(2, dtype=torch.bfloat16), (np.float64(0.5), None)], "b": "text"}
    arrays = arrays_of(state)
    assert_array_equal(arrays["a"][0], np.ones(2, np.float32))
    assert arrays["a"][1] == [0.5, None]
    assert type(arrays["a"][1][0]) is float
    again = tensors_of(arrays)
    assert torch.equal(again["a"][0], torch.ones(2))
    assert again["b"] == "text"


def test_weights_are_copies():
    layer = nn.Linear(2, 1)
    weights = weights_of(layer)
    before = weights["weight"].copy()
    with torch.no_grad():
        layer.weight.add_(1)
    assert_array_equal(weights["weight"], before)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_an_optimizer_goes_on(kind):
    settings = {"momentum": 0.9} if kind == "SGD" else {"fused": True}

    def begun():
        torch.manual_seed(0)
        layer = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return layer, getattr(torch.optim, kind)(layer.parameters(), lr=0.1, **settings)

    def step(layer, optimizer):
        layer(torch.ones(1, 3, 5, 5)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    layer, optimizer = begun()
    step(layer, optimizer)
    kept = arrays_of({"optimizer": optimizer_state(optimizer), "layer": layer.state_dict()})
    assert list(kept["optimizer"]["state"]) == ["0", "1"]
    json.dumps(kept["optimizer"]["param_groups"])
    kept = {name: arrays_of(tensors_of(part)) for name, part in kept.items()}  # as from a file
    other, another = begun()
    other.load_state_dict(tensors_of(kept["layer"]))
    load_optimizer_state(another, kept["optimizer"])
    moments = [each for each in another.state[other.weight].values() if each.ndim == 4]
    assert moments
    assert all(each.stride() == other.weight.stride() for each in moments)
    step(layer, optimizer)
    step(other, another)
    for name, values in weights_of(layer).items():
        assert_array_equal(weights_of(other)[name], values)


def test_generators_go_on():
    generator, device = torch.Generator().manual_seed(3), torch.device("cpu")
    states = arrays_of(random_states(generator, device))
    drawn = torch.rand(2, generator=generator), torch.rand(2)
    set_random_states(states, generator, device)
    again = torch.rand(2, generator=generator), torch.rand(2)
    assert all(torch.equal(one, other) for one, other in zip(drawn, again, strict=True))

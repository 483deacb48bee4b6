"""Which backend Keras is given: the user's choice, else its own, else one that is installed."""

import json

import pytest

from emotion_estimators.training.keras_backend import choose_backend


@pytest.mark.parametrize(
    ("variable", "configured", "installed", "chosen"),
    [
        (None, None, ["tensorflow", "torch", "jax"], None),
        (None, None, ["torch", "jax"], "torch"),
        (None, None, ["jax"], "jax"),
        (None, None, [], None),
        (None, "tensorflow", ["torch"], "torch"),  # written by Keras itself
        (None, "jax", ["torch"], None),  # nobody but the user writes that
        ("tensorflow", None, ["torch"], None),
        ("jax", "tensorflow", ["torch"], None),
        ("", None, ["torch"], "torch"),  # Keras passes over an empty one, too
    ],
)
def test_what_is_set_counts_before_what_is_installed(
    tmp_path, variable, configured, installed, chosen
):
    environment = {"KERAS_HOME": str(tmp_path)}
    if variable is not None:
        environment["KERAS_BACKEND"] = variable
    if configured is not None:
        (tmp_path / "keras.json").write_text(json.dumps({"backend": configured}))
    assert choose_backend(environment, installed.__contains__) == chosen


def test_a_damaged_file_of_settings_is_as_none(tmp_path):
    (tmp_path / "keras.json").write_text("[")
    assert choose_backend({"KERAS_HOME": str(tmp_path)}, ["torch"].__contains__) == "torch"

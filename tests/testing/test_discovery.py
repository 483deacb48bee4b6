import re
from pathlib import Path

import pytest
from sklearn.base import is_classifier

import emotion_estimators
from emotion_estimators.testing import all_estimators


def test_all_estimators_are_the_classes_that_the_package_names():
    stub = Path(emotion_estimators.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    named = re.findall(r"^from \.\w+ import ([A-Z]\w+) as \1$", stub, re.MULTILINE)
    found = all_estimators()
    assert [name for name, _ in found] == sorted(named)
    assert all(thing is getattr(emotion_estimators, name) for name, thing in found)


def test_the_filter():
    classifiers, transformers = all_estimators("classifier"), all_estimators("transformer")
    assert all(is_classifier(thing()) for _, thing in classifiers)
    assert all(hasattr(thing, "transform") for _, thing in transformers)
    assert {*classifiers, *transformers} == set(all_estimators())
    with pytest.raises(ValueError, match="'type_filter' parameter of all_estimators"):
        all_estimators("regressor")

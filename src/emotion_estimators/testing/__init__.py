"""Conformance checks for estimators that take images, ours and other people's; a list of ours."""

from emotion_estimators.testing._discovery import all_estimators
from emotion_estimators.testing._image_suite import (
    check_image_estimator,
    image_estimator_checks,
    parametrize_with_image_checks,
)
from emotion_estimators.testing._sklearn_suite import check_sklearn_estimator

__all__ = [
    "all_estimators",
    "check_image_estimator",
    "check_sklearn_estimator",
    "image_estimator_checks",
    "parametrize_with_image_checks",
]

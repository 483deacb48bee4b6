"""Conformance checks for estimators that take images, ours and other people's."""

from emotion_estimators.testing._image_suite import (
    check_image_estimator,
    image_estimator_checks,
    parametrize_with_image_checks,
)
from emotion_estimators.testing._sklearn_suite import check_sklearn_estimator

__all__ = [
    "check_image_estimator",
    "check_sklearn_estimator",
    "image_estimator_checks",
    "parametrize_with_image_checks",
]

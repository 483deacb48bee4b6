"""What scikit-learn has no metric for: calibration, votes, labels partly unknown, class priors."""

from emotion_estimators.metrics.class_prior import adjust_class_prior, estimate_class_prior
from emotion_estimators.metrics.probabilities import (
    expected_calibration_error,
    macro_average_precision,
    macro_average_precision_scorer,
    measure_probabilities,
    neg_expected_calibration_error_scorer,
)
from emotion_estimators.metrics.votes import measure_votes

__all__ = [
    "adjust_class_prior",
    "estimate_class_prior",
    "expected_calibration_error",
    "macro_average_precision",
    "macro_average_precision_scorer",
    "measure_probabilities",
    "measure_votes",
    "neg_expected_calibration_error_scorer",
]

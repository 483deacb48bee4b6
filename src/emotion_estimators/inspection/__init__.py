"""Pictures of what an estimator did, which need matplotlib, and figures of how well."""

from emotion_estimators.inspection.prediction_display import PredictionDisplay
from emotion_estimators.inspection.scores import measure_probabilities

__all__ = ["PredictionDisplay", "measure_probabilities"]

"""Pictures of what an estimator did; they need matplotlib."""

from emotion_estimators.inspection.prediction_display import PredictionDisplay

__all__ = ["PredictionDisplay"]

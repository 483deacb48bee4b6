"""Pictures of what an estimator did, most of which need matplotlib, and figures of how well."""

from emotion_estimators.inspection.draw_faces import draw_faces
from emotion_estimators.inspection.faces_display import FacesDisplay
from emotion_estimators.inspection.occlusion_display import OcclusionDisplay
from emotion_estimators.inspection.prediction_display import PredictionDisplay
from emotion_estimators.metrics import measure_probabilities

__all__ = [
    "FacesDisplay",
    "OcclusionDisplay",
    "PredictionDisplay",
    "draw_faces",
    "measure_probabilities",
]

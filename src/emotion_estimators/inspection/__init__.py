"""Images of what an estimator did; most of them need matplotlib."""

from emotion_estimators.inspection.draw_faces import draw_faces
from emotion_estimators.inspection.faces_display import FacesDisplay
from emotion_estimators.inspection.occlusion_display import OcclusionDisplay
from emotion_estimators.inspection.prediction_display import PredictionDisplay

__all__ = [
    "FacesDisplay",
    "OcclusionDisplay",
    "PredictionDisplay",
    "draw_faces",
]

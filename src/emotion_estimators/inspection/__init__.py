"""Images of what an estimator did; most of them need matplotlib."""

from emotion_estimators.inspection.draw_faces import draw_faces
from emotion_estimators.inspection.faces_display import FacesDisplay
from emotion_estimators.inspection.occlusion_display import OcclusionDisplay
from emotion_estimators.inspection.prediction_display import PredictionDisplay
from emotion_estimators.inspection.timeline_display import TimelineDisplay

__all__ = [
    "FacesDisplay",
    "OcclusionDisplay",
    "PredictionDisplay",
    "TimelineDisplay",
    "draw_faces",
]

"""Images and reports of what an estimator did; most images need matplotlib."""

from emotion_estimators.inspection.draw_faces import draw_faces
from emotion_estimators.inspection.faces_display import FacesDisplay
from emotion_estimators.inspection.occlusion_display import OcclusionDisplay
from emotion_estimators.inspection.prediction_display import PredictionDisplay
from emotion_estimators.inspection.report import write_evaluation_report, write_faces_report
from emotion_estimators.inspection.timeline_display import TimelineDisplay

__all__ = [
    "FacesDisplay",
    "OcclusionDisplay",
    "PredictionDisplay",
    "TimelineDisplay",
    "draw_faces",
    "write_evaluation_report",
    "write_faces_report",
]

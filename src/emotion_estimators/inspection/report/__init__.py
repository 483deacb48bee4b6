"""Tables and figures in, one self-contained page of HTML out."""

from emotion_estimators.inspection.report.evaluation_report import write_evaluation_report
from emotion_estimators.inspection.report.faces_report import write_faces_report

__all__ = ["write_evaluation_report", "write_faces_report"]

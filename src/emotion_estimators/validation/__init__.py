"""The door for images, labels and votes: arguments in, what they are out; nothing else is read."""

from emotion_estimators.validation.images import (
    Images,
    check_images,
    check_labels,
    compare_table,
    iterate_images,
    record_table,
)
from emotion_estimators.validation.votes import check_class_prior, check_votes, count_votes

__all__ = [
    "Images",
    "check_class_prior",
    "check_images",
    "check_labels",
    "check_votes",
    "compare_table",
    "count_votes",
    "iterate_images",
    "record_table",
]

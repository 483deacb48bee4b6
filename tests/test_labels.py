import pytest

from emotion_estimators.labels import (
    EMOTIONS,
    FER_PACKAGE_LABELS,
    OTHER_VOTES,
    VOTE_COLUMNS,
    canonical_emotion,
)


def test_emotions_are_sorted_so_that_they_are_the_order_of_classes_():
    assert list(EMOTIONS) == sorted(EMOTIONS)


def test_other_orders_hold_the_same_names():
    assert sorted(FER_PACKAGE_LABELS) == list(EMOTIONS)
    assert sorted(set(VOTE_COLUMNS) - set(OTHER_VOTES)) == list(EMOTIONS)
    assert VOTE_COLUMNS[-3:] == OTHER_VOTES


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_canonical_names_are_their_own_canon(emotion):
    assert canonical_emotion(emotion) == emotion
    assert canonical_emotion(f" {emotion.upper()} ") == emotion


@pytest.mark.parametrize(
    ("alias", "emotion"),
    [
        ("Anger", "angry"),
        ("happiness", "happy"),
        ("SADNESS", "sad"),
        ("fearful", "fear"),
        ("Surprised", "surprise"),
        ("disgusted", "disgust"),
    ],
)
def test_aliases(alias, emotion):
    assert canonical_emotion(alias) == emotion


def test_an_unknown_name_is_refused_with_the_vocabulary():
    with pytest.raises(ValueError, match=r"expected one of angry, .*surprise .*, got 'hungry'"):
        canonical_emotion("hungry")

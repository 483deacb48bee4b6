"""Progress and tasks: which epoch is best, when it is over, what is written and gone on from."""

import numpy as np
import pytest

from emotion_estimators.training.checkpoints import Checkpoints
from emotion_estimators.training.progress import Progress, TrainingTask, epoch_score


def _weights(number):
    return {"w": np.array([number])}


def _after(scores, *, keeps_last=False):
    progress, asked = Progress(), []
    for epoch, score in enumerate(scores, start=1):

        def weights(epoch=epoch):
            asked.append(epoch)
            return _weights(epoch)

        progress = progress.after_epoch(
            {"train_loss": float(epoch)},
            n_steps=3 * epoch,
            score=score,
            weights=weights,
            keeps_last=keeps_last,
        )
    return progress, asked


def test_the_score_of_an_epoch():
    def scored(accuracy, loss):
        return epoch_score(
            {"train_loss": 9.0, "valid_accuracy": accuracy, "valid_loss": loss}, name
        )

    name = "valid_accuracy"
    assert scored(0.5, 7.0) > scored(0.49, 0.1)  # the loss decides between equal ones only
    assert scored(0.5, 0.1) > scored(0.5, 0.2)
    assert scored(0.0, 7.0) > scored(float("nan"), 0.1)
    assert epoch_score({"train_loss": 2.0}, name) == -2.0


def test_the_best_epoch_is_kept():
    progress, asked = _after([0.1, 0.5, 0.5, 0.4, 0.6, 0.2])
    assert (progress.best_epoch, progress.best_score, progress.n_stale) == (5, 0.6, 1)
    assert progress.best_weights == _weights(5)
    assert asked == [1, 2, 5]  # weights are copied where they are kept
    assert progress.n_steps == 18
    assert [row["epoch"] for row in progress.history] == [1, 2, 3, 4, 5, 6]


def test_the_last_epoch_is_kept_where_nothing_is_held_out():
    progress, asked = _after([0.9, 0.5, 0.4], keeps_last=True)
    assert (progress.best_epoch, progress.best_score, progress.n_stale) == (3, 0.9, 2)
    assert asked == [1, 2, 3]


def test_scores_that_are_no_numbers():
    progress, _ = _after([float("nan"), float("nan")])
    assert (progress.best_epoch, progress.n_stale) == (1, 2)
    assert progress.best_weights == _weights(1)  # some weights there must be
    progress, _ = _after([float("nan"), 0.1, float("nan")])
    assert (progress.best_epoch, progress.best_score) == (2, 0.1)


@pytest.mark.parametrize(
    ("scores", "max_epochs", "n_iter_no_change", "expected"),
    [
        ([1], 1, None, True),
        ([1], 2, None, False),
        ([1, 2, 2], 9, 1, True),
        ([1, 2, 2], 9, 2, False),
        ([1, 2, 3], 9, 1, False),
        ([3, 2, 1], 9, None, False),
    ],
)
def test_when_it_is_over(scores, max_epochs, n_iter_no_change, expected):
    assert _after(scores)[0].is_over(max_epochs, n_iter_no_change) is expected


def _task(checkpoints, **settings):
    known = dict.fromkeys(TrainingTask.__dataclass_fields__)
    for name in ("state", "is_over", "progress", "writes", "failure"):
        del known[name]
    return TrainingTask(
        **known
        | {
            "owner": "Net",
            "train": np.arange(3),
            "held_out": np.arange(2),
            "seed": 7,
            "max_epochs": 3,
            "checkpoints": checkpoints,
        }
        | settings
    )


def _end(task, epoch, loss=0.5, **settings):
    task.end_epoch(
        {"train_loss": loss},
        n_steps=3 * epoch,
        score=float(epoch),
        weights=lambda: _weights(epoch),
        state=lambda: {"engine": np.full(2, epoch)},
        **settings,
    )


def test_a_task_goes_on_from_its_file(tmp_path):
    checkpoints = Checkpoints("Net", tmp_path, {"x": 1})
    checkpoints.prepare()
    task = _task(checkpoints)
    _end(task, 1)
    _end(task, 2)
    assert not task.is_over
    state, is_over = checkpoints.find(True)
    other = _task(checkpoints, train=None, held_out=None, seed=8)  # as drawn without a seed
    other.resume(state, is_over=is_over)
    assert vars(other.progress).keys() == vars(task.progress).keys()
    assert other.progress.history == task.progress.history
    assert other.progress.best_weights["w"].tolist() == [2]
    assert (other.seed, other.train.tolist(), other.held_out.tolist()) == (7, [0, 1, 2], [0, 1])
    assert other.state["engine"].tolist() == [2, 2]
    _end(other, 3)
    assert other.is_over
    assert checkpoints.find(True)[1]


def test_an_engine_has_reasons_of_its_own_to_end():
    task = _task(Checkpoints("Net", None, {}))
    _end(task, 1, is_over=True)
    assert task.is_over


def test_a_process_that_does_not_write(tmp_path):
    task = _task(Checkpoints("Net", tmp_path, {}), writes=False)
    _end(task, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite(loss):
    task = _task(Checkpoints("Net", None, {}))
    with pytest.raises(ValueError, match=rf"^Net: the training loss is {loss}. Lower learning_"):
        _end(task, 1, loss=loss)
    assert task.progress == Progress()


def test_a_file_that_cannot_be_written_is_said_after_the_epoch_is_noted(tmp_path):
    (tmp_path / "file").touch()
    task = _task(Checkpoints("Net", tmp_path / "file", {}))
    with pytest.raises(OSError, match="The checkpoint of Net cannot be written") as caught:
        _end(task, 1)
    assert task.failure is caught.value
    assert len(task.progress.history) == 1


def test_the_bar_counts_all_steps(capsys):
    task = _task(Checkpoints("Net", None, {}), verbose=True)
    _end(task, 1)
    with task.bar(9) as bar:
        bar.update()
    assert "4/9" in capsys.readouterr().err
    with _task(Checkpoints("Net", None, {}), verbose=False).bar(9):
        pass
    assert capsys.readouterr().err == ""

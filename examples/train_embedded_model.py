"""Train the embedded emotion model on labels and votes, and write its files.

One command, seeded, from FER2013's faces and FER+'s votes to the files that are shipped::

    python examples/train_embedded_model.py --train-teacher --checkpoint-dir run --out emotion

The network has an output for the labels and one for the votes. A teacher softens the labels: it is
a file, ``--teacher``, or is trained first, ``--train-teacher``, with the next seed and nobody to
teach it. The epoch that is kept is the best on a part held out. ``--weights embedded``, with
``--learning-rate 0.02 --validation 0``, begins with the weights that are shipped and keeps the last
epoch, since they have seen all faces. With ``--checkpoint-dir`` the state is written after each
epoch, and the same command goes on where it was stopped, to the same bits on a CPU and the same
number of threads: the schedule runs by epochs and not by the clock. Ctrl-C ends a training and goes
on with its best epoch.

``write_embedded_model.py`` then writes ``emotion.onnx`` and ``emotion_int8.onnx``, for which the
package onnx is needed, from ``emotion.npz``, the weights as they were trained. ``emotion.json``
says how they were made: hashes of the data, command, settings, versions, processor, time and
history. ``evaluate_faces.py`` measures the files on faces that had no part in any choice.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from write_embedded_model import sha256, write_files

from emotion_estimators.classifiers import EmotionCNNClassifier, PretrainedEmotionClassifier
from emotion_estimators.classifiers.pretrained_emotion_classifier import open_output
from emotion_estimators.datasets import load_image_folder, load_votes


class Report(Callback):
    """Print each epoch."""

    def on_train_begin(self, net: Any, **_: Any) -> None:  # noqa: ARG002 - skorch's interface
        """Note the time: not before, since a checkpoint is known by what a callback holds."""
        self.start = time.perf_counter()

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        """Look at an epoch of the training."""
        row = net.history[-1]
        names = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
        values = [f"{name} {row[name]:.4f}" for name in names if name in row]
        seconds = time.perf_counter() - self.start
        best = "best" if row["score_best"] else "    "
        print(f"epoch {row['epoch']:3d}", *values, best, f"{seconds:.0f} s", sep="  ", flush=True)


def train(
    arguments: argparse.Namespace, X: Any, y: Any, votes: Any, *, teacher: Any, seed: int
) -> tuple[EmotionCNNClassifier, dict[str, Any]]:
    """Return a trained network, and how it came about.

    `X` n faces, `y` (n,) their labels, `votes` (n, 10), a frame of `load_votes`.
    """
    cnn = EmotionCNNClassifier(
        network=arguments.network,
        weights=arguments.weights,
        learning_rate=arguments.learning_rate,
        teacher=teacher,
        teacher_weight=arguments.teacher_weight,
        votes_weight=arguments.votes_weight,
        mixup=arguments.mixup,
        max_epochs=arguments.epochs,
        validation_fraction=arguments.validation or None,
        n_iter_no_change=None,
        callbacks=[Report()],
        checkpoint_dir=arguments.checkpoint_dir,
        resume=arguments.checkpoint_dir is not None,
        random_state=seed,
    )
    start = time.perf_counter()
    try:
        cnn.fit(X, y, votes=votes)
    except KeyboardInterrupt:
        if not hasattr(cnn, "weights_"):  # no epoch was over
            raise
        print("interrupted: what follows is of the best epoch so far")
    not_of_the_result = ("callbacks", "checkpoint_dir", "resume", "teacher")
    return cnn, {
        "parameters": {
            name: value
            for name, value in cnn.get_params(deep=False).items()
            if name not in not_of_the_result
        },
        "n_weights": sum(array.size for array in cnn.weights_.values()),
        "epochs": cnn.n_iter_,
        "best_epoch": cnn.best_epoch_,
        "seconds": round(time.perf_counter() - start),  # of this run: one may go on another day
        "history": cnn.history_,
    }


def save(cnn: EmotionCNNClassifier, path: Path) -> None:
    """Write the weights as trained, as `write_embedded_model` reads them."""
    priors = {}
    for output in ("votes", "labels"):
        priors[output] = cnn.set_params(output=output).class_prior_.round(6).tolist()
    cnn.set_params(output=None)
    described = {
        "architecture": cnn.architecture_,
        "classes": cnn.classes_.tolist(),
        "class_prior": priors,
    }
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, description=json.dumps(described), **cnn.weights_)
    unfinished.replace(path)


def open_teacher(path: Path, X: Any) -> PretrainedEmotionClassifier:
    """Return a model whose opinion of labels is asked; `X` holds a face or more."""
    teacher = PretrainedEmotionClassifier(model=path)
    if open_output(teacher)[0] is not None:
        teacher.set_params(output="labels")
    return teacher.fit(X[:1])  # learns nothing


def processor() -> str:
    """Return the name of the processor."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def network(text: str) -> Any:
    """Return the name of an architecture, or its settings from JSON."""
    return json.loads(text) if text.startswith("{") else text


def main(argv: list[str] | None = None) -> None:
    """Train, write."""
    folder = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", "."))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=folder / "facial_emotions_train.zip")
    parser.add_argument("--votes", type=Path, default=folder / "ferplus" / "train_votes.csv")
    parser.add_argument("--out", type=Path, default=Path("emotion"), help="path without suffix")
    parser.add_argument(
        "--network", type=network, default="large", help="'small', 'large' or settings as JSON"
    )
    parser.add_argument("--weights", help="network to begin with, a registered name or a file")
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=130)
    parser.add_argument(
        "--validation", type=float, default=0.05, help="share held out; 0 keeps the last epoch"
    )
    teachers = parser.add_mutually_exclusive_group()
    teachers.add_argument("--teacher", type=Path, help="model file that teaches labels, too")
    teachers.add_argument("--train-teacher", action="store_true", help="train one first")
    parser.add_argument("--teacher-weight", type=float, default=0.5)
    parser.add_argument("--votes-weight", type=float, default=0.5)
    parser.add_argument("--mixup", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--checkpoint-dir", type=Path, help="go on from here if stopped before")
    arguments = parser.parse_args(argv)

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    stem = arguments.out
    stem.parent.mkdir(parents=True, exist_ok=True)
    bunch = load_image_folder(arguments.data)
    X, y = bunch.data, np.asarray(bunch.target)
    votes = load_votes(arguments.votes, files=bunch.filenames)
    print(f"{len(X)} faces of {sorted(set(y))}")
    teacher: Any = None
    taught: dict[str, Any] | None = None
    if arguments.train_teacher:
        print("the teacher:")
        teacher, taught = train(arguments, X, y, votes, teacher=None, seed=arguments.seed + 1)
        save(teacher, stem.with_name(f"{stem.name}_teacher.npz"))
    elif arguments.teacher is not None:
        teacher = open_teacher(arguments.teacher, X)
        taught = {"file": arguments.teacher.name, "sha256": sha256(arguments.teacher)}
    cnn, training = train(arguments, X, y, votes, teacher=teacher, seed=arguments.seed)
    weights = stem.with_name(f"{stem.name}.npz")
    save(cnn, weights)
    provenance = {
        "command": sys.argv if argv is None else argv,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "threads": arguments.threads,
        "data": {path.name: sha256(path) for path in (arguments.data, arguments.votes)},
        "teacher": taught,
        "training": training,
        **write_files([weights], stem, X, y, votes, seed=arguments.seed),
    }
    ours = ("emotion-estimators", "skorch", "scikit-learn")
    provenance["versions"] |= {name: version(name) for name in ours}
    path = stem.with_name(f"{stem.name}.json")
    path.write_text(json.dumps(provenance, indent=1, default=str))
    print(f"wrote {path}: best epoch {cnn.history_[cnn.best_epoch_ - 1]}")


if __name__ == "__main__":
    main()

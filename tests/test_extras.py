"""What is imported: by the package nothing heavy, by each extra's classes only what it brings."""

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import metadata, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HEIC = str(Path(__file__).parent / "images" / "rotated.heic")

# by their names as modules; scikit-learn 1.6 imports pandas by itself where it is installed
OPTIONAL = {
    "av": {"video"},
    "cv2": None,
    "jax": None,
    "keras": {"keras"},
    "matplotlib": {"plot"},
    "pandas": {"table"},
    "pi_heif": {"heif"},
    "pyarrow": {"parquet"},
    "pytorch_lightning": {"lightning", "timm"},
    "scikeras": {"keras"},
    "skimage": {"cascade"},
    "skorch": {"torch"},
    "tensorflow": None,
    "timm": {"timm"},
    "torch": {"torch", "lightning", "timm", "keras"},  # one of the backends of Keras
    "torchvision": {"timm"},  # timm's own requirement
}
NOT_IN_ALL = {"video", "timm"}

# For each extra, what is done with it alone; "" is an install without extras.
USES = {
    "": """
        from emotion_estimators import (
            EmotionEmbedder, FaceCropper, FacenetEmbedder, MirrorKernelRidgeClassifier,
            PretrainedEmotionClassifier, make_embedding_classifier, make_facenet_classifier,
            make_hog_classifier,
        )
        from emotion_estimators.model_selection import IterativeStratifiedKFold
        X, y = make_faces(14, random_state=0)
        make_hog_classifier().fit(X, y).predict(X)
        make_embedding_classifier().fit(X, y).predict(X)
        EmotionEmbedder().transform(X)
        MirrorKernelRidgeClassifier().fit(X, y).predict(X)
        PretrainedEmotionClassifier().predict(X)
        FacenetEmbedder(weights=None, image_size=80).fit_transform(X[:1])
        FaceCropper(on_no_face="whole").fit_transform(X)
        from emotion_estimators.analysis import iterate_faces
        cropper = FaceCropper(detector=lambda photo: [[0, 0, 9, 9]])
        assert len(list(iterate_faces(X, cropper=cropper))) == 14
    """,
    "plot": """
        import matplotlib
        matplotlib.use("agg")
        from emotion_estimators.inspection import PredictionDisplay
        X, y = make_faces(4, random_state=0)
        PredictionDisplay.from_predictions(X, y, y)
    """,
    "table": """
        from emotion_estimators import FaceCropper
        from emotion_estimators.analysis import analyze_faces
        X, _ = make_faces(2, random_state=0)
        cropper = FaceCropper(detector=lambda photo: [[0, 0, 9, 9]])
        assert len(analyze_faces(X, cropper=cropper)) == 2
        import tempfile
        from pathlib import Path
        from emotion_estimators.datasets import load_votes
        from emotion_estimators.labels import VOTE_COLUMNS
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "votes.csv")
            path.write_text(",".join(["file", *VOTE_COLUMNS]) + "\\na/0.png" + ",1" * 10)
            assert load_votes(path).shape == (1, 10)
    """,
    "heif": f"""
        from emotion_estimators.images import read_image
        assert read_image({HEIC!r}).shape == (64, 48, 3)
    """,
    "video": """
        import tempfile
        from pathlib import Path
        import av
        from emotion_estimators import FaceCropper
        from emotion_estimators.analysis import iterate_video
        X, _ = make_faces(5, random_state=0, color="rgb")
        cropper = FaceCropper(detector=lambda photo: [[0, 0, 9, 9]])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "clip.mp4")
            with av.open(path, "w") as container:
                stream = container.add_stream("mpeg4", rate=10, width=48, height=48)
                for pixels in X:
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
                container.mux(stream.encode(None))
            assert len(list(iterate_video(path, cropper=cropper))) == 5
    """,
    "parquet": """
        import tempfile
        from pathlib import Path
        from emotion_estimators.cli.tables import open_table
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "table.parquet")
            table, _ = open_table(path, ["row", "image", "score"])
            table.write([{"row": 0, "image": "a.png", "score": 0.5}])
            table.finish()
            table.close()
            import pyarrow.parquet
            assert pyarrow.parquet.read_table(path).num_rows == 1
    """,
    "cascade": """
        from emotion_estimators import FaceCropper
        X, _ = make_faces(2, random_state=0)
        FaceCropper(detector="cascade", on_no_face="whole").fit_transform(X)
    """,
    "torch": """
        from emotion_estimators import EmotionCNNClassifier
        X, y = make_faces(14, random_state=0)
        EmotionCNNClassifier(max_epochs=1, random_state=0).fit(X, y).predict(X)
    """,
    "keras": """
        from emotion_estimators import EmojiCNNClassifier
        X, y = make_faces(14, random_state=0)
        EmojiCNNClassifier(max_epochs=1, random_state=0).fit(X, y).predict(X)
    """,
    "lightning": """
        import numpy as np
        from emotion_estimators import LightningMultiLabelClassifier
        X, y = make_faces(14, random_state=0)
        Y = np.stack([y == "happy", y == "sad"], axis=1).astype(int)
        LightningMultiLabelClassifier(max_epochs=1, random_state=0).fit(X, Y).predict(X)
    """,
    "timm": """
        import numpy as np
        from emotion_estimators import LightningMultiLabelClassifier
        X, y = make_faces(14, random_state=0)
        Y = np.stack([y == "happy", y == "sad"], axis=1).astype(int)
        settings = {"max_epochs": 1, "image_size": 160, "random_state": 0}
        LightningMultiLabelClassifier(network="timm:test_vit", **settings).fit(X, Y).predict(X)
    """,
    # nobody has said on what Keras is to run, and its own choice is not installed
    "all": """
        import os
        import warnings
        os.environ.pop("KERAS_BACKEND")
        from emotion_estimators import EmojiCNNClassifier
        X, y = make_faces(14, random_state=0)
        emoji = EmojiCNNClassifier(network={"filters": (4, 4)}, max_epochs=1, random_state=0)
        for _ in range(2):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                emoji.fit(X, y)
            print(*(f"{w.filename} {w.message}" for w in caught if "Keras" in str(w.message)))
        import keras
        print(keras.backend.backend(), "KERAS_BACKEND" in os.environ)
    """,
}

# Python as it is where these packages are not installed
START = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            return None
        return self.finder.find_spec(name, path, target)

    def find_distributions(self, *context):
        find = getattr(self.finder, "find_distributions", lambda *_: ())
        for distribution in find(*context):
            if distribution.name.lower() not in {blocked!r}:  # torchmetrics asks for these
                yield distribution

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(f) if hasattr(f, "find_spec") else f for f in sys.meta_path]
from emotion_estimators.datasets import make_faces
"""


def run(code, **environment):
    environment = {**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", **environment}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_optional_package_is_known_here():
    extras = set(metadata("emotion-estimators").get_all("Provides-Extra"))
    assert extras == set().union(*filter(None, OPTIONAL.values())) | {"all"}
    named = {}
    for line in requires("emotion-estimators"):
        requirement = Requirement(line)
        assert "video" not in requirement.extras  # those of all: there is GPL code in its wheels
        for extra in extras - {"all"}:
            if requirement.marker and requirement.marker.evaluate({"extra": extra}):
                named.setdefault(extra, set()).add(requirement.name.replace("-", "_"))
    modules = {"scikit_image": "skimage"}
    for extra, packages in named.items():
        for package in packages:
            assert extra in OPTIONAL[modules.get(package, package)]


def test_public_names_import_no_optional_package():
    printed = run(
        "import sys, sklearn.base, sklearn.pipeline, sklearn.svm, sklearn.model_selection\n"
        "before = set(sys.modules)\n"
        "import importlib, emotion_estimators\n"
        "for part in ('', '.analysis', '.classifiers', '.datasets', '.features', '.images',\n"
        "             '.inspection', '.labels', '.metrics', '.model_selection', '.testing',\n"
        "             '.weights'):\n"
        "    module = importlib.import_module('emotion_estimators' + part)\n"
        "    for name in getattr(module, '__all__', dir(module)):\n"
        "        getattr(module, name)\n"
        f"heavy = { ({*OPTIONAL, 'onnx', 'h5py'})!r}\n"
        "print(sorted(heavy & set(sys.modules) - before))"
    )
    assert printed.strip() == "[]"


def brings(extra, module):
    """Return whether an extra brings a module, "" being an install without extras."""
    extras = OPTIONAL[module] or set()
    return bool(extras - NOT_IN_ALL) if extra == "all" else extra in extras


@pytest.mark.parametrize("extra", USES)
def test_an_extra_alone_is_enough_for_its_classes(extra, tmp_path):
    wanted = sorted(name for name in OPTIONAL if brings(extra, name) and name != "torch")
    for name in wanted:
        reason = f"the extra {extra} brings it"
        if importlib.util.find_spec(name) is None:
            pytest.skip(reason)
        if name == "torchvision":  # that of another build of torch does not import
            pytest.importorskip(name, reason=reason, exc_type=Exception)
    lines = USES[extra].splitlines()
    blocked = {name for name in OPTIONAL if not brings(extra, name)}
    code = START.format(blocked=blocked) + "\n".join(line[8:] for line in lines)
    said = run(code, KERAS_HOME=str(tmp_path))
    if extra == "all":
        first, second, last, *_ = said.split("\n")
        assert first.startswith("<string> EmojiCNNClassifier uses Keras on torch: tensorflow, whi")
        assert "Set the environment variable KERAS_BACKEND to torch" in first
        assert (second, last) == ("", "torch False")

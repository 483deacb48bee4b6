"""How ONNX Runtime is started."""

import os
import subprocess
import sys


def test_nothing_is_told_about_the_user(tmp_path):
    code = """
    import sys
    from emotion_estimators import PretrainedEmotionClassifier
    from emotion_estimators.datasets import make_faces
    X, _ = make_faces(1, random_state=0)
    PretrainedEmotionClassifier(model="embedded-small").predict(X)
    assert "onnxruntime" in sys.modules
    """
    environment = {**os.environ, "HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    for name in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"):
        environment.pop(name, None)
    lines = "\n".join(line[4:] for line in code.splitlines())
    subprocess.run([sys.executable, "-c", lines], env=environment, check=True)
    # ONNX Runtime 1.32 keeps an identifier of the machine there, and events to be sent
    assert list(tmp_path.rglob("*")) == []

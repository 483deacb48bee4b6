import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_first_block_prints_what_the_readme_says():
    code, printed = re.findall(r"```(?:python)?\n(.*?)```", README.read_text(), re.DOTALL)[:2]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})  # noqa: S102 - the README's own example
    # the score may differ in the last digits where BLAS rounds in another way
    parameters, score = output.getvalue().rsplit(" ", 1)
    expected_parameters, expected_score = printed.rsplit(" ", 1)
    assert parameters == expected_parameters
    assert abs(float(score) - float(expected_score)) < 0.01

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_blocks_print_what_the_readme_says():
    text = README.read_text()
    shown = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", text, re.DOTALL)
    assert len(shown) == text.count("```python") == 2
    names: dict[str, object] = {}
    for code, printed in shown:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, names)  # noqa: S102 - the README's own example
        # numbers may differ in the last digits where BLAS rounds in another way
        number = r"\d+\.\d{3}"
        assert re.sub(number, "", output.getvalue()) == re.sub(number, "", printed)
        for got, expected in zip(
            re.findall(number, output.getvalue()), re.findall(number, printed), strict=True
        ):
            assert abs(float(got) - float(expected)) < 0.01

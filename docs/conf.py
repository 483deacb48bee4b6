"""Settings of Sphinx. ``make docs`` builds with warnings as errors, without the network."""

import os
import sys
from pathlib import Path

import emotion_estimators

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

# Examples run without a display, on the backend of Keras that the environment has, and never
# download: what they need is drawn.
os.environ["MPLBACKEND"] = "agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other count as work
os.environ.pop("EMOTION_ESTIMATORS_DATA", None)
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ["EMOTION_ESTIMATORS_OFFLINE"] = "1"

project = "emotion_estimators"
author = "The emotion_estimators developers"
project_copyright = author
version = release = emotion_estimators.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "citation",
    "gallery_checks",
    "weight_cards",
]
# the last two are included in pages
exclude_patterns = ["_build", "front.md", "results/*"]
templates_path = ["_templates"]
default_role = "autolink"  # `name` in docstrings: a link where the name is known, else emphasis

suppress_warnings = ["myst.header"]  # sections of the README, included, begin at level two

smartquotes = False  # code and options stand in plain text, too

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc sections state the types
numpydoc_show_class_members = False  # the template of a class lists its methods

# Links into other projects need their inventories from the network: asked for, or left out.
_INVENTORIES = {
    "numpy": ("https://numpy.org/doc/stable", None),
    "pandas": ("https://pandas.pydata.org/docs", None),
    "python": ("https://docs.python.org/3", None),
    "skimage": ("https://scikit-image.org/docs/stable", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
}
intersphinx_mapping = _INVENTORIES if os.environ.get("DOCS_INTERSPHINX") else {}

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"[\\/]plot_",
    "ignore_pattern": r"^(?:.*[\\/])?(?!plot_)[^\\/]*\.py$",  # scripts with arguments
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib", "gallery_checks.watch"),
    "reset_modules_order": "both",
    "download_all_examples": False,
    "remove_config_comments": True,
    "doc_module": ("emotion_estimators",),
    "backreferences_dir": None,
    "min_reported_time": 5,
    "show_memory": False,
    "write_computation_times": False,
    "within_subsection_order": "FileNameSortKey",
}

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_js_files = ["versions.js"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/versions.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_title = f"emotion-estimators {release}"
html_copy_source = False

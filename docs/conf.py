"""How the documentation is built: `python -m sphinx -W --keep-going -b html docs docs/_build/html`.

Pages are Markdown (MyST), the API reference comes from docstrings, and the notebooks are executed:
an error in one of them fails the build. Nothing is loaded from the network, neither while building
nor while reading: MathJax and its fonts are copied beside the pages.
"""

import os
import sys
from importlib import metadata
from pathlib import Path

DOCS = Path(__file__).parent
REPOSITORY = DOCS.parent
# the checkout is what is documented, whatever else is installed; kernels of notebooks see it too
sys.path[:0] = [str(DOCS), str(REPOSITORY)]
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])
)


def _release() -> str:
    try:
        return metadata.version("amplify-hep")
    except metadata.PackageNotFoundError:
        return ""


project = "amplify"
author = "The amplify developers"
release = version = _release()
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
    "reference",
    "drawn",
]
exclude_patterns = ["_build", "api/names.md"]

# Markdown: formulas between dollars, headings that can be linked to as page.md#title
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

# notebooks are stored without outputs and executed in a scratch folder
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# the reference: sections of docstrings in Google style, in the order of the source
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
default_role = "py:obj"
add_module_names = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = "amplify"
html_static_path = ["_static"]
html_css_files = ["amplify.css"]
html_copy_source = False
html_show_sphinx = False

"""How Sphinx builds the site. `make docs` fills the folder of sources first: see gemini_workshop/authoring/site."""

import gemini_workshop.serving.server  # noqa: F401  (autodoc cannot be the first to import pydantic)
from gemini_workshop import __version__

project = html_title = "gemini-from-scratch"
version = release = __version__
root_doc = "index"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "gemini_workshop.authoring.site.formulas",
    "gemini_workshop.authoring.site.outputs",
]
exclude_patterns = ["files"]
suppress_warnings = ["ref.python"]  # docstrings name a class without its module

nb_execution_mode = "off"  # lessons are shown as they are stored
nb_ipywidgets_js = {}  # myst-nb would load them from a CDN
nb_number_source_lines = False
myst_enable_extensions = ["dollarmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 4  # named as GitHub names them
html_math_renderer = "mathml"

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
add_module_names = False
python_maximum_signature_line_length = 80
default_role = "code"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_show_copyright = False
copybutton_prompt_text = ">>> "
pygments_style, pygments_dark_style = "friendly", "github-dark"

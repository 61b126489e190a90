"""Installs tfcompress."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).resolve().parent
SOURCE = (ROOT / "tfcompress" / "__init__.py").read_text(encoding="utf-8")
VERSION = re.search(r'^__version__ = "(.+)"$', SOURCE, re.MULTILINE)[1]

EXTRAS = {
    "report": ["matplotlib>=3.8"],
    "notebook": ["nbclient>=0.10", "nbformat>=5.9", "ipykernel>=6.29"],
    "android": ["cryptography>=42"],
    # MkDocs 2 is another program; the reference is made from docstrings.
    "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.5,<10", "mkdocstrings[python]>=1.0,<2"],
}
# The tests run the notebook, draw the report and open it in the system's Chromium, and sign and encrypt models.
EXTRAS["test"] = ["pytest>=8.2", "pytest-xdist>=3.6", "hypothesis>=6.100", "ruff>=0.17,<0.18", "mypy>=2.4,<3"]
EXTRAS["test"] += ["playwright>=1.49,<2"]
EXTRAS["test"] += [*EXTRAS["report"], *EXTRAS["notebook"], *EXTRAS["android"]]
EXTRAS["all"] = sorted({name for names in EXTRAS.values() for name in names})

setup(
    name="tfcompress",
    version=VERSION,
    description="Smaller Keras models, proven as integer TensorFlow Lite files",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The tfcompress authors",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",  # TensorFlow 2.18 to 2.21 run on it
    packages=find_packages(include=["tfcompress", "tfcompress.*"]),
    package_data={
        "tfcompress": ["android/titles.json", "benchmarking/bench_schema.json", "moved_modules.json", "py.typed"]
    },
    entry_points={"console_scripts": ["tfcompress = tfcompress.cli:main"]},
    install_requires=[
        # The lower bounds are those of tests/oldest.txt, with which the tests run.
        # What the converter makes of a graph changes from release to release; a new one is tried first.
        "tensorflow>=2.18,<2.22",
        # The graph engine leans on a few names of Keras that are not public; a new release is tried first.
        "keras>=3.8,<3.16",
        "tensorflow-model-optimization>=0.8.1",
        "ai-edge-litert>=2.3",
        "numpy>=1.26",
        "absl-py>=1.4,<2",  # tfmot 0.8.1 asks for absl-py 1
        "pillow>=10",
        "typing-extensions>=4.5",  # `Self`, which Python has from 3.11 on
    ],
    extras_require=EXTRAS,
    classifiers=[
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)

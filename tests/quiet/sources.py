"""Sources in many languages, and files that tools write. Nothing here is a test."""

from __future__ import annotations

import base64
import json

from tests.containers.whole import made

CMAKE = """cmake_minimum_required(VERSION 3.18)
project(demo LANGUAGES CXX CUDA)
find_package(Python REQUIRED COMPONENTS Interpreter)
add_library(demo src/demo.cpp)
target_include_directories(demo PUBLIC include)
"""

CMAKE_MODULE = (
    "include(CMakeFindDependencyMacro)\nif(NOT TARGET demo)\n  include(${CMAKE_CURRENT_LIST_DIR}/a.cmake)\nendif()\n"
)

CMAKE_IN = "@PACKAGE_INIT@\n\ncheck_required_components(demo)\n"

C = '#include <stdio.h>\n\nint main(void) {\n    printf("hello\\n");\n    return 0;\n}\n'

C_BARE = "int add(int a, int b)\n{\n    return a + b;\n}\n"

CPP = """// a comment
#include <vector>
namespace demo {
template <typename T>
class Net {
 public:
  explicit Net(T x) : x_(x) {}
 private:
  T x_;
};
}  // namespace demo
"""

HEADER = '#pragma once\n\nextern "C" {\nint add(int a, int b);\n}\n'

CUDA = "__global__ void add(float* a, const float* b, int n) {\n  int i = blockIdx.x * blockDim.x + threadIdx.x;\n}\n"

FORTRAN = "MODULE string_test\n\n  character(len=8) :: string\n  character string77 * 8\n\n  character(len=12)\nEND\n"

FORTRAN_77 = "C     FILE: FIB1.F\n      SUBROUTINE FIB(A,N)\nC\n      INTEGER N\n      REAL*8 A(N)\n      END\n"

GO = 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("hello")\n}\n'

RUST = "use std::io;\n\nfn main() {\n    let mut a = String::new();\n    io::stdin().read_line(&mut a).unwrap();\n}\n"

JS = "'use strict';\nconst a = require('fs');\nmodule.exports = {a};\n"

JS_MINIFIED = "!function(e,t){'object'==typeof exports?t(exports):t(e)}(this,function(e){" + "a();" * 400 + "});"

TS = "import {A} from './a';\n\nexport interface B extends A {\n  name: string;\n}\n"

CSS = "body {\n  color: #000;\n}\n@media print { body { color: #fff; } }\n"

JAVA = "package org.example;\n\npublic class Demo {\n    private int a;\n}\n"

R = "library(ggplot2)\ndata <- read.csv('data.csv')\nprint(summary(data))\n"

JULIA = "using LinearAlgebra\n\nfunction f(x)\n    return x^2\nend\n"

MATLAB = "function y = f(x)\n% F  squares it\ny = x .^ 2;\nend\n"

LUA = "local M = {}\n\nfunction M.add(a, b)\n  return a + b\nend\n\nreturn M\n"

SQL = "CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT);\nINSERT INTO a VALUES (1, 'x');\n"

SHELL = '#!/usr/bin/env bash\nset -euo pipefail\ncd "$(dirname "$0")"\npython -m demo "$@"\n'

BATCH = "@echo off\r\nset PATH=%PATH%;C:\\demo\r\npython -m demo %*\r\n"

PROTO = 'syntax = "proto3";\n\npackage demo;\n\nmessage A {\n  int32 id = 1;\n}\n'

PROTO_TEXT = 'name: "net"\nlayer {\n  name: "conv1"\n  type: "Convolution"\n}\n'

CYTHON = "cimport numpy as np\nimport numpy as np\n\ncdef double f(double x):\n    return x * x\n"

PYTHON = '"""A module."""\n\nfrom __future__ import annotations\n\nimport os\n\n\nclass Net:\n    pass\n'

PYTHON_BARE = "import os\nimport sys\n\n\ndef main():\n    print(os.getcwd())\n"

PYTHON_COPYRIGHT = "# Copyright 2024 The Authors. All rights reserved.\n\nclass A(object):\n    x = 1\n"

CONFTEST = "import pytest\n\n\n@pytest.fixture\ndef one():\n    return 1\n"

SPHINX_CONF = """# Configuration file for the Sphinx documentation builder.

project = 'demo'
copyright = '2024, the authors'
author = 'the authors'

extensions = ['sphinx.ext.autodoc', 'sphinx.ext.napoleon']
html_theme = 'alabaster'
"""

SPHINX_CONF_BARE = "import os\nimport sys\nsys.path.insert(0, os.path.abspath('..'))\n" + SPHINX_CONF

SPHINX_CONF_SHORT = SPHINX_CONF.split("\n\n", 1)[1].split("\n", 1)[1]

INDEX = """Welcome to demo's documentation!
================================

.. toctree::
   :maxdepth: 2
   :caption: Contents:

   usage
   api/modules

Indices and tables
==================

* :ref:`genindex`
"""

API = "demo package\n============\n\n.. automodule:: demo\n   :members:\n   :undoc-members:\n"


def notebook() -> str:
    """A notebook with a picture among its outputs."""
    picture = base64.b64encode(made.png()).decode()
    code = {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "source": ["import numpy as np\n", "np.arange(3)"],
        "outputs": [
            {"output_type": "display_data", "data": {"image/png": picture, "text/plain": ["<Figure>"]}, "metadata": {}},
            {"output_type": "stream", "name": "stdout", "text": ["hello\n", "cos(x)\n"]},
        ],
    }
    text = {"cell_type": "markdown", "metadata": {}, "source": ["# A notebook\n"]}
    return json.dumps({"cells": [text, code], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


LANGUAGES: dict[str, str] = {
    "main.c": C, "add.c": C_BARE, "net.cpp": CPP, "net.hpp": HEADER, "add.cu": CUDA, "string.f90": FORTRAN,
    "fib.f": FORTRAN_77, "main.go": GO, "main.rs": RUST, "index.js": JS, "bundle.min.js": JS_MINIFIED, "b.ts": TS,
    "style.css": CSS, "Demo.java": JAVA, "plot.R": R, "f.jl": JULIA, "f.m": MATLAB, "m.lua": LUA, "schema.sql": SQL,
    "run.sh": SHELL, "run.bat": BATCH, "a.proto": PROTO, "net.prototxt": PROTO_TEXT, "fast.pyx": CYTHON,
}  # fmt: skip
"""One source of each language."""

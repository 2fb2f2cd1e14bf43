"""Texts that lie in most repositories: licences, notes, settings, workflows. Nothing here is a test."""

from __future__ import annotations

MIT = """MIT License

Copyright (c) 2024 The Authors

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT.
"""

MIT_BARE = MIT.removeprefix("MIT License\n\n")

MIT_OF = "The MIT License (MIT)\n\n" + MIT_BARE

BSD = """Copyright (c) 2024, The Authors. All rights reserved.

Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:

* Redistributions of source code must retain the above copyright notice, this
  list of conditions and the following disclaimer.

* Redistributions in binary form must reproduce the above copyright notice,
  this list of conditions and the following disclaimer in the documentation
  and/or other materials provided with the distribution.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS".
"""

BSD_NAMED = "BSD 3-Clause License\n\n" + BSD

APACHE = """
                                 Apache License
                           Version 2.0, January 2004
                        http://www.apache.org/licenses/

   TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION

   1. Definitions.

      "License" shall mean the terms and conditions for use, reproduction,
      and distribution as defined by Sections 1 through 9 of this document.

      "Licensor" shall mean the copyright owner or entity authorized by
      the copyright owner that is granting the License.
"""

GPL = """                    GNU GENERAL PUBLIC LICENSE
                       Version 3, 29 June 2007

 Copyright (C) 2007 Free Software Foundation, Inc. <https://fsf.org/>
 Everyone is permitted to copy and distribute verbatim copies
 of this license document, but changing it is not allowed.

                            Preamble

  The GNU General Public License is a free, copyleft license for
software and other kinds of works.
"""

MPL = "Mozilla Public License Version 2.0\n==================================\n\n1. Definitions\n--------------\n"

README = """# demo

[![tests](https://example.org/badge.svg)](https://example.org)

Please see the documentation. N.B. the interface may change.

## Installation

    pip install demo

| name | value |
|------|-------|
| a    | 1     |
"""

README_RST = """demo
====

.. image:: https://example.org/badge.svg

Installation
------------

::

    pip install demo
"""

CHANGELOG = """# Changelog

All notable changes are documented here.

## [0.2.0] - 2024-05-01

### Added

- Initial support for `numpy` 2.

## [0.1.0] - 2024-01-01
"""

NEWS = "0.2.0 (2024-05-01)\n------------------\n\n* Initial support.\n\n.. _issue: https://example.org\n"

CONTRIBUTING = "Contributing\n============\n\nIssues and pull requests are welcome.\n\n1. Fork it.\n2. Test it.\n"

CONDUCT = "# Contributor Covenant Code of Conduct\n\n## Our Pledge\n\nIn the interest of fostering an open community\n"

AUTHORS = "Jane Doe <jane@example.org>\nJohn Roe <john@example.org>\nRenée Müller <renee@example.org>\n"

CITATION = """cff-version: 1.2.0
message: If you use this software, please cite it.
title: demo
authors:
  - family-names: Doe
    given-names: Jane
"""

GITIGNORE = "__pycache__/\n*.py[cod]\n.env\nbuild/\ndist/\n!.gitkeep\n/data\n"

GITATTRIBUTES = "*.png binary\n*.sh text eol=lf\n"

EDITORCONFIG = "root = true\n\n[*]\nindent_style = space\nindent_size = 4\ncharset = utf-8\n"

PRE_COMMIT = """repos:
  - repo: https://github.com/pre-commit/pre-commit-hooks
    rev: v4.6.0
    hooks:
      - id: end-of-file-fixer
      - id: trailing-whitespace
"""

WORKFLOW = """name: tests

on:
  push:
    branches: [main]
  pull_request:

jobs:
  test:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        python: ["3.10", "3.12"]
    steps:
      - uses: actions/checkout@v4
      - run: pip install -e .[test]
      - run: pytest
"""

GITLAB = "image: python:3.11\n\nstages:\n  - test\n\ntest:\n  stage: test\n  script:\n    - pytest\n"

DOCKERFILE = """FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
CMD ["python", "-m", "demo"]
"""

COMPOSE = "services:\n  web:\n    build: .\n    ports:\n      - '8000:8000'\n"

MAKEFILE = """.PHONY: test lint

test:
\tpytest -q

lint:
\truff check .

%.o: %.c
\t$(CC) -c $< -o $@
"""

SETUP_CFG = "[metadata]\nname = demo\nversion = 0.2.0\n\n[options]\npackages = find:\ninstall_requires =\n    numpy\n"

PYPROJECT = """[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "demo"
version = "0.2.0"
dependencies = ["numpy", "pandas"]

[tool.ruff]
line-length = 100
"""

TOX = "[tox]\nenvlist = py310, py312\n\n[testenv]\ndeps = pytest\ncommands = pytest {posargs}\n"

MANIFEST = "include LICENSE README.md\nrecursive-include demo *.json\nglobal-exclude *.pyc\n"

METADATA = """Metadata-Version: 2.1
Name: demo
Version: 0.2.0
Summary: A demo
Requires-Dist: numpy
Classifier: Programming Language :: Python :: 3

# demo
"""

WHEEL = "Wheel-Version: 1.0\nGenerator: setuptools (69.0.0)\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

ENTRY_POINTS = "[console_scripts]\ndemo = demo.cli:main\n"

PEM = """-----BEGIN CERTIFICATE-----
MIIBhTCCASugAwIBAgIQIRi6zePL6mKjOipn+dNuaTAKBggqhkjOPQQDAjASMRAw
DgYDVQQKEwdBY21lIENvMB4XDTE3MTAyMDE5NDMwNloXDTE4MTAyMDE5NDMwNlow
-----END CERTIFICATE-----
"""

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq0v5ZfX9yXq0o1Qf9m0m3b0m7n1x2c3v4b5n6m7a8s demo@example.org\n"

PATCH = """From 5b0b3e5 Mon Sep 17 00:00:00 2001
From: Jane Doe <jane@example.org>
Subject: [PATCH] Fix it

---
 demo/a.py | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/demo/a.py b/demo/a.py
index 83db48f..bf2a4c1 100644
--- a/demo/a.py
+++ b/demo/a.py
@@ -1 +1 @@
-x = 1
+x = 2
"""

MAN = '.TH DEMO 1 "May 2024" "demo 0.2.0"\n.SH NAME\ndemo \\- does it\n.SH SYNOPSIS\n.B demo\n[\\fIoptions\\fR]\n'

LATEX = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\begin{document}
\section{Introduction}
In this paper, $a^2 + b^2 = c^2$. % a comment
\end{document}
"""

BIBTEX = "@article{doe2024,\n  author = {Doe, Jane},\n  title = {It},\n  year = {2024},\n}\n"

HTML = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>demo</title></head>
<body><h1>demo</h1><script>var a = {"b": [1, 2]};</script></body>
</html>
"""

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><path d="M0 0L8 8" stroke="#000"/></svg>\n'

XML = '<?xml version="1.0"?>\n<project name="demo" default="all">\n  <target name="all"/>\n</project>\n'

PO = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Language: de\\n"

#: demo/a.py:1
msgid "hello"
msgstr "grüß dich"
"""

EVERYWHERE: dict[str, str] = {
    "README.md": README, "CHANGELOG.md": CHANGELOG, "CONTRIBUTING.md": CONTRIBUTING, "CODE_OF_CONDUCT.md": CONDUCT,
    ".gitignore": GITIGNORE, ".gitattributes": GITATTRIBUTES, ".editorconfig": EDITORCONFIG,
    ".pre-commit-config.yaml": PRE_COMMIT, ".github/workflows/tests.yml": WORKFLOW, "Makefile": MAKEFILE,
    "CITATION.cff": CITATION, "AUTHORS": AUTHORS,
}  # fmt: skip
"""What every repository has."""

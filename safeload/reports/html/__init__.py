"""The HTML report: one self-contained page, made of markup, one style and one script. Loads nothing from anywhere."""

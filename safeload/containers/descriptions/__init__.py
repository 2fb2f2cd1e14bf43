"""Readers of the descriptions in program formats (Keras config, .pt2 program, skops schema), with closed tables."""

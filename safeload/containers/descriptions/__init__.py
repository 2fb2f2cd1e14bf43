"""Descriptions that a program format carries (Keras config, .pt2 program, skops schema): judged by closed tables."""

"""Figures and widgets in one house style."""

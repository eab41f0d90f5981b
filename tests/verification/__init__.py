"""Comparing two models."""

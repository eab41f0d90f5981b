"""Tests of the readers of training and test data."""

"""Tests of `graphcnn.recipe`."""

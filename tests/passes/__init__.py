"""Tests of `graphcnn.passes`."""

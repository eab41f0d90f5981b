"""Tests of `graphcnn.export` and of compiling."""

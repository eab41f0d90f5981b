"""Tests of `graphcnn.report`."""

"""Tests of `graphcnn.frontends`."""

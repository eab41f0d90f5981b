"""Tests of the operators: samples, drawn settings and known values."""

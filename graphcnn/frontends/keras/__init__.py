"""Keras models in, `Graph` out, without Keras: files and live models.

A model's description is JSON (`config`), which is read into layers and their calls. The calls are
made one after another into nodes of a graph (`importer`): layers by a table of what their keys mean
(`layers`), operations on tensors by a table of their own (`operations`). Weights are found by the
names of layers (`arrays`). Nothing in a file is executed.
"""

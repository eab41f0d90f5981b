"""Options that several commands take."""

from __future__ import annotations

import click

data = click.option(
    "--data",
    required=True,
    metavar="DATA",
    help="A folder of IDX files, CIFAR-10's batches, an .npz file, a folder of class folders of "
    "images, or mnist, fashion_mnist, cifar10.",
)

split = click.option(
    "--split",
    type=click.Choice(["test", "train"]),
    default="test",
    show_default=True,
    help="Which part of the data.",
)

provider = click.option(
    "--provider",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="What runs it; auto takes CUDA where the installed onnxruntime can use it.",
)

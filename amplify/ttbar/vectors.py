"""Algebra of three- and four-vectors on the last axis, in the library (NumPy or JAX) and precision
of what is given.
"""

from typing import Any

Numbers = Any  # a NumPy or JAX array
Momentum = Any  # a NumPy or JAX array [..., 4]: (E, px, py, pz) in GeV


def library(a: Numbers) -> Any:
    """The array's own namespace: numpy or jax.numpy."""
    return a.__array_namespace__()


def dot(a: Numbers, b: Numbers) -> Numbers:
    """Scalar product over the last axis."""
    return (a * b).sum(axis=-1)


def minkowski(a: Momentum, b: Momentum) -> Numbers:
    """Scalar product of four-vectors with metric (+, -, -, -)."""
    return a[..., 0] * b[..., 0] - dot(a[..., 1:], b[..., 1:])


def unit(v: Numbers) -> Numbers:
    """The direction of a vector."""
    return v / library(v).sqrt(dot(v, v))[..., None]


def four(energy: Numbers, vector: Numbers) -> Momentum:
    """Four-vector of an energy [...] and a momentum [..., 3]."""
    return library(energy).concatenate([energy[..., None], vector], axis=-1)


def at_least_zero(a: Numbers) -> Numbers:
    """Rounding below zero counts as zero."""
    return library(a).maximum(a, zero(a))


def at_most(a: Numbers, limit: float) -> Numbers:
    """Numbers with a ceiling."""
    return library(a).minimum(a, zero(a) + limit)


def zero(a: Numbers) -> Numbers:
    """A zero in the library and precision of `a`."""
    return library(a).zeros((), dtype=a.dtype)

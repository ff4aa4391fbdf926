"""Factors and solutions of small positive definite systems, many at once, without LAPACK.

A batched LAPACK call splits its batch over XLA's threads and waits for them; inside loops, on a busy machine, it has
been seen to wait forever. These are loops over columns, each a few operations on whole batches.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def cholesky(positive: Float[Array, "*stack n n"]) -> Float[Array, "*stack n n"]:
    """Lower triangular root of positive definite matrices; NaN where one is not."""
    size = positive.shape[-1]

    def column(j: Array, root: Array) -> Array:
        row = jax.lax.dynamic_slice_in_dim(root, j, 1, axis=-2)
        left = jnp.take(positive, j, axis=-1) - jnp.sum(root * row, -1)
        made = left / jnp.sqrt(jnp.take(left, j, axis=-1))[..., None]
        return root.at[..., j].set(jnp.where(jnp.arange(size) >= j, made, 0.0))

    return jax.lax.fori_loop(0, size, column, jnp.zeros_like(positive))


def solve_lower(root: Float[Array, "*stack n n"], right: Float[Array, "*stack n m"]) -> Float[Array, "*stack n m"]:
    """root^-1 right for lower triangular roots."""

    def row(i: Array, found: Array) -> Array:
        own = jax.lax.dynamic_slice_in_dim(root, i, 1, axis=-2)
        left = jax.lax.dynamic_slice_in_dim(right, i, 1, axis=-2) - own @ found
        return jax.lax.dynamic_update_slice_in_dim(found, left / jnp.take(own, i, axis=-1)[..., None], i, axis=-2)

    return jax.lax.fori_loop(0, root.shape[-1], row, jnp.zeros_like(right))


def inverse_root(root: Float[Array, "*stack n n"]) -> Float[Array, "*stack n n"]:
    """Inverse of lower triangular roots."""
    return solve_lower(root, jnp.broadcast_to(jnp.eye(root.shape[-1]), root.shape))


def inverse(positive: Float[Array, "*stack n n"]) -> Float[Array, "*stack n n"]:
    """Inverse of positive definite matrices."""
    half = inverse_root(cholesky(positive))
    return jnp.einsum("...ki,...kj->...ij", half, half)


def solve(positive: Float[Array, "*stack n n"], right: Float[Array, "*stack n"]) -> Float[Array, "*stack n"]:
    """positive^-1 right for positive definite matrices."""
    half = inverse_root(cholesky(positive))
    return jnp.einsum("...ki,...kj,...j->...i", half, half, right)

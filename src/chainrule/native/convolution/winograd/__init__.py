"""Convolutions with kernels of 3 by 3 by fewer multiplications: Winograd's algorithm F(2 x 2, 3 x 3).

A tile of 2 by 2 results is made of 4 by 4 places of the image d and a kernel g by

    A' [sum over channels of (G g G') * (B' d B)] A        (* element by element, ' transposed)

with 16 products for each channel instead of 36. For many tiles, the sums of each of the 16 positions are a product of
matrices, [tiles, channels] @ [channels, kernels], which the micro-kernel of all products computes. The derivative by
the image is the same with kernels turned round; that by the kernels reads the formula backwards, with cotangents y:

    G' [sum over tiles of (A y A') * (B' d B)] G

Winograd, "Arithmetic complexity of computations" (1980); Lavin & Gray, "Fast algorithms for convolutional neural
networks" (2016). Errors are relative to the largest numbers that a result looks at, not to each of its products; they
are about as large as by definition. A result depends on what it looks at alone, though infinity may become NaN.
"""

"""The paper's Tables 1, 2 and 3 as printed, as data.

Names are those of the rows without their citations, as :attr:`afsim.measures.Measure.paper_name` has them.
"""

from typing import Final, Literal, NamedTuple


class PaperRow(NamedTuple):
    """A row of a table of the paper.

    Attributes
    ----------
    kind : {"I*", "D*", "D1", "I1"}
        What the algorithm sees: the whole stack (*) or one slice (1), green (I) or dual pixels (D).
    name : str
        As printed.
    steps : int
        Predictions that it made.
    crop : bool
        Whether it was evaluated on the patches inside a 1.5x crop of the image alone.
    eq0, le1, le2, le4 : float
        Share of errors that are 0, and at most 1, 2 and 4 slices.
    mae, rmse : float
        Mean absolute and root mean square error in slices.
    """

    kind: Literal["I*", "D*", "D1", "I1"]
    name: str
    steps: int
    crop: bool
    eq0: float
    le1: float
    le2: float
    le4: float
    mae: float
    rmse: float


TABLE_1: Final[tuple[PaperRow, ...]] = (
    PaperRow("I*", "DCT Reduced Energy Ratio", 1, False, 0.034, 0.082, 0.122, 0.186, 18.673, 22.855),
    PaperRow("I*", "Total Variation (L1)", 1, False, 0.048, 0.136, 0.208, 0.316, 15.817, 21.013),
    PaperRow("I*", "Histogram Entropy", 1, False, 0.087, 0.230, 0.326, 0.432, 14.013, 20.223),
    PaperRow("I*", "Modified DCT", 1, False, 0.033, 0.091, 0.142, 0.235, 15.713, 20.197),
    PaperRow("I*", "Gradient Count (t = 3)", 1, False, 0.109, 0.312, 0.453, 0.612, 9.543, 16.448),
    PaperRow("I*", "Gradient Count (t = 10)", 1, False, 0.126, 0.347, 0.493, 0.645, 9.103, 16.218),
    PaperRow("I*", "DCT Energy Ratio", 1, False, 0.110, 0.286, 0.410, 0.554, 9.556, 15.286),
    PaperRow("I*", "Eigenvalue Trace", 1, False, 0.116, 0.303, 0.434, 0.580, 8.827, 14.594),
    PaperRow("I*", "Intensity Variance", 1, False, 0.116, 0.303, 0.434, 0.580, 8.825, 14.593),
    PaperRow("I*", "Intensity Coefficient of Variation", 1, False, 0.125, 0.327, 0.469, 0.624, 8.068, 13.808),
    PaperRow("I*", "Percentile Range (p = 3)", 1, False, 0.110, 0.293, 0.422, 0.570, 8.404, 13.761),
    PaperRow("I*", "Percentile Range (p = 1)", 1, False, 0.123, 0.326, 0.470, 0.633, 7.126, 12.312),
    PaperRow("I*", "Percentile Range (p = 0.3)", 1, False, 0.134, 0.347, 0.502, 0.672, 6.372, 11.456),
    PaperRow("I*", "Total Variation (L2)", 1, False, 0.167, 0.442, 0.611, 0.770, 5.488, 11.409),
    PaperRow("I*", "Sum of Modified Laplacian", 1, False, 0.209, 0.524, 0.706, 0.852, 4.169, 9.781),
    PaperRow("I*", "Diagonal Laplacian", 1, False, 0.210, 0.528, 0.709, 0.857, 4.006, 9.467),
    PaperRow("I*", "Laplacian Energy", 1, False, 0.208, 0.520, 0.701, 0.852, 3.917, 9.062),
    PaperRow("I*", "Laplacian Variance", 1, False, 0.195, 0.496, 0.672, 0.832, 3.795, 8.239),
    PaperRow("I*", "Mean Local Log-Ratio (σ = 1)", 1, False, 0.220, 0.559, 0.751, 0.906, 2.652, 6.396),
    PaperRow("I*", "Mean Local Ratio (σ = 1)", 1, False, 0.220, 0.559, 0.751, 0.906, 2.645, 6.374),
    PaperRow("I*", "Mean Local Norm-Dist-Sq (σ = 1)", 1, False, 0.219, 0.562, 0.752, 0.907, 2.526, 5.924),
    PaperRow("I*", "Wavelet Sum (ℓ = 2)", 1, False, 0.210, 0.547, 0.752, 0.918, 2.392, 5.650),
    PaperRow("I*", "Mean Gradient Magnitude", 1, False, 0.210, 0.545, 0.747, 0.915, 2.359, 5.284),
    PaperRow("I*", "Wavelet Variance (ℓ = 2)", 1, False, 0.198, 0.522, 0.731, 0.906, 2.398, 5.105),
    PaperRow("I*", "Gradient Magnitude Variance", 1, False, 0.205, 0.536, 0.739, 0.909, 2.374, 5.103),
    PaperRow("I*", "Wavelet Variance (ℓ = 3)", 1, False, 0.162, 0.429, 0.636, 0.854, 2.761, 5.006),
    PaperRow("I*", "Wavelet Ratio (ℓ = 3)", 1, False, 0.161, 0.430, 0.640, 0.862, 2.706, 4.856),
    PaperRow("I*", "Mean Wavelet Log-Ratio (ℓ = 2)", 1, False, 0.208, 0.544, 0.753, 0.927, 2.191, 4.843),
    PaperRow("I*", "Mean Local Ratio (σ = 2)", 1, False, 0.221, 0.570, 0.772, 0.931, 2.072, 4.569),
    PaperRow("I*", "Wavelet Ratio (ℓ = 2)", 1, False, 0.199, 0.527, 0.734, 0.911, 2.265, 4.559),
    PaperRow("I*", "Mean Local Log-Ratio (σ = 2)", 1, False, 0.221, 0.571, 0.772, 0.931, 2.067, 4.554),
    PaperRow("I*", "Wavelet Sum (ℓ = 3)", 1, False, 0.170, 0.458, 0.672, 0.888, 2.446, 4.531),
    PaperRow("I*", "Mean Local Norm-Dist-Sq (σ = 2)", 1, False, 0.221, 0.572, 0.770, 0.929, 2.056, 4.395),
    PaperRow("I*", "Mean Local Ratio (σ = 4)", 1, False, 0.210, 0.550, 0.755, 0.927, 2.085, 4.309),
    PaperRow("I*", "Mean Local Log-Ratio (σ = 4)", 1, False, 0.211, 0.551, 0.755, 0.927, 2.083, 4.305),
    PaperRow("I*", "Mean Wavelet Log-Ratio (ℓ = 3)", 1, False, 0.169, 0.458, 0.672, 0.891, 2.358, 4.174),
    PaperRow("I*", "Mean Local Norm-Dist-Sq (σ = 4)", 1, False, 0.212, 0.555, 0.760, 0.928, 2.059, 4.164),
    PaperRow("I*", "Our Model", 1, False, 0.233, 0.600, 0.798, 0.957, 1.600, 2.446),
    PaperRow("D*", "Normalized SAD", 1, False, 0.166, 0.443, 0.636, 0.819, 4.280, 8.981),
    PaperRow("D*", "Ternary Census (L1, ε = 30)", 1, False, 0.171, 0.450, 0.633, 0.802, 4.347, 8.794),
    PaperRow("D*", "Normalized Cross-Correlation", 1, False, 0.168, 0.446, 0.639, 0.824, 4.149, 8.740),
    PaperRow("D*", "Rank Transform (L1)", 1, False, 0.172, 0.451, 0.633, 0.811, 4.138, 8.558),
    PaperRow("D*", "Census Transform (Hamming)", 1, False, 0.179, 0.473, 0.663, 0.842, 3.737, 8.126),
    PaperRow("D*", "Ternary Census (L1, ε = 10)", 1, False, 0.178, 0.472, 0.664, 0.841, 3.645, 7.804),
    PaperRow("D*", "Normalized Envelope (L2)", 1, False, 0.155, 0.432, 0.633, 0.856, 2.945, 5.665),
    PaperRow("D*", "Normalized Envelope (L1)", 1, False, 0.165, 0.448, 0.653, 0.870, 2.731, 5.218),
    PaperRow("D*", "Our Model", 1, False, 0.241, 0.606, 0.807, 0.955, 1.611, 2.674),
    PaperRow("D1", "ZNCC Disparity with Calibration", 1, False, 0.064, 0.181, 0.286, 0.448, 8.879, 12.911),
    PaperRow("D1", "SSD Disparity", 1, True, 0.097, 0.262, 0.393, 0.547, 7.537, 11.374),
    PaperRow("D1", "Learned Depth", 1, True, 0.108, 0.289, 0.428, 0.586, 7.176, 11.351),
    PaperRow("D1", "Our Model", 1, False, 0.164, 0.455, 0.653, 0.885, 2.235, 3.112),
    PaperRow("I1", "Our Model", 1, False, 0.115, 0.318, 0.597, 0.691, 4.321, 6.737),
)
"""Whole stacks, and one prediction from one slice. The share of I1 within 2 slices, 0.597, is printed so. It may be
a misprint of 0.497: after two steps (Table 2) it alone would be worse than after one."""

TABLE_2: Final[tuple[PaperRow, ...]] = (
    PaperRow("D1", "ZNCC Disparity with Calibration", 1, False, 0.064, 0.181, 0.286, 0.448, 8.879, 12.911),
    PaperRow("D1", "ZNCC Disparity with Calibration", 2, False, 0.100, 0.278, 0.426, 0.617, 6.662, 10.993),
    PaperRow("D1", "Learned Depth", 1, True, 0.108, 0.289, 0.428, 0.586, 7.176, 11.351),
    PaperRow("D1", "Learned Depth", 2, True, 0.172, 0.433, 0.618, 0.802, 3.876, 7.410),
    PaperRow("D1", "Our Model", 1, False, 0.164, 0.455, 0.653, 0.885, 2.235, 3.112),
    PaperRow("D1", "Our Model", 2, False, 0.201, 0.519, 0.723, 0.916, 1.931, 2.772),
    PaperRow("I1", "Our Model", 1, False, 0.115, 0.318, 0.597, 0.691, 4.321, 6.737),
    PaperRow("I1", "Our Model", 2, False, 0.138, 0.377, 0.567, 0.807, 2.855, 4.088),
)
"""One and two predictions. The two rows of Learned Depth are evaluated on the crop."""

TABLE_3: Final[tuple[PaperRow, ...]] = (
    PaperRow("I*", "Mean Local Ratio (σ = 2)", 1, False, 0.222, 0.578, 0.776, 0.932, 2.181, 5.184),
    PaperRow("I*", "Mean Local Log-Ratio (σ = 2)", 1, False, 0.222, 0.579, 0.776, 0.932, 2.176, 5.178),
    PaperRow("I*", "Mean Local Norm-Dist-Sq (σ = 2)", 1, False, 0.221, 0.576, 0.773, 0.928, 2.202, 5.097),
    PaperRow("I*", "Mean Local Ratio (σ = 4)", 1, False, 0.212, 0.565, 0.773, 0.940, 1.923, 3.920),
    PaperRow("I*", "Mean Local Log-Ratio (σ = 4)", 1, False, 0.213, 0.566, 0.774, 0.941, 1.916, 3.917),
    PaperRow("I*", "Wavelet Sum (ℓ = 3)", 1, False, 0.194, 0.520, 0.731, 0.922, 2.019, 3.558),
    PaperRow("I*", "Mean Wavelet Log-Ratio (ℓ = 3)", 1, False, 0.185, 0.504, 0.718, 0.922, 2.003, 3.239),
    PaperRow("I*", "Our Model", 1, False, 0.251, 0.610, 0.809, 0.957, 1.570, 2.529),
)
"""Seven contrast rows of Table 1 and the model, on registered stacks."""

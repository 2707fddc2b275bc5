"""Numbers of arXiv:2409.16336, from the notebooks that its authors published with it: 10 000
against 10 000 events, mixtures of Gaussians in 5, 20 and 100 dimensions. Frechet stands for their
FGD, quartic MMD for their MMD.
"""

THRESHOLDS = {
    "mean_ks": {5: 1.1597, 20: 1.1434, 100: 1.08},
    "sliced_ks": {5: 1.168, 20: 1.1136, 100: 1.0754},
    "sliced_wasserstein": {5: 1.563, 20: 0.8729, 100: 0.4449},
    "frechet": {5: 0.01215, 20: 0.05579, 100: 0.4253},
    "quartic_mmd": {5: 0.5999, 20: 1.2334, 100: 1.644},
}
"""What 95 % of 10 000 statistics without a difference lie below."""

SIZES = {
    "mean": {
        "mean_ks": {5: 0.00496, 20: 0.01015, 100: 0.00787},
        "sliced_ks": {5: 0.05494, 20: 0.077, 100: 0.07672},
        "sliced_wasserstein": {5: 0.09192, 20: 0.10336, 100: 0.09504},
        "frechet": {5: 0.10354, 20: 0.11749, 100: 0.13134},
        "quartic_mmd": {5: 0.06434, 20: 0.09451, 100: 0.10962},
    },
    "width": {
        "mean_ks": {5: 0.00274, 20: 0.00383, 100: 0.00217},
        "sliced_ks": {5: 0.01644, 20: 0.02882, 100: 0.02687},
        "sliced_wasserstein": {5: 0.03015, 20: 0.03566, 100: 0.03044},
        "frechet": {5: 0.0327, 20: 0.03943, 100: 0.04142},
        "quartic_mmd": {5: 0.01392, 20: 0.01941, 100: 0.02117},
    },
    "correlation": {
        "mean_ks": {5: 1.00317, 20: 1.00339, 100: 1.00157},
        "sliced_ks": {5: 0.05701, 20: 0.04754, 100: 0.0607},
        "sliced_wasserstein": {5: 0.05949, 20: 0.04538, 100: 0.05622},
        "frechet": {5: 0.02441, 20: 0.01177, 100: 0.00958},
        "quartic_mmd": {5: 0.04929, 20: 0.03683, 100: 0.03968},
    },
    "power": {
        "mean_ks": {5: 0.00345, 20: 0.0009, 100: 0.00084},
        "sliced_ks": {5: 0.0106, 20: 0.00964, 100: 0.01088},
        "sliced_wasserstein": {5: 0.01845, 20: 0.01246, 100: 0.01206},
        "frechet": {5: 0.01964, 20: 0.01467, 100: 0.01638},
        "quartic_mmd": {5: 0.00788, 20: 0.00694, 100: 0.00761},
    },
    "noise": {
        "mean_ks": {5: 0.00921, 20: 0.01343, 100: 0.02563},
        "sliced_ks": {5: 0.18137, 20: 0.23623, 100: 0.27956},
        "sliced_wasserstein": {5: 0.25306, 20: 0.28537, 100: 0.32495},
        "frechet": {5: 0.29378, 20: 0.26462, 100: 0.28803},
        "quartic_mmd": {5: 0.37502, 20: 0.63143, 100: 1.17867},
    },
}
"""Size of each deformation at which the mean of 100 statistics reaches that threshold, to about 5 %
of the statistic.
"""

"""Train scikit-learn's multilayer perceptron on a CSV file and print its accuracy: what `compare.py` starts.

    python scikit_learn.py DATA HIDDEN BATCH EPOCHS TRAIN_ROWS TEST_ROWS

The last column is the class; HIDDEN is such as 64,64.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler


def main() -> None:
    data, hidden, *numbers = sys.argv[1:]
    batch, epochs, rows, unseen = map(int, numbers)
    table = np.genfromtxt(data, delimiter=",", skip_header=1, dtype=str)
    x, y = table[:, :-1].astype(np.float32), table[:, -1]
    x, x_test, y, y_test = train_test_split(x, y, train_size=rows, test_size=unseen, stratify=y, random_state=0)
    scaler = StandardScaler().fit(x)
    widths = tuple(map(int, hidden.split(",")))
    model = MLPClassifier(widths, batch_size=batch, max_iter=epochs, n_iter_no_change=epochs, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaler.transform(x), y)
    print(model.score(scaler.transform(x_test), y_test))


if __name__ == "__main__":
    main()

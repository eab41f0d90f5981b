"""Training, on a few hundred of scikit-learn's digits."""

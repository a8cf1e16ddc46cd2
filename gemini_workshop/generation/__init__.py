"""From a trained model to text: cache, sampling, decoding."""

"""Category models: template, network, loss, training, and the saved model."""

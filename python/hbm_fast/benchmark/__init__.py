"""Speed and accuracy of methods of inference, measured side by side."""

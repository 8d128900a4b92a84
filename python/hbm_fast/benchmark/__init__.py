"""Speed and error of methods, measured side by side: cases, methods, interleaved rounds, one record schema."""

"""Pages of figures and tables in one HTML file."""

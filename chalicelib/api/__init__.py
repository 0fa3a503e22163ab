"""HTTP requests in, HTTP responses out."""
